"""A host's two doors as the suite uses them, and how an attack's call came back."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import re
import time
from collections.abc import Callable
from typing import Any

from tests.hostile.record import DENIED, DIED, NOTHING, PROTOCOL, TIMEOUT

SECONDS = 60.0
"""How long anything here is waited for; the machine may be busy."""

_OF_ITSELF = re.compile(r"died \((signal |exit status |it used up its memory|killed by the kernel)")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def end(self) -> str:
        """How the call ended, in the words of `record`."""
        if self.status == http.client.OK:
            return NOTHING
        detail = str(self.body.get("detail", ""))
        if self.status == http.client.GATEWAY_TIMEOUT:
            return TIMEOUT
        if self.status != http.client.BAD_GATEWAY:
            return str(self.body.get("exception") or f"status {self.status}")
        if "it made a system call" in detail:
            return DENIED
        return DIED if _OF_ITSELF.search(detail) else PROTOCOL


class Door:
    """Calls a host.

    Args:
        callers: Address and port of the door for callers.
        admin: The same of the cluster's.

    """

    def __init__(self, callers: tuple[str, int], admin: tuple[str, int]) -> None:
        self.callers = callers
        self._admin = admin

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        admin: bool = False,
    ) -> Answer:
        """Send one request."""
        to = self._admin if admin else self.callers
        connection = http.client.HTTPConnection(*to, timeout=SECONDS)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            text, named = response.read(), {k.lower(): v for k, v in response.getheaders()}
        try:
            return Answer(response.status, json.loads(text), named)
        except ValueError:
            return Answer(response.status, text.decode(errors="replace"), named)

    def call(
        self, plugin: str, function: str, context: str | None = None, **arguments: Any
    ) -> Answer:
        """Call a function."""
        named = {} if context is None else {"Sandbox-Context": context}
        return self.send(plugin, function, named, arguments)

    def send(
        self, plugin: str, function: str, headers: dict[str, str], arguments: dict[str, Any]
    ) -> Answer:
        """Call a function with any headers."""
        return self.request(
            "POST", f"/v1/plugins/{plugin}/functions/{function}", arguments, headers
        )

    def release(self, context: str) -> None:
        """Give a context back."""
        self.request("DELETE", f"/v1/contexts/{context}")

    def stats(self) -> Any:
        """Return what the host says of itself."""
        return self.request("GET", "/stats", admin=True).body

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the series of a metric that have these labels."""
        text = str(self.request("GET", "/metrics", admin=True).body)
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith(f"pluginsandbox_{name}{{") and all(each in line for each in wanted)
        )


def until(condition: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Wait for a condition; return whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
