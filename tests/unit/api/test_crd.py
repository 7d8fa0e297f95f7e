"""The generated CRD keeps the conventions of the Kubernetes API, and the checked-in file is it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pluginsandbox.api import crd, generated, reference, runbook

REPOSITORY = Path(__file__).resolve().parents[3]
VERSION = crd.definition()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
ABSENT_FOR_GOOD = {"anyOf", "oneOf", "allOf", "not", "nullable", "$ref", "title", "uniqueItems"}


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema below this one with its path."""
    yield path or "object", schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


NODES = [(path, schema) for path, schema in walk(ROOT) if path != ".metadata"]
FIELDS = [(path, schema) for path, schema in NODES if path[-1] not in "]}"]
INTEGERS = [(path, schema) for path, schema in NODES if schema.get("type") == "integer"]
STRINGS = [(path, schema) for path, schema in NODES if schema.get("type") == "string"]
LISTS = [(path, schema) for path, schema in NODES if schema.get("type") == "array"]
MAPS = [(path, schema) for path, schema in NODES if "additionalProperties" in schema]


@pytest.mark.parametrize("module", [crd, reference, runbook])
def test_the_file_in_the_repository_is_what_the_models_give(module: Any) -> None:
    assert (REPOSITORY / module.FILE).read_text(encoding="utf-8") == module.text()


def test_the_file_is_what_an_api_server_would_read() -> None:
    assert yaml.safe_load(crd.text()) == crd.definition()


def test_every_place_has_one_type() -> None:
    odd = [
        path
        for path, schema in NODES
        if schema.get("type") not in {"object", "array", "string", "integer"}
        and not schema.get("x-kubernetes-int-or-string")
    ]
    assert odd == [], "no booleans (an enum can grow), no floats, no free-form values"


def test_nothing_is_said_that_a_structural_schema_cannot_say() -> None:
    odd = [
        (path, key)
        for path, schema in NODES
        for key in schema.keys() & ABSENT_FOR_GOOD
        if not (key == "anyOf" and schema.get("x-kubernetes-int-or-string"))
    ]
    assert odd == []


def test_every_number_has_a_format_and_bounds() -> None:
    odd = [
        path
        for path, schema in INTEGERS
        if schema.get("format") not in {"int32", "int64"}
        or not schema.keys() >= {"minimum", "maximum"}
    ]
    assert odd == []


def test_every_string_is_bounded() -> None:
    bounds = {"maxLength", "enum"}
    odd = [
        path
        for path, schema in STRINGS
        if not schema.keys() & bounds and schema.get("format") != "date-time"
    ]
    assert odd == [".apiVersion", ".kind"], "which the API server itself holds"


def test_every_quantity_has_a_form_and_bounds() -> None:
    odd = [
        path
        for path, schema in NODES
        if schema.get("x-kubernetes-int-or-string")
        and not schema.keys() >= {"pattern", "maxLength", "x-kubernetes-validations"}
    ]
    assert odd == []


def test_every_list_is_bounded_and_says_how_it_merges() -> None:
    odd = [
        path
        for path, schema in LISTS
        if "maxItems" not in schema or not schema.get("x-kubernetes-list-type")
    ]
    assert odd == []


def test_the_keys_of_every_list_map_are_required() -> None:
    odd = [
        path
        for path, schema in LISTS
        if schema["x-kubernetes-list-type"] == "map"
        and not set(schema["x-kubernetes-list-map-keys"]) <= set(schema["items"]["required"])
    ]
    assert odd == []


def test_every_map_is_bounded() -> None:
    assert [path for path, schema in MAPS if "maxProperties" not in schema] == []


def test_every_field_is_described_in_sentences() -> None:
    odd = [path for path, schema in FIELDS if not schema.get("description", "").endswith(".")]
    assert odd == []


def test_every_rule_says_what_must_be() -> None:
    messages = [
        rule["message"]
        for _, schema in NODES
        for rule in schema.get("x-kubernetes-validations", ())
    ]
    assert [message for message in messages if " must " not in message] == []


def test_no_required_field_has_a_default() -> None:
    odd = [
        f"{path}.{name}"
        for path, schema in NODES
        for name in schema.get("required", ())
        if "default" in schema["properties"][name]
    ]
    assert odd == []


def test_every_default_is_allowed() -> None:
    odd = [
        path
        for path, schema in NODES
        if "default" in schema and schema["default"] not in schema.get("enum", [schema["default"]])
    ]
    assert odd == []


def test_names_are_camel_case_and_units_are_spelt_out() -> None:
    names = {path.rpartition(".")[2] for path, _ in FIELDS}
    assert [name for name in names if not name.isalnum() or name[0].isupper()] == []
    assert [name for name in names if name.endswith(("Ms", "Sec", "Secs", "Interval"))] == []


def test_nothing_in_the_status_is_required_and_it_is_born_unseen() -> None:
    status = ROOT["properties"]["status"]
    assert "required" not in status
    assert status["default"] == {"observedGeneration": -1}
    assert "default" not in status["properties"]["observedGeneration"]


def test_replicas_has_no_default() -> None:
    assert "default" not in ROOT["properties"]["spec"]["properties"]["replicas"]


def test_it_stays_far_below_the_limit_of_an_object() -> None:
    assert len(crd.text()) < 200_000, "client-side apply keeps a copy in an annotation of 256 KiB"


def test_the_generator_writes_and_tells_drift(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "crd.yaml"

    def generate(*words: str) -> int:
        return generated.main("pluginsandbox.api.crd", crd.FILE, crd.text(), [*words, str(path)])

    assert generate("--check") == 1, "there is no file yet"
    capsys.readouterr()
    assert (generate(), generate("--check")) == (0, 0)
    path.write_text(path.read_text(encoding="utf-8").replace("maximum: 8\n", "maximum: 9\n"))
    assert generate("--check") == 1
    changes = [line.split() for line in capsys.readouterr().err.splitlines() if line[0] in "+-"]
    assert changes[2:] == [["-", "maximum:", "9"], ["+", "maximum:", "8"]]
