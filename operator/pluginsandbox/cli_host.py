"""`pluginsandbox host`: what a sandbox's pod runs."""

from __future__ import annotations

import argparse
import functools
import pathlib

from pluginsandbox.api import host_config
from pluginsandbox.host import server
from pluginsandbox.telemetry import logs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config",
        type=pathlib.Path,
        required=True,
        metavar="FILE",
        help="the host's configuration",
    )
    parser.add_argument(
        "--http", default="0.0.0.0:8080", metavar="ADDRESS:PORT", help="door for callers"
    )
    parser.add_argument(
        "--admin",
        default="0.0.0.0:9090",
        metavar="ADDRESS:PORT",
        help="probes, metrics and statistics",
    )
    parser.add_argument(
        "--members",
        type=pathlib.Path,
        metavar="FILE",
        help="addresses of the sandbox's hosts, one a line, instead of the peers' service",
    )
    parser.add_argument(
        "--keys",
        type=pathlib.Path,
        metavar="DIRECTORY",
        default=pathlib.Path(host_config.PEERS_DIRECTORY),
        help="where the hosts' common key is",
    )
    parser.add_argument("--log-level", default="info", choices=logs.LEVELS)


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    logs.configure(options.log_level)
    place = functools.partial(server.in_pod, keys=options.keys, members=options.members)
    return server.main(options.config, http=options.http, admin=options.admin, peers=place)
