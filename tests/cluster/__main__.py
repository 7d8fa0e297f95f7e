"""The command line: ``python -m tests.cluster up|down|status|…`` from the repository's root."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.cluster import build, tools, versions
from tests.cluster.base import Cluster, Part
from tests.cluster.choice import choose
from tests.cluster.errors import ClusterError

_TOOLS = ("kubectl", "helm")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description="A real Kubernetes cluster for tests."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="make the cluster, or make it whole again")
    commands.add_parser("down", help="remove all that 'up' made, except built programs")
    commands.add_parser("status", help="how its parts are; exit code 1 unless all are well")
    logs = commands.add_parser("logs", help="last words of its parts")
    logs.add_argument("component", nargs="?")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    commands.add_parser("build", help="build all programs of the local node, and helm")
    load = commands.add_parser("load", help="bring an image archive to the nodes; prints names")
    load.add_argument("archive", type=Path, metavar="IMAGE_TAR")
    path = commands.add_parser("path", help="print where a tool is, building it if need be")
    path.add_argument("tool", choices=_TOOLS)
    return parser


def _act(options: argparse.Namespace) -> int:
    match options.command:
        case "build":
            print("\n".join(str(folder) for folder in build.ensure(versions.ALL).values()))
        case "path":
            print(tools.find(options.tool))
        case "status":
            return _print_status(choose().status())
        case _:
            _act_on(choose(), options)
    return 0


def _act_on(cluster: Cluster, options: argparse.Namespace) -> None:
    match options.command:
        case "up":
            cluster.up()
        case "down":
            cluster.down()
        case "kubeconfig":
            print(cluster.kubeconfig())
        case "load":
            print("\n".join(cluster.load(options.archive)))
        case _:
            print(cluster.logs(options.component))


def _print_status(parts: list[Part]) -> int:
    for part in parts:
        print(f"{'ok ' if part.well else 'BAD'} {part.name:<26}{part.detail}")
    return 0 if all(part.well for part in parts) else 1


def main() -> int:
    """Run one command; 0 for success."""
    try:
        return _act(_parser().parse_args())
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
