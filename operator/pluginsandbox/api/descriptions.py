"""Reads what is written below a model's fields: the descriptions of the CRD.

Pydantic can do so as well, but for each class when it is made; that costs a quarter of a second,
and only the generators need it.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any


def attribute_docs(model: type[Any]) -> Mapping[str, str]:
    """Return the docstring of each field of the class itself, on one line."""
    module = inspect.getmodule(model)
    return _docs(module).get(model.__name__, {}) if module else {}


@functools.cache
def _docs(module: ModuleType) -> Mapping[str, Mapping[str, str]]:
    tree = ast.parse(inspect.getsource(module))
    return {node.name: _fields(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _fields(node: ast.ClassDef) -> Mapping[str, str]:
    found = {}
    for field, doc in zip(node.body, node.body[1:], strict=False):
        name = _field_name(field)
        if name and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            found[name] = " ".join(str(doc.value.value).split())
    return found


def _field_name(statement: ast.stmt) -> str:
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
        return ""
    is_field = not ast.unparse(statement.annotation).startswith("ClassVar")
    return statement.target.id if is_field else ""
