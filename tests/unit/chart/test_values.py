"""The chart takes what it documents and refuses what it does not know."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pluginsandbox.controller import settings
from tests.bed.shell import REPOSITORY
from tests.manifests import copies, values

SCHEMA = json.loads((copies.CHART / "values.schema.json").read_text())
TEXT = (copies.CHART / "values.yaml").read_text()
DEFAULTS: dict[str, Any] = yaml.safe_load(TEXT)
OPEN = ("resources", "dns.podLabels")
"""Values whose keys are Kubernetes' or the user's own."""


def problems(value: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(value)]


def paths(value: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, dict) and inner and path not in OPEN:
            yield from paths(inner, f"{path}.")
        else:
            yield path


def test_the_schema_is_a_schema_and_takes_the_defaults() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert problems(DEFAULTS) == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"replicaCont": 2}, "replicaCont"),
        ({"replicaCount": "2"}, "'2'"),
        ({"image": {"tags": "1"}}, "tags"),
        ({"image": {"pullPolicy": "Allways"}}, "Allways"),
        ({"hostImage": {"digest": "sha256:12"}}, "sha256:12"),
        ({"watchNamespaces": "shop"}, "shop"),
        ({"watchNamespaces": ["Shop"]}, "Shop"),
        ({"allow": [{"namespaces": {}}]}, "fields"),
        ({"allow": [{"fields": ["pod.hostNetwork"]}]}, "pod.hostNetwork"),
        ({"allow": [{"fields": ["pod.labels"], "namespaceSelector": {}}]}, "namespaceSelector"),
        ({"memory": {"reserve": "lots"}}, "lots"),
        ({"crds": {"instal": True}}, "instal"),
        ({"logLevel": "loud"}, "loud"),
    ],
)
def test_a_typo_is_refused_by_name(given: dict[str, Any], named: str) -> None:
    (message,) = problems(given)
    assert named in message


def test_no_object_of_the_schema_takes_unknown_keys() -> None:
    def closed(schema: Any) -> Iterator[bool]:
        if isinstance(schema, dict):
            if "properties" in schema and "type" in schema:
                yield schema.get("additionalProperties") is False
            for inner in schema.values():
                yield from closed(inner)

    assert all(closed(SCHEMA))


def test_every_value_is_in_the_schema_and_in_the_guide() -> None:
    rows = values.table(TEXT)
    missing = [path for path in paths(DEFAULTS) if f"| `{path}` |" not in rows]
    assert missing == []
    assert set(SCHEMA["properties"]) == {*DEFAULTS, "global"}


def test_the_fields_that_can_be_granted_are_those_of_the_operator() -> None:
    granted = SCHEMA["properties"]["allow"]["items"]["properties"]["fields"]["items"]["enum"]
    assert granted == list(settings.FIELDS)


def test_chart_and_package_have_one_version() -> None:
    chart = yaml.safe_load((copies.CHART / "Chart.yaml").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_the_table_joins_comments_and_names_defaults() -> None:
    text = "# One\n# thing.\na: 1\n\nb:\n  # Inner.\n  c: {}\nd: x\n"
    assert values.table(text).splitlines()[2:] == [
        "| `a` | `1` | One thing. |",
        "| `b.c` | `{}` | Inner. |",
    ]


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="values: begin"):
        values.insert("no marks", "table")


def test_the_seal_breaks_when_the_text_changes(tmp_path: Path) -> None:
    text = copies.sealed("kind: A\n")
    assert copies.is_sealed(text)
    assert not copies.is_sealed(text.replace("kind: A", "kind: B"))
    assert not copies.is_sealed("")
