"""`pluginsandbox explain`: what a sandbox in the cluster wants, has and waits for."""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import sys

from pydantic import ValidationError

from pluginsandbox import cli_cluster
from pluginsandbox.api import problems
from pluginsandbox.controller import connection
from pluginsandbox.controller.errors import ControllerError
from pluginsandbox.controller.explanation import explanation
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.look import look
from pluginsandbox.controller.observed import Observed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    cli_cluster.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the explanation."""
    key = cli_cluster.key(options)
    try:
        observed = asyncio.run(_look(key, options.kubeconfig))
    except ValidationError as error:
        return _fail(f"{key} is of another version of the kind: {problems.summarize(error)}")
    except connection.ConnectionSetupError as error:
        return _fail(str(error))
    except ControllerError as error:
        return _fail(f"cannot read {key}: {error}")
    if observed is None:
        return _fail(f"there is no PluginSandbox {key}; kubectl get psb -A lists all")
    print(explanation(observed))
    return 0


async def _look(key: Key, kubeconfig: pathlib.Path | None) -> Observed | None:
    return await look(await connection.connect(kubeconfig), key)


def _fail(message: str) -> int:
    print(f"pluginsandbox explain: {message}", file=sys.stderr)
    return 1
