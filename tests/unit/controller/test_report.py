"""When a status is written, what is sent, and what is announced."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.api.conditions import Condition
from pluginsandbox.api.status import SandboxStatus
from pluginsandbox.controller import kinds
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.repair import Repair
from pluginsandbox.controller.report import Reporter, announcements, patch, weight
from pluginsandbox.controller.store import Store

KEY = Key("team", "shop")


def status(
    ready: str = "Unknown",
    reconciling: tuple[str, str] = ("True", "RollingOut"),
    stalled: tuple[str, str] = ("False", "NotStalled"),
    *,
    generation: int = 1,
    **fields: Any,
) -> SandboxStatus:
    loaded = fields.pop("loaded", "Unknown")
    conditions = [
        ("Ready", ready, "Progressing"),
        ("Reconciling", *reconciling),
        ("Stalled", *stalled),
        ("PluginsLoaded", loaded, "NoPods"),
    ]
    return SandboxStatus(
        observed_generation=generation,
        conditions=tuple(
            Condition(type=kind, status=state, reason=reason) for kind, state, reason in conditions
        ),
        **fields,
    )


DONE = ("False", "RolledOut")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (status(), status(generation=2), "generation"),
        (status(), status("True", DONE), "change"),
        (status(), status(reconciling=("True", "ImagePullFailed")), "change"),
        (status(), status(replicas=1), "detail"),
        (status(), status(loaded="True"), "detail"),
        (status("True", DONE), status("True", DONE, loaded="True"), "change"),
        (status("True", DONE), status("True", DONE, replicas=2), "settled detail"),
    ],
)
def test_the_weight_of_a_change(old: SandboxStatus, new: SandboxStatus, expected: str) -> None:
    assert weight(old.dump(), new.dump()) == expected


def test_a_patch_names_what_changed_and_drops_what_is_gone() -> None:
    old = {"a": 1, "b": 2, "c": 3}
    assert patch(old, {"a": 1, "b": 5, "d": 6}) == {"c": None, "b": 5, "d": 6}
    assert patch(old, old) == {}


class Written:
    """Stands where the API server is: keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def patch_status(
        self, kind: kinds.Kind, namespace: str, name: str, sent: Any, version: str
    ) -> dict[str, Any]:
        assert kind is kinds.SANDBOX
        self.sent.append(sent)
        metadata = {"name": name, "namespace": namespace, "resourceVersion": str(int(version) + 1)}
        return {"metadata": metadata, "status": {}}


async def test_from_birth_to_ready_two_writes_at_once_and_details_wait() -> None:
    clock, server = [100.0], Written()
    reporter = Reporter(Store(), server, lambda: clock[0])  # type: ignore[arg-type]

    async def write(old: dict[str, Any], new: SandboxStatus) -> float | None:
        body = {"metadata": {"resourceVersion": "1"}, "status": old}
        return await reporter.write(KEY, body, new)

    first, ready = status(), status("True", DONE, replicas=1)
    assert await write({"observedGeneration": -1}, first) is None
    assert await write(first.dump(), first) is None
    assert len(server.sent) == 1, "the same again is not sent"
    clock[0] += 0.25
    assert await write(first.dump(), status(replicas=1)) == pytest.approx(9.75)
    assert await write(first.dump(), ready) is None
    assert len(server.sent) == 2
    lost = status("False", DONE, replicas=1)
    assert await write(ready.dump(), lost) == pytest.approx(1.0)
    clock[0] += 1.0
    assert await write(ready.dump(), lost) is None
    assert await write(lost.dump(), status(generation=2)) is None, "a generation never waits"


def told(old: SandboxStatus | None, new: SandboxStatus, *repairs: Repair) -> list[tuple[str, str]]:
    found = announcements(old.dump() if old else {}, new.dump(), repairs)
    return [(each.type, each.reason) for each in found]


def test_what_goes_well_is_not_announced() -> None:
    assert told(None, status()) == []
    assert told(status(), status("True", DONE)) == []
    assert told(status("True", DONE), status(generation=2)) == []


def test_trouble_its_change_and_its_end_are_announced_once() -> None:
    missing = status(reconciling=("True", "SourceMissing"))
    stalled = status("False", ("False", "Stalled"), ("True", "SourceMissing"))
    quota = status(reconciling=("True", "QuotaExceeded"))
    assert told(status(), missing) == [("Warning", "SourceMissing")]
    assert told(missing, missing) == []
    assert told(missing, stalled) == []
    assert told(missing, quota) == [("Warning", "QuotaExceeded")]
    assert told(stalled, status()) == [("Normal", "Recovered")]


def test_drift_names_what_was_changed() -> None:
    repair = Repair(kinds.DEPLOYMENT, "shop", ("spec.replicas",))
    (found,) = announcements({}, status("True", DONE).dump(), (repair,))
    assert found.reason == "DriftRepaired"
    assert "spec.replicas" in found.note
