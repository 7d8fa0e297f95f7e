"""`pluginsandbox operator`: in the cluster, or on a laptop with a kubeconfig."""

from __future__ import annotations

import argparse
import pathlib
import sys

from pluginsandbox.controller import operator, settings
from pluginsandbox.telemetry import logs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config",
        type=pathlib.Path,
        metavar="FILE",
        help="the administrator's configuration; absent: all defaults",
    )
    parser.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="watch this namespace alone; repeatable; absent: all of them",
    )
    parser.add_argument(
        "--kubeconfig",
        type=pathlib.Path,
        metavar="FILE",
        help="how to reach the API server; absent: the pod's own account, else KUBECONFIG",
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="/healthz, /readyz and /metrics (default 8080)"
    )
    parser.add_argument("--log-level", default="info", choices=logs.LEVELS)


def run(options: argparse.Namespace) -> int:
    """Reconcile until told to stop."""
    logs.configure(options.log_level)
    try:
        administrator = settings.load(options.config)
    except settings.SettingsError as error:
        print(f"pluginsandbox operator: {error}", file=sys.stderr)
        return 1
    return operator.run(
        administrator,
        namespaces=tuple(options.namespace),
        kubeconfig=options.kubeconfig,
        port=options.port,
    )
