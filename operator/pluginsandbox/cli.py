"""The `pluginsandbox` command.

Each subcommand imports what it needs when it runs: the host's image has no kopf and no pydantic,
the operator's has no uvloop, and all share this one entry point.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from collections.abc import Callable, Sequence

from pluginsandbox import __version__

# name -> (module that has `add_arguments(parser)` and `run(options) -> int`, what it does, extra)
COMMANDS = {
    "run": ("cli_run", "serve a PluginSandbox on this machine, without a cluster", "laptop"),
    "call": ("cli_call", "call a function of a plugin over HTTP", ""),
    "host": ("cli_host", "serve a configuration, as in a sandbox's pod", "host"),
    "explain": ("cli_explain", "say what a sandbox wants, has and waits for", "operator"),
    "decisions": ("cli_decisions", "show what the autoscaler decided for a sandbox", "operator"),
    "simulate": ("cli_simulate", "run scaling policies against a load trace", "api"),
    "replay": ("cli_replay", "decide once more from recorded scaling decisions", "api"),
    "operator": ("cli_operator", "run the operator", "operator"),
}

# These become a host: its zygote starts up beside their own imports.
HOSTS = ("run", "host")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        arguments: Words after the program's name; those of this process unless given.

    Returns:
        The exit status: 0 for success, 1 for an error that was explained, 2 for wrong usage.

    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if not words or words[0] not in COMMANDS:
        parser.parse_args(words or ["--help"])
        return 0
    module, summary, extra = COMMANDS[words[0]]
    command = argparse.ArgumentParser(
        prog=f"pluginsandbox {words[0]}", description=_sentence(summary), allow_abbrev=False
    )
    try:
        if words[0] in HOSTS and not {"-h", "--help"} & set(words):
            # What is imported stays, so to look for garbage meanwhile is in vain.
            gc.disable()
            importlib.import_module("pluginsandbox.host.zygote_process").begin()
        implementation = importlib.import_module(f"pluginsandbox.{module}")
    except ModuleNotFoundError as error:
        return _missing(command, error, extra)
    implementation.add_arguments(command)
    run: Callable[[argparse.Namespace], int] = implementation.run
    try:
        return run(command.parse_intermixed_args(words[1:]))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<9} {summary}" for name, (_, summary, _) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="pluginsandbox",
        description="Runs other people's plugins safely.",
        epilog=f"commands:\n{lines}\n\n`pluginsandbox COMMAND --help` explains each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("command", choices=tuple(COMMANDS), metavar="COMMAND")
    return parser


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


def _missing(command: argparse.ArgumentParser, error: ModuleNotFoundError, extra: str) -> int:
    if error.name is None or error.name.startswith("pluginsandbox"):
        raise error
    print(
        f"{command.prog}: this installation lacks the package {error.name!r}; "
        f"install it with: pip install 'pluginsandbox[{extra}]'",
        file=sys.stderr,
    )
    return 1
