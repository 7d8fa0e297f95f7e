"""Runs an operator beside a KWOK control plane, and reads what it took."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from pluginsandbox.controller import kinds
from tests.bench.kwok import KwokPlane, resident_mib
from tests.bench.subject import Subject
from tests.integration.operator.bed import eventually
from tests.integration.operator.control_plane import free_port

SETTINGS = {"hostImage": "none", "operator": {"namespace": "default"}}
CATCH_UP_SECONDS = 120.0
ASK_SECONDS = 0.5
"""Between two looks at its metrics: those of thousands of sandboxes take it a tenth of a second."""
UNTOLD_SECONDS = 3.0
_LAST = frozenset({kinds.DEPLOYMENT.plural, kinds.SERVICE.plural})
LOOKED = 'pluginsandbox_reconcile_duration_seconds_count{outcome="success"}'


class Running:
    """An operator's process.

    Args:
        pid: Its number.
        port: Where it serves metrics as ours does; None = it does not.

    """

    def __init__(self, pid: int, port: int | None) -> None:
        self.pid = pid
        self._port = port

    @property
    def cpu_seconds(self) -> float:
        """Time that it was on a processor."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def mib(self) -> float:
        """Resident memory."""
        return resident_mib(self.pid)

    async def metrics(self) -> dict[str, float]:
        """Return the metrics of an operator of ours; none of another's."""
        url = f"http://127.0.0.1:{self._port}/metrics"
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                lines = (await answer.text()).splitlines()
                samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
                return {name: float(value) for name, _, value in samples}
        return {}

    async def caught_up(self, objects: int = 0) -> None:
        """Wait until ours leads and has looked at every object; what cannot tell is given 3 s."""
        if self._port is None:
            await asyncio.sleep(UNTOLD_SECONDS)
            return

        async def done() -> bool:
            told = await self.metrics()
            leads = told.get("pluginsandbox_leader", 0) == 1
            idle = told.get("pluginsandbox_queue_depth", 1) == 0
            return leads and idle and told.get(LOOKED, 0) >= objects

        await eventually("the operator", done, seconds=CATCH_UP_SECONDS, every=ASK_SECONDS)


@contextlib.asynccontextmanager
async def running(told: Subject, plane: KwokPlane) -> AsyncIterator[Running]:
    """Run the subject's operator."""
    port = free_port()
    config = plane.folder / "operator.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    words = {"KUBECONFIG": str(plane.kubeconfig), "CONFIG": str(config), "PORT": str(port)}
    command = [words.get(word, word) for word in told.command]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (plane.folder / "operator.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, env={**os.environ, "PATH": path}
        )
    try:
        yield Running(process.pid, port if "PORT" in told.command else None)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


def writes(log: Path) -> list[dict[str, Any]]:
    """Return what our operator wrote, as the API server counted it; its Lease and Events aside."""
    return [
        each
        for each in _audit(log)
        if each.get("userAgent") == kinds.FIELD_MANAGER
        and (each.get("objectRef") or {}).get("resource") not in {"leases", "events"}
    ]


def last_write_seconds(log: Path, names: Collection[str]) -> float:
    """Return the median time from the making of some sandboxes to the end of their last child's.

    The Deployment and the Service are written last, beside each other.
    """
    made: dict[str, dt.datetime] = {}
    last: dict[str, dt.datetime] = {}
    for each in _audit(log):
        at = each.get("objectRef") or {}
        name = str(at.get("name"))
        moment = dt.datetime.fromisoformat(each["stageTimestamp"])
        if at.get("resource") == kinds.SANDBOX.plural and each["verb"] == "create":
            made[name] = moment
        elif at.get("resource") in _LAST and each["verb"] == "patch" and name in names:
            last[name] = moment
    spans = [(last[name] - moment).total_seconds() for name, moment in made.items() if name in last]
    return statistics.median(spans) if spans else 0.0


def _audit(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]
