"""The door for the cluster, port 9090: probes, metrics, statistics. No caller's id leaves here."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pluginsandbox.host import problem as problems
from pluginsandbox.host import stats
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.contexts import Context
from pluginsandbox.host.http_head import Head
from pluginsandbox.host.http_protocol import Connection
from pluginsandbox.host.problem import Problem

JSON = "Content-Type: application/json\r\n"
TEXT = "Content-Type: text/plain; charset=utf-8\r\n"
SHOWN_CONTEXTS = 1000

Page = tuple[int, str, bytes]


class AdminDoor:
    """Handles requests of the kubelet, of Prometheus and of the operator.

    Args:
        host: What they ask about.

    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pages: dict[bytes, Callable[[], Page]] = {
            b"/healthz": lambda: (200, TEXT, b"ok\n"),
            b"/readyz": self._ready,
            b"/metrics": self._metrics,
            b"/stats": lambda: (200, JSON, stats.document(host)),
            b"/contexts": self._contexts,
        }

    def admit(self, head: Head) -> int:
        """Find the page; no request here has a body."""
        head.route = self._pages.get(head.target.partition(b"?")[0])
        if head.route is None:
            known = ", ".join(path.decode() for path in self._pages)
            raise Problem(problems.NO_PATH, f"there is nothing at this path; there are: {known}")
        if head.method != b"GET":
            raise Problem(problems.METHOD, "the method must be GET", allow="GET")
        return 0

    def handle(self, connection: Connection, head: Head, body: bytes) -> None:
        """Answer at once."""
        del body
        if callable(head.route):
            connection.respond(*head.route())

    def hang_up(self, connection: Connection) -> None:
        """Do nothing: every answer is given at once."""

    def _ready(self) -> Page:
        host = self._host
        if host.ready:
            return 200, TEXT, b"ready\n"
        reasons = [
            f"plugin {plugin.name} is {plugin.state}: {plugin.reason}: {plugin.message}"
            for plugin in host.plugins.values()
            if plugin.state != "Loaded"
        ]
        if not host.confined:
            reasons.append("confinement is not proven; see /stats")
        if not host.admitted():
            reasons.append(f"the other pods do not know this one yet: {host.blocked()}")
        if host.invoker.draining:
            reasons.append("the host is draining")
        return 503, TEXT, "".join(f"{reason}\n" for reason in reasons).encode()

    def _metrics(self) -> Page:
        from pluginsandbox.telemetry import exposition  # noqa: PLC0415 - for those who are scraped

        content_type = f"Content-Type: {exposition.CONTENT_TYPE_LATEST}\r\n"
        return 200, content_type, exposition.document(self._host.metrics)

    def _contexts(self) -> Page:
        now = self._host.clock()
        contexts = list(self._host.table)
        shown = [self._context(context, now) for context in contexts[:SHOWN_CONTEXTS]]
        document = {"total": len(contexts), "contexts": shown}
        return 200, JSON, msgspec.json.encode(document)

    def _context(self, context: Context, now: float) -> dict[str, object]:
        return {
            "hash": self._host.hasher.of(context),
            "ageSeconds": round(now - context.born, 3),
            "idleSeconds": 0.0 if context.active else round(now - context.used, 3),
            "ending": context.ending,
            "bindings": [
                {"plugin": binding.plugin.name, "generation": binding.generation}
                for binding in context.bindings
            ],
        }
