"""Tries to clash, overflow or escape by names."""

from __future__ import annotations

from typing import Any

from tests.deputy.record import NOTHING, SCHEMA, SERVER, SNAPSHOT, Try
from tests.unit.api.cases import P
from tests.unit.api.objects import ABSENT, PLUGIN

FORM = "metadata.name must have at most 50 characters"
LONGEST = "n" * 50


def named(name: str) -> dict[str, Any]:
    return {"metadata.name": name}


def prefixed(prefix: str) -> dict[str, Any]:
    return {"metadata.name": None, "metadata.generateName": prefix}


def plugins(*several: str) -> dict[str, Any]:
    return {"plugins": [{**PLUGIN, "name": name} for name in several]}


NAMES = (
    Try("have a name of 51 characters", SCHEMA, named("n" * 51), FORM),
    Try("have a name of 63 characters", SCHEMA, named("n" * 63), FORM),
    Try("have a name of 253 characters", SCHEMA, named("n" * 253), FORM),
    Try("have a name of 254 characters", SERVER, named("n" * 254), "253"),
    Try("have the longest name, and several pods", NOTHING, {**named(LONGEST), "replicas": 2}),
    Try("have a name with a point", SCHEMA, named("a.b"), FORM),
    Try("have a name that no Service can have", SCHEMA, named("1a"), FORM),
    Try("have a name in capitals", SERVER, named("Shop"), "RFC 1123"),
    Try("have a name in letters that look like others", SERVER, named("t\u0456ll"), "RFC 1123"),
    Try("have a name with a slash", SERVER, named("a/b"), "RFC 1123"),
    Try("have a name that is a path", SERVER, named(".."), "RFC 1123"),
    Try("have a name with a line", SERVER, named("a\nb"), "RFC 1123"),
    Try("have no name", SERVER, {"metadata.name": None}, "name or generateName is required"),
    Try("have a name made that is too long", SCHEMA, prefixed("n" * 60), FORM),
    Try("have a name made", NOTHING, prefixed("made-"), deploys=False),
    Try("be named like another's second key", NOTHING, named("till-peers-rotation")),
    Try("be named like another's snapshot", NOTHING, named(SNAPSHOT)),
    Try("be named like the cluster's DNS", NOTHING, named("kube-dns")),
    Try("be named like the API server", NOTHING, named("kubernetes")),
    Try("name a plugin like a volume of the host", NOTHING, plugins("config", "peers")),
    Try("name plugins so that their volumes clash", NOTHING, plugins("a", "plugin-a", "secret-a")),
    Try("name a plugin with the most characters", NOTHING, plugins("p" * 50)),
    Try("name a plugin with one more", SCHEMA, plugins("p" * 51), "Too long"),
    Try("name a plugin by a path", SCHEMA, plugins("../host"), "match"),
    Try("name a plugin with a point, as files are", SCHEMA, plugins("a.b"), "match"),
    Try("name two plugins alike", SCHEMA, plugins("a", "a"), "Duplicate value"),
    Try("name a plugin not at all", SCHEMA, {f"{P}.name": ABSENT}, "Required value"),
)
