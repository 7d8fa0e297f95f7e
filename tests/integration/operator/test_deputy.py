"""Hostile authors of PluginSandboxes gain nothing by way of the operator that they do not have.

The author may write PluginSandboxes in one namespace and nothing else. The operator has the rights
that the chart gives it, everywhere. What others have beside the author is marked, and watched.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children import config_snapshot
from pluginsandbox.controller.children.common import manifest
from pluginsandbox.controller.settings import FIELDS
from tests.deputy.record import NOTHING, Try
from tests.deputy.tries import TRIES
from tests.integration.operator.arena import Arena
from tests.integration.operator.bed import SANDBOX, Bed, sandbox, source

pytestmark = pytest.mark.cluster


GRANTED: dict[str, Any] = {
    "pod.labels": {"app": "till"},
    "pod.annotations": {"sidecar.istio.io/inject": "false"},
    "pod.nodeSelector": {"role": "control-plane"},
    "pod.tolerations": [{"operator": "Exists"}],
    "pod.affinity": {"podAntiAffinity": {}},
    "pod.runtimeClassName": "gvisor",
    "pod.priorityClassName": "system-node-critical",
    "pod.imagePullSecrets": [{"name": "crown"}],
    "pod.serviceAccountName": "admin",
    "plugins.0.secrets": [{"name": "s", "secretName": "crown"}],
    "network.policy": "Unmanaged",
    "host.confinement": "BestEffort",
}
"""Each field that needs leave, and a value that it would be a gain to set without."""
SEEN_IN_PODS = [each for each in GRANTED if not each.startswith(("network", "host"))]
"""Without a policy there is nothing to look at; a weaker wall is seen in the configuration."""


async def test_no_try_of_a_hostile_author_gains_anything(bed: Bed, tmp_path: Path) -> None:
    async with Arena(bed, tmp_path).open() as arena:
        before = await arena.fingerprint()
        outcomes = await asyncio.gather(*(arena.attempt(*each) for each in enumerate(TRIES)))
        await arena.settle(outcomes)
        gained = await arena.gained()
        assert await arena.fingerprint() == before, "something of others changed"
        await arena.serves_others()
    told = Counter("gained" if each.name in gained else each.kind for each in outcomes)
    counted = " ".join(f"{word}={told[word]}" for word in ("refused", "harmless", "gained"))
    print(f"tries={len(TRIES)} {counted}")
    wrong = [each.unexpected for each in outcomes if each.unexpected]
    assert not wrong, "\n".join(wrong)
    assert not gained
    assert len(TRIES) >= 100


async def test_what_the_administrator_grants_is_done_and_would_be_seen_as_a_gain(
    bed: Bed, tmp_path: Path
) -> None:
    assert {each.replace(".0.", "[].") for each in GRANTED} == set(FIELDS)
    async with Arena(bed, tmp_path).open(granted=FIELDS) as arena:
        tries = [Try(field, NOTHING, {field: value}) for field, value in GRANTED.items()]
        outcomes = await asyncio.gather(*(arena.attempt(*each) for each in enumerate(tries)))
        await arena.settle(outcomes)
        gained = await arena.gained()
        assert not [each.unexpected for each in outcomes if each.unexpected]
        assert gained.keys() == {
            each.name for each in outcomes if each.attempt.name in SEEN_IN_PODS
        }
        assert (
            await bed.get(kinds.NETWORK_POLICY, f"try-{[*GRANTED].index('network.policy')}") is None
        )


async def test_a_snapshot_that_somebody_forges_ahead_of_the_operator_is_not_used(bed: Bed) -> None:
    await bed.put(source())
    async with bed.operator():
        await bed.put(sandbox(operatingMode="Suspended"))
        await bed.until("Ready", "True", "Suspended")
    body = PluginSandbox.read(await bed.get(kinds.SANDBOX))
    (ours,) = await bed.find(kinds.CONFIG_MAP, f"{kinds.SANDBOX_LABEL}={SANDBOX}")
    name = ours["metadata"]["name"]
    evil = {config_snapshot.CONFIG_KEY: '{"plugins": []}', "counter.counter.py": "import evil"}
    forged = manifest(kinds.CONFIG_MAP, body, name, immutable=True, data=evil)
    forged["metadata"]["labels"] |= {kinds.SOURCE_LABEL: "snapshot"}
    forged["metadata"]["annotations"] = ours["metadata"]["annotations"]
    await bed.drop(kinds.CONFIG_MAP, name)
    await bed.write("POST", kinds.CONFIG_MAP.path(bed.namespace), forged)
    async with bed.operator():
        await bed.put(sandbox())
        message = await bed.until("Stalled", "True", "NameConflict")
        assert f"ConfigMap {name}" in message
        assert not await bed.find(kinds.POD)
        await bed.drop(kinds.CONFIG_MAP, name)
        await bed.until("Ready", "True", seconds=60)


async def test_what_a_plugin_says_of_itself_moves_no_cursor(bed: Bed) -> None:
    words = "\x1b[2J\x1b]0;owned\x07 all is well \u202egnp.exe"
    told = [{"name": "counter", "state": "Failed", "message": words}]
    bed.hosts.stats = {"plugins": told, "confinement": {"holds": True}}
    async with bed.operator():
        await bed.put(source())
        await bed.put(sandbox())
        message = await bed.until("PluginsLoaded", "False", "LoadFailed")
        assert "\\x1b[2J" in message
        assert "\\u202egnp.exe" in message
        assert json.dumps(await bed.status()).isprintable()
