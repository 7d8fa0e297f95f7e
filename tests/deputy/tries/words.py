"""Tries by characters: what reads like something else, ends a line, or ends a string."""

from __future__ import annotations

from typing import Any

from tests.deputy.record import NOTHING, SCHEMA, SERVER, Request, Try
from tests.unit.api.cases import P


def config(**settings: str) -> dict[str, Any]:
    return {f"{P}.config": settings}


SURROGATE = (
    b'{"apiVersion":"pluginsandbox.dev/v1alpha1","kind":"PluginSandbox","metadata":{"name":"half"},'
    b'"spec":{"plugins":[{"name":"a","runtime":"Python","source":{"configMap":{"name":"inventory-plugin"}},'
    b'"entryPoint":"a:A","config":{"a":"\\ud800"}}]}}'
)

WORDS = (
    Try("end a setting by a NUL", NOTHING, config(a="x\x00y")),
    Try("turn the direction of writing", NOTHING, config(a="\u202egnp.exe", b="\u2066x\u2069")),
    Try("clear the screen of who reads it", NOTHING, config(a="\x1b[2J\x1b]0;owned\x07")),
    Try("end the document within a setting", NOTHING, config(a='"}]}\n---\nkind: Pod\n')),
    Try(
        "have two settings that look alike",
        NOTHING,
        {f"{P}.config": {"\u00e9": "1", "e\u0301": "2"}},
    ),
    Try("have a setting without width", NOTHING, {f"{P}.config": {"\u200b": "1", "a\u200b": "2"}}),
    Try("have a setting without a name", SCHEMA, {f"{P}.config": {"": "1"}}, "1 to 128 characters"),
    Try(
        "count characters instead of bytes",
        SCHEMA,
        {f"{P}.config": {f"k{n}": "\U0001f600" * 2000 for n in range(3)}},
        "16384 bytes",
    ),
    Try(
        "send half a character", NOTHING, deploys=False, request=Request("POST", "$HERE", SURROGATE)
    ),
    Try(
        "send what is no UTF-8",
        SERVER,
        says="",
        request=Request(
            "POST",
            "$HERE",
            SURROGATE.replace(b"\\ud800", b"\xff\xfe").replace(b'"half"', b'"f\xffl"'),
        ),
    ),
    Try(
        "name a plugin in letters that look like others", SCHEMA, {f"{P}.name": "\u0430pp"}, "match"
    ),
    Try(
        "name a class in letters that Python takes",
        SCHEMA,
        {f"{P}.entryPoint": "\uff41:\uff21"},
        "match",
    ),
    Try("end a name by a line", SCHEMA, {f"{P}.name": "a\n"}, "match"),
    Try("end a path by a line", SCHEMA, {f"{P}.entryPoint": "a:B\n"}, "match"),
    Try(
        "name a field twice",
        NOTHING,
        deploys=False,
        request=Request(
            "POST",
            "$HERE",
            SURROGATE.replace(b"\\ud800", b"x")
            .replace(b'"half"', b'"twice"')
            .replace(b'"runtime":"Python"', b'"runtime":"Shell","runtime":"Python"'),
        ),
    ),
)
