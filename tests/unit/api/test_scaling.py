"""`spec.scaling`: what is taken, and with which words the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pluginsandbox.api.problems import explain
from pluginsandbox.api.scaling import Scaling
from pluginsandbox.api.structural import structural

METRICS = [{"type": "Concurrency", "target": 8}]
SALE = {
    "name": "sale",
    "schedule": "0 20 * * *",
    "durationSeconds": 7200,
    "timeZone": "Asia/Shanghai",
    "minReplicas": 40,
}


def read(**fields: Any) -> Scaling:
    return Scaling.model_validate({"maxReplicas": 100, "metrics": METRICS} | fields, extra="forbid")


def test_the_design_s_example_is_read() -> None:
    found = read(minReplicas=1, schedules=[SALE], paused="None", scaleDownDelaySeconds=60)
    assert (found.most, found.schedules[0].time_zone) == (100, "Asia/Shanghai")


def test_all_has_its_default_also_in_the_schema() -> None:
    assert Scaling().metrics[0].target == 8
    default = structural(Scaling)["properties"]["metrics"]["default"]
    assert default == [{"type": "Concurrency", "target": 8}]


def test_without_a_maximum_there_is_nothing_to_scale() -> None:
    assert Scaling.model_validate({"minReplicas": 3, "metrics": METRICS}).most == 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minReplicas": 200}, "maxReplicas must be at least minReplicas"),
        ({"minReplicas": 0}, "minReplicas: must be greater than or equal to 1, not 0"),
        ({"metrics": []}, "metrics: "),
        ({"metrics": METRICS * 2}, "metrics: type must be unique: Concurrency occurs twice"),
        ({"panicWindowSeconds": 30, "stableWindowSeconds": 20}, "panicWindowSeconds must be at"),
        ({"schedules": [SALE | {"minReplicas": 101}]}, "schedules[].minReplicas must be at most"),
        ({"schedules": [SALE | {"schedule": "0 25 * * *"}]}, "schedules[0].schedule: must be a"),
        ({"schedules": [SALE | {"schedule": "* * * * * *"}]}, "it must have 5 fields"),
        ({"schedules": [SALE | {"schedule": "0 0 31 2 *"}]}, "schedules[0].schedule: must be a"),
        ({"schedules": [SALE | {"timeZone": "Mars/Olympus"}]}, "schedules[0].timeZone: must be a"),
        ({"schedules": [SALE | {"timeZone": "/etc/passwd"}]}, "schedules[0].timeZone: must be a"),
        ({"schedules": [SALE, SALE]}, "schedules: name must be unique: sale occurs twice"),
        ({"scaleDownDelaySeconds": 1e9}, "scaleDownDelaySeconds: "),
        ({"paused": "Sometimes"}, "paused: "),
        ({"forecast": {"seasonSeconds": 1}}, "forecast.seasonSeconds: must be greater"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        read(**fields)
    assert words in "\n".join(explain(refusal.value, Scaling))


def test_the_api_server_could_take_the_same_schema() -> None:
    schema = structural(Scaling)
    assert schema["properties"]["metrics"]["x-kubernetes-list-map-keys"] == ["type"]
    assert len(schema["x-kubernetes-validations"]) == len(Scaling.rules)
