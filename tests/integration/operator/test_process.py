"""The operator as a process: started by its command, stopped, killed at any time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from pluginsandbox.controller import kinds
from tests.integration.operator.bed import Bed, eventually, sandbox, source

pytestmark = pytest.mark.cluster

Process = asyncio.subprocess.Process
COMMAND = Path(sys.executable).with_name("pluginsandbox")


@contextlib.asynccontextmanager
async def command(bed: Bed, folder: Path) -> AsyncIterator[Process]:
    """Run `pluginsandbox operator` as a user would; it is gone after the block."""
    config = folder / "operator.yaml"
    config.write_text(yaml.safe_dump(bed.settings.model_dump(by_alias=True)))
    process = await asyncio.create_subprocess_exec(
        *(str(COMMAND), "operator"),
        *("--kubeconfig", str(bed.kubeconfig), "--config", str(config)),
        *("--namespace", bed.namespace, "--port", "0"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def said(process: Process, event: str) -> str:
    """Wait for a line of the log."""
    assert process.stderr is not None
    async for line in process.stderr:
        if f'"event": "{event}"' in line.decode():
            return line.decode()
    raise AssertionError(f"the operator ended without saying {event!r}")


async def test_it_serves_and_stops_cleanly_when_told_to(bed: Bed, tmp_path: Path) -> None:
    async with command(bed, tmp_path) as process:
        await asyncio.wait_for(said(process, "leading"), 30)
        await bed.put(source())
        await bed.put(sandbox())
        await bed.until("Ready", "True")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        rest = (await asyncio.wait_for(process.stderr.read(), 10)).decode()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    assert '"operator stopped"' in rest
    assert "Traceback" not in rest
    lease = await bed.get(kinds.LEASE, "pluginsandbox-operator")
    assert lease is not None
    assert not lease["spec"].get("holderIdentity"), "the next one leads at once"


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.06, 0.1, 0.2])
async def test_killed_on_its_way_the_next_one_goes_on(
    bed: Bed, tmp_path: Path, seconds: float
) -> None:
    async with command(bed, tmp_path) as process:
        await asyncio.wait_for(said(process, "leading"), 30)
        await bed.put(source())
        await bed.put(sandbox())
        await asyncio.sleep(seconds)  # anywhere between two of its writes
        process.kill()
    await _expire_lease(bed)
    async with bed.operator():
        await bed.until("Ready", "True")
        for kind in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.NETWORK_POLICY, kinds.CONFIG_MAP):
            assert len(await bed.find(kind)) == 1, kind.name
        deployment = await bed.get(kinds.DEPLOYMENT)
        assert deployment is not None
        assert deployment["metadata"]["generation"] == 1, "made once, never changed"


async def _expire_lease(bed: Bed) -> None:
    """Spare the test the 15 s that a successor of a killed leader waits."""
    lease = await eventually("the Lease", lambda: bed.get(kinds.LEASE, "pluginsandbox-operator"))
    path = kinds.LEASE.path(bed.namespace, lease["metadata"]["name"])
    body = {"spec": {"holderIdentity": ""}}
    await bed.write("PATCH", path, body, "application/merge-patch+json")


async def test_without_an_api_server_it_says_what_to_give(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(str(COMMAND), "operator"),
        *("--kubeconfig", str(tmp_path / "none")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, log = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert "--kubeconfig" in log.decode()
    assert "Traceback" not in log.decode()
