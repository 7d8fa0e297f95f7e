"""What the commands share that look at one sandbox in a cluster."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from kubernetes.config import list_kube_config_contexts
from kubernetes.config.config_exception import ConfigException

from pluginsandbox.controller.kinds import Key

_contexts: Callable[[str | None], tuple[Any, Any]] = list_kube_config_contexts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which sandbox, and where."""
    parser.add_argument("name", help="of the PluginSandbox")
    parser.add_argument("-n", "--namespace", help="absent: that of the kubeconfig's context")
    parser.add_argument(
        "--kubeconfig",
        type=pathlib.Path,
        metavar="FILE",
        help="how to reach the API server; absent: KUBECONFIG, else ~/.kube/config",
    )


def key(options: argparse.Namespace) -> Key:
    """Return the sandbox that the options name."""
    return Key(options.namespace or _namespace(options.kubeconfig), options.name)


def _namespace(kubeconfig: pathlib.Path | None) -> str:
    try:
        _, active = _contexts(str(kubeconfig) if kubeconfig else None)
    except (ConfigException, OSError):
        return "default"
    return str(active["context"].get("namespace") or "default")
