"""Turns pydantic's JSON schema into the structural schema that the API server takes.

What cannot be said there is an error that names its place, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from pluginsandbox.api.model import LIST_MAP_KEYS, LIST_TYPE, MAP_TYPE, VALIDATIONS

Schema = dict[str, Any]

INT_OR_STRING = "x-kubernetes-int-or-string"
INT32_MAX = 2**31 - 1
KEYWORDS = frozenset(
    {
        *("type", "format", "description", "default", "enum", "pattern", "required"),
        *("properties", "additionalProperties", "items", "anyOf"),
        *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
        *("minProperties", "maxProperties"),
        *(VALIDATIONS, LIST_TYPE, LIST_MAP_KEYS, MAP_TYPE, INT_OR_STRING),
    }
)
DROPPED = frozenset({"title", "$ref", "$defs", "const"})


class SchemaError(TypeError):
    """A model says what a structural schema cannot; the message names the field."""


def structural(model: type[BaseModel]) -> Schema:
    """Return the structural schema of the model.

    Raises:
        SchemaError: A field has no counterpart, such as a union or a recursive model.

    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(schema, schema.get("$defs", {}), model.__name__, ())


def _convert(
    schema: Mapping[str, Any], models: Mapping[str, Schema], path: str, above: tuple[str, ...]
) -> Schema:
    merged = _without_null(schema, path)
    if "$ref" in merged:
        name = merged["$ref"].rpartition("/")[2]
        if name in above:
            raise SchemaError(f"{path}: {name} contains itself")
        above = (*above, name)
        merged = _merge(models[name], merged)
    unknown = merged.keys() - KEYWORDS - DROPPED
    if unknown:
        raise SchemaError(f"{path}: a structural schema has no {', '.join(sorted(unknown))}")
    result = {key: value for key, value in merged.items() if key not in DROPPED}
    _convert_value(result, merged)
    for key, child in result.get("properties", {}).items():
        result["properties"][key] = _convert(child, models, f"{path}.{key}", above)
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = _convert(result[key], models, f"{path}.{key}", above)
    _convert_default(result)
    return result


def _convert_value(result: Schema, source: Mapping[str, Any]) -> None:
    if "const" in source:
        result["enum"] = [source["const"]]
    if "properties" in result:
        result["properties"] = dict(result["properties"])
    if result.get("type") == "integer":
        small = result.get("maximum", INT32_MAX) <= INT32_MAX
        result["format"] = "int32" if small else "int64"


def _without_null(schema: Mapping[str, Any], path: str) -> Schema:
    """Reduce `T | None` to T: an absent field is absent, never null."""
    result = dict(schema)
    if "anyOf" not in result or INT_OR_STRING in result:
        return result
    others = [choice for choice in result.pop("anyOf") if choice != {"type": "null"}]
    if len(others) != 1:
        raise SchemaError(f"{path}: a structural schema has no unions")
    return _merge(others[0], result)


def _merge(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> Schema:
    rules = [*inner.get(VALIDATIONS, ()), *outer.get(VALIDATIONS, ())]
    return {**inner, **outer, **({VALIDATIONS: rules} if rules else {})}


def _convert_default(result: Schema) -> None:
    """Keep a default only where it says more than the absence, or than the parts' own defaults."""
    default = result.get("default")
    if isinstance(default, dict) and "properties" in result:
        parts = result["properties"]
        said = {key: value for key, value in default.items() if not _implied(value, parts[key])}
        result["default"] = said
    elif default is None or default in ("", [], {}):
        result.pop("default", None)


def _implied(value: Any, part: Schema) -> bool:
    if isinstance(value, dict) and isinstance(part.get("default"), dict):
        return all(_implied(inner, part["properties"][key]) for key, inner in value.items())
    return value in (None, "", [], {}) or value == part.get("default")
