"""Segments that a plugin publishes, in a real restricted pod: read by all, written by none."""

from __future__ import annotations

import textwrap

import pytest

from tests.bed import sandboxes
from tests.bed.kubectl import until
from tests.bed.platform import Platform
from tests.bed.published import CODE, FATAL, FIND, HONEST, READ, REFUSED, SEEN, TRY
from tests.e2e.conftest import Post, door, ready

pytestmark = pytest.mark.pods

FILES = {"published.py": textwrap.dedent(CODE)}
PATIENT = {"callTimeoutMilliseconds": 30_000}


def make(operator: Platform, namespace: str) -> None:
    """Make a sandbox of one plugin that may publish and of two that may only read."""
    publisher = {**PATIENT, "publishedBytes": "1Mi"}
    own = {"isolation": "PerContext", "limits": PATIENT}
    sandboxes.apply(
        operator.kubectl,
        namespace,
        *(sandboxes.source(name, FILES) for name in ("source", "reader", "other")),
        sandboxes.sandbox(
            "shelf",
            sandboxes.plugin("source", "published:Obedient", limits=publisher),
            sandboxes.plugin("reader", "published:Obedient", **own),
            sandboxes.plugin("other", "published:Obedient", limits=PATIENT),
        ),
    )
    ready(operator.kubectl, namespace, "shelf")


def out(post: Post, plugin: str, code: str, context: str = "") -> str:
    status, _, result = post(plugin, "run", context=context, code=textwrap.dedent(code))
    assert status == 200, result
    return str(result)


def test_what_one_plugin_publishes_the_others_read_and_none_can_write(
    operator: Platform, namespace: str
) -> None:
    make(operator, namespace)
    with door(operator.kubectl, namespace, "shelf") as post:
        until("it is published", lambda: post("source", "run", code=HONEST)[0] == 200)
        assert {out(post, plugin, READ) for plugin in ("source", "reader", "other")} == {SEEN}
        assert out(post, "reader", "self.kept = 1; out = self.kept", "neighbour") == "1"
        tried = {
            attempt: out(post, "reader", FIND + TRY.format(attempt=code))
            for attempt, (code, _) in REFUSED.items()
        }
        assert tried == {attempt: error for attempt, (_, error) in REFUSED.items()}
        for code in FATAL.values():
            status, _, problem = post("reader", "run", code=FIND + code)
            assert status == 502
            assert "SIGSEGV" in problem["detail"], "the writer dies"
            assert out(post, "reader", "out = self.kept", "neighbour") == "1", "and nobody else"
        assert {out(post, plugin, READ) for plugin in ("source", "reader", "other")} == {SEEN}
