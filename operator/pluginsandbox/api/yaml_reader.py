"""Reads YAML as the API server's clients do, and refuses what would only hurt.

PyYAML alone lets the last of two equal keys win, takes `12:30` for a number, and builds whatever
a few aliases expand to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.constructor import ConstructorError

MAX_BYTES = 8 << 20
MAX_NODES = 200_000
"""Values in one document once its aliases are written out."""

_MERGE = "tag:yaml.org,2002:merge"
_STRING = "tag:yaml.org,2002:str"
_REPLACED = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp", "value")
)
_INT = re.compile(r"^([-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0[0-7]+)$")
_FLOAT = re.compile(r"^([-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$")


class YamlError(ValueError):
    """Not YAML, or more of it than is sensible; the message says where and why."""


class _Loader(yaml.SafeLoader):
    """Takes for numbers what Kubernetes takes for numbers."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def text_of(path: Path) -> str:
    """Return what a file holds.

    Raises:
        YamlError: It cannot be read, is too large, or is no text.

    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise YamlError(f"must be at most {MAX_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise YamlError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise YamlError(f"must be UTF-8: {error.reason}") from error


def read(text: str) -> list[Any]:
    """Return the documents of a YAML text; empty ones are None.

    Raises:
        YamlError: It is not YAML, a key is no string or occurs twice, an alias leads to itself, or
            the text or what its aliases expand to is too large.

    """
    if len(text) > MAX_BYTES:
        raise YamlError(f"must be at most {MAX_BYTES >> 20} MiB")
    try:
        return list(_documents(_Loader(text)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{place}{error.problem}") from error
    except yaml.YAMLError as error:
        raise YamlError(str(error)) from error
    except RecursionError as error:
        raise YamlError("must not be nested that deeply") from error


def _documents(loader: _Loader) -> Iterator[Any]:
    while loader.check_node() and (node := loader.get_node()) is not None:
        _measure(node, {})
        yield loader.construct_document(node)


def _measure(node: Node, sizes: dict[int, int]) -> int:
    """Return how many values `node` is with its aliases written out."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise _error("an alias leads to the value that holds it", node)
        return sizes[id(node)]
    sizes[id(node)] = 0
    if isinstance(node, MappingNode):
        _check_keys(node)
        children = [child for pair in node.value for child in pair]
    else:
        children = node.value if isinstance(node, SequenceNode) else []
    size = 1 + sum(_measure(child, sizes) for child in children)
    if size > MAX_NODES:
        raise _error(f"more than {MAX_NODES} values, aliases written out", node)
    sizes[id(node)] = size
    return size


def _check_keys(node: MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == _MERGE:
            continue
        if not isinstance(key, ScalarNode) or key.tag != _STRING:
            raise _error(f"a key must be a string: put {key.value} in quotes", key)
        if key.value in seen:
            raise _error(f"the key {key.value!r} occurs twice", key)
        seen.add(key.value)


def _error(problem: str, node: Node) -> ConstructorError:
    return ConstructorError(problem=problem, problem_mark=node.start_mark)
