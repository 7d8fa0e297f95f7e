"""The table of the chart's values, from the comments in values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):")


def insert(text: str, table: str) -> str:
    """Put a table between the marks of a page.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page must hold {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def table(text: str) -> str:
    """Return the Markdown table of a values.yaml.

    Args:
        text: the file; a comment right above a key describes it.
    """
    data = yaml.safe_load(text)
    rows = [
        f"| `{path}` | `{_default(data, path)}` | {about} |" for path, about in _described(text)
    ]
    return "\n".join(["| Value | Default | Meaning |", "|---|---|---|", *rows]) + "\n"


def _described(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the comment of each key that has one."""
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        words = line.strip()
        found = KEY.match(line)
        if words.startswith("#"):
            comment.append(words.lstrip("# "))
            continue
        if found:
            path = [*path[: len(found["indent"]) // 2], found["key"]]
            if comment:
                yield ".".join(path), " ".join(comment)
        comment = []


def _default(data: Any, path: str) -> str:
    for key in path.split("."):
        data = data[key]
    return data if isinstance(data, str) and data else json.dumps(data)
