"""Writes docs/api.md from the models: `python -m pluginsandbox.api.reference`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pluginsandbox.api.generated import main
from pluginsandbox.api.model import VALIDATIONS, Model
from pluginsandbox.api.sandbox import API_VERSION, KIND, Metadata, PluginSandbox
from pluginsandbox.api.structural import INT_OR_STRING, Schema, structural

FILE = Path("docs", "api.md")
HEADER = f"""<!-- Generated from pluginsandbox.api by `make generate`; edit the models instead. -->
# {KIND}, `{API_VERSION}`

Namespaced; short name `psb`. Fields in **bold** are required. A field that is absent always means
its default. `kubectl explain psb.spec` shows the same in a terminal.
"""
FOOTER = """# Conditions
What each condition and each of its reasons means, and what to do: [conditions.md](conditions.md).
"""

LENGTHS = (("Items", "items"), ("Length", "characters"), ("Properties", "keys"))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; what would break its cells is escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    cells = ([cell.replace("|", r"\|").replace("\n", " ") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def text() -> str:
    """Return the reference: every object of the kind."""
    return "\n".join([HEADER, *(_section(model) for model in _models(PluginSandbox)), FOOTER])


def _models(root: type[Model]) -> list[type[Model]]:
    """Return the model and all that it holds, each once, outer ones first."""
    found = [root]
    for model in found:
        parts = (field.annotation for field in model.model_fields.values())
        found += dict.fromkeys(
            part
            for annotation in parts
            for part in _within(annotation)
            if part not in (*found, Metadata)
        )
    return found


def _within(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for argument in get_args(annotation):
        yield from _within(argument)


def _section(model: type[Model]) -> str:
    schema = structural(model)
    required = schema.get("required", ())
    rows = []
    for field in model.model_fields.values():
        name = str(field.alias)
        part = schema["properties"][name]
        held = next(_within(field.annotation), None)
        if held is Metadata:
            continue
        shown = f"**{name}**" if name in required else name
        rows.append((shown, _type(part, held), _default(part), _bounds(part), _about(part)))
    rules = "".join(f"- {rule['message']}\n" for rule in schema.get(VALIDATIONS, ()))
    heads = ("field", "type", "default", "bounds", "meaning")
    about = inspect.getdoc(model)
    return f"## {model.__name__}\n{about}\n\n{table(heads, rows)}" + (rules and f"\n{rules}")


def _about(part: Schema) -> str:
    return str(part.get("description", "")).split("\n\n", maxsplit=1)[0]


def _type(part: Schema, held: type[Model] | None) -> str:
    if INT_OR_STRING in part:
        return "quantity"
    if part.get("type") == "array":
        return f"list of {_type(part['items'], held)}"
    if "additionalProperties" in part:
        return "map of strings"
    if held:
        return f"[{held.__name__}](#{held.__name__.lower()})"
    return str(part.get("format", part["type"]))


def _default(part: Schema) -> str:
    default = part.get("default")
    return "" if default is None or isinstance(default, dict) else f"`{default}`"


def _bounds(part: Schema) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    said = []
    if "minimum" in part:
        said.append(f"{part['minimum']} to {part['maximum']}")
    for keyword, unit in LENGTHS:
        if f"max{keyword}" in part and INT_OR_STRING not in part:
            said.append(f"{_least(part, keyword)}at most {part[f'max{keyword}']} {unit}")
    rules = [rule["message"] for rule in part.get(VALIDATIONS, ()) if "properties" not in part]
    return "; ".join([*said, *rules])


def _least(part: Mapping[str, Any], keyword: str) -> str:
    least = part.get(f"min{keyword}", 0)
    return f"at least {least}, " if least else ""


if __name__ == "__main__":
    sys.exit(main(__spec__.name, FILE, text()))
