"""`pluginsandbox explain`: what a sandbox in the cluster wants, has and waits for."""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from kubernetes.config import list_kube_config_contexts
from kubernetes.config.config_exception import ConfigException
from pydantic import ValidationError

from pluginsandbox.api import problems
from pluginsandbox.controller import connection
from pluginsandbox.controller.errors import ControllerError
from pluginsandbox.controller.explanation import explanation
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.look import look
from pluginsandbox.controller.observed import Observed

_contexts: Callable[[str | None], tuple[Any, Any]] = list_kube_config_contexts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", help="of the PluginSandbox")
    parser.add_argument("-n", "--namespace", help="absent: that of the kubeconfig's context")
    parser.add_argument(
        "--kubeconfig",
        type=pathlib.Path,
        metavar="FILE",
        help="how to reach the API server; absent: KUBECONFIG, else ~/.kube/config",
    )


def run(options: argparse.Namespace) -> int:
    """Print the explanation."""
    key = Key(options.namespace or _namespace(options.kubeconfig), options.name)
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


def _namespace(kubeconfig: pathlib.Path | None) -> str:
    try:
        _, active = _contexts(str(kubeconfig) if kubeconfig else None)
    except (ConfigException, OSError):
        return "default"
    return str(active["context"].get("namespace") or "default")


def _fail(message: str) -> int:
    print(f"pluginsandbox explain: {message}", file=sys.stderr)
    return 1
