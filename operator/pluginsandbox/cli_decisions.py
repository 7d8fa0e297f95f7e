"""`pluginsandbox decisions`: the autoscaler's last hundred decisions on a sandbox, drawn and told.

They are asked of the operator's pods through the API server, with the rights of whoever asks.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import pathlib
import sys
from typing import Any

import msgspec

from pluginsandbox import cli_cluster
from pluginsandbox.autoscaler import sketch
from pluginsandbox.autoscaler.numbers import MILLI, divide_up
from pluginsandbox.autoscaler.sketch import Step
from pluginsandbox.controller import connection, kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.errors import ControllerError
from pluginsandbox.controller.kinds import Key
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics

OPERATOR = "app.kubernetes.io/part-of=pluginsandbox"
PORT = 8080
HEADS = ("time", "revision", "decision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    cli_cluster.add_arguments(parser)
    parser.add_argument(
        "--operator-namespace",
        default="pluginsandbox-system",
        help="where the operator runs; absent: pluginsandbox-system",
    )
    parser.add_argument(
        "--record",
        type=pathlib.Path,
        metavar="FILE",
        help="write what the decisions were made from, for `pluginsandbox replay FILE`",
    )


def run(options: argparse.Namespace) -> int:
    """Print the decisions, oldest first, or write their record."""
    key, what = cli_cluster.key(options), "records" if options.record else "decisions"
    try:
        found = asyncio.run(_ask(key, what, options.operator_namespace, options.kubeconfig))
    except connection.ConnectionSetupError as error:
        return _fail(str(error))
    except ControllerError as error:
        return _fail(
            f"cannot ask the operator: {error}; it takes the right to get pods/proxy in namespace "
            f"{options.operator_namespace}, and metrics.authentication off. The last step: "
            f"kubectl get psb {key.name} "
            f"-n {key.namespace} -o jsonpath='{{.status.scaling.lastDecision}}'"
        )
    if found is None:
        return _fail(
            f"no pod of the operator runs in namespace {options.operator_namespace}; name another "
            "with --operator-namespace"
        )
    if options.record:
        return _write(options.record, found)
    print(_shown(found) if found else f"no decision on {key} since the operator started")
    return 0


async def _ask(
    key: Key, what: str, namespace: str, kubeconfig: pathlib.Path | None
) -> list[dict[str, Any]] | None:
    """Return what the operator's pods know: only the one that leads decides."""
    cluster = Cluster(await connection.connect(kubeconfig), OperatorMetrics())
    try:
        pods = await cluster.list(kinds.POD, namespace, OPERATOR, "status.phase=Running")
        query = {"namespace": key.namespace, "name": key.name}
        query |= {"records": "yes"} if what == "records" else {}
        answers = [
            await cluster.ask_pod(namespace, _address(pod), PORT, "decisions", query)
            for pod in pods
        ]
    finally:
        await cluster.close()
    if not answers:
        return None
    return sorted((each for one in answers for each in one[what]), key=_time)


def _address(pod: dict[str, Any]) -> str:
    """Return how the API server is asked for a pod: its port is named by what it speaks."""
    ports = [port for each in pod["spec"]["containers"] for port in each.get("ports") or ()]
    speaks = next((port.get("name") for port in ports if port["containerPort"] == PORT), "")
    name = str(pod["metadata"]["name"])
    return f"https:{name}" if speaks == "https" else name


def _write(path: pathlib.Path, records: list[dict[str, Any]]) -> int:
    try:
        path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in records))
    except OSError as error:
        return _fail(f"{path}: cannot be written: {error.strerror}")
    print(f"{len(records)} decisions written to {path}; pluginsandbox replay {path}")
    return 0


def _time(decision: dict[str, Any]) -> int:
    return int(decision["time"])


def _shown(decisions: list[dict[str, Any]]) -> str:
    return f"{sketch.draw([_step(each) for each in decisions])}\n\n{_table(decisions)}"


def _step(decision: dict[str, Any]) -> Step:
    needed = decision["inputs"].get("needed")
    pods = None if needed is None else divide_up(int(needed), MILLI)
    return Step(_time(decision), int(decision["to"]), pods)


def _table(decisions: list[dict[str, Any]]) -> str:
    rows = [HEADS, *((_moment(each), each["revision"], each["sentence"]) for each in decisions)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c}" for a, b, c in rows)


def _moment(decision: dict[str, Any]) -> str:
    return f"{dt.datetime.fromtimestamp(_time(decision), dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _fail(message: str) -> int:
    print(f"pluginsandbox decisions: {message}", file=sys.stderr)
    return 1
