"""What there is to call, for people and generators: `/v1/plugins` and `/openapi.json`.

The schemas come from workers and are not trusted: one that is no JSON Schema object becomes the
schema that allows anything, and references may point only into the schema that they stand in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pluginsandbox import __version__
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.frames import FunctionInfo
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.problem import EXECUTED, MEDIA_TYPE

Json = dict[str, Any]

DEFINITIONS = "#/$defs/"
COMPONENTS = "#/components/schemas/"
PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "executed"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "executed": {"enum": list(EXECUTED)},
    },
}
PARAMETERS: list[Json] = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "description": text,
        "schema": schema,
    }
    for name, text, schema in (
        (
            "Sandbox-Context",
            "Whose state; absent: a fresh context that ends with the call.",
            {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"},
        ),
        (
            "Sandbox-Bind",
            "Answer 410 rather than start with fresh state: `existing`, `existing; generation=n`.",
            {"type": "string"},
        ),
        (
            "Sandbox-Timeout-Ms",
            "Tightens the plugin's own time-out; waiting included.",
            {"type": "integer", "minimum": 1},
        ),
    )
]


def listing(plugins: Iterable[Plugin]) -> bytes:
    """Return the document of `/v1/plugins`."""
    return msgspec.json.encode({"plugins": [_plugin(plugin) for plugin in plugins]})


def _plugin(plugin: Plugin) -> Json:
    functions = () if plugin.prepared is None else plugin.prepared.functions
    shown: Json = {
        "name": plugin.name,
        "state": plugin.state,
        "isolation": plugin.config.isolation,
        "digest": plugin.config.digest,
        "functions": [{"name": info.name, "summary": info.summary} for info in functions],
    }
    if plugin.state != "Loaded":
        shown.update(reason=plugin.reason, message=plugin.message)
    return shown


class OpenApi:
    """Makes `/openapi.json`, anew whenever another plugin has loaded.

    Args:
        host: Whose plugins.

    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._made_for: tuple[str, ...] | None = None
        self._document = b""

    def document(self) -> bytes:
        """Return it."""
        loaded = [plugin for plugin in self._host.plugins.values() if plugin.prepared is not None]
        names = tuple(plugin.name for plugin in loaded)
        if names != self._made_for:
            self._document = msgspec.json.encode(self._make(loaded))
            self._made_for = names
        return self._document

    def _make(self, plugins: Iterable[Plugin]) -> Json:
        schemas: Json = {"Problem": PROBLEM}
        paths: Json = {}
        for plugin in plugins:
            for info in plugin.artefact.functions:
                path = f"/v1/plugins/{plugin.name}/functions/{info.name}"
                paths[path] = {"post": _operation(plugin, info, schemas)}
        config = self._host.config
        return {
            "openapi": "3.1.0",
            "info": {"title": f"{config.namespace}/{config.sandbox}", "version": __version__},
            "paths": paths,
            "components": {"schemas": schemas},
        }


def _operation(plugin: Plugin, info: FunctionInfo, schemas: Json) -> Json:
    name = f"{plugin.name}.{info.name}"
    arguments = _lifted(info.arguments_schema, f"{name}.arguments", schemas)
    result = _lifted(info.result_schema, f"{name}.result", schemas)
    return {
        "operationId": name,
        "tags": [plugin.name],
        "summary": info.summary,
        "parameters": PARAMETERS,
        "requestBody": {"content": {"application/json": {"schema": arguments}}},
        "responses": {
            "200": {
                "description": "The result",
                "content": {"application/json": {"schema": result}},
            },
            "default": {
                "description": "An error; `executed` says whether the plugin may have acted",
                "content": {MEDIA_TYPE: {"schema": {"$ref": f"{COMPONENTS}Problem"}}},
            },
        },
    }


def _lifted(encoded: bytes, name: str, schemas: Json) -> Json:
    """Return a schema whose definitions were moved to the document's components."""
    try:
        schema = msgspec.json.decode(encoded, type=dict[str, Any])
        definitions = schema.pop("$defs", {})
        for key, definition in definitions.items():
            schemas[f"{name}.{key}"] = _pointed(definition, name)
        lifted: Json = _pointed(schema, name)
    except (msgspec.MsgspecError, ValueError, AttributeError, RecursionError):
        return {}
    return lifted


def _pointed(value: Any, name: str) -> Any:
    """Return a schema with its references pointing to where its definitions are now."""
    if isinstance(value, list):
        return [_pointed(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _pointed(item, name) for key, item in value.items() if key != "$ref"}
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(DEFINITIONS):
        result["$ref"] = f"{COMPONENTS}{name}.{reference.removeprefix(DEFINITIONS)}"
    return result
