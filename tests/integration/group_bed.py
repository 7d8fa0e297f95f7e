"""Several real hosts on this machine that are one sandbox: each a process on an address of its own.

A file of addresses stands for the cluster's DNS; callers are spread as a Service would, over the
hosts that are ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import secrets
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pluginsandbox.api.host_config import PluginConfig
from pluginsandbox.verify.digest import tree_digest
from tests.integration.host_bed import Host, Json, plugin, running

KEY = b"0123456789abcdef0123456789abcdef"
NEW_KEY = b"fedcba9876543210fedcba9876543210"

LEDGER = '''
from pluginsandbox.sdk import Plugin, function, slot


class Ledger(Plugin):
    """Counts in each context, durably and not."""

    total = slot(int, default=0, durable=True)
    passing = slot(int, default=0)

    @function
    def add(self, amount: int = 1) -> list[int]:
        """Add to both counts, and return them."""
        self.total.set(self.total.get() + amount)
        self.passing.set(self.passing.get() + amount)
        return [self.total.get(), self.passing.get()]
'''


@dataclass
class Pod:
    """One host of the group."""

    name: str
    address: str
    host: Host
    ends: contextlib.ExitStack


@dataclass
class Sandbox:
    """The group, and what its pods share."""

    folder: Path
    network: str
    port: int
    fields: dict[str, Any] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    keys_of_next: Path | None = None
    """Where pods that start from now on find their keys; None for where all do."""
    ledger: str = LEDGER
    """Code of that plugin in pods that start from now on."""
    ledger_contexts: int = 20_000

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def members(self) -> Path:
        return self.folder / "members"

    def share(self, key: bytes, previous: bytes | None = None) -> None:
        """Write the keys, as the kubelet would."""
        self.keys.mkdir(exist_ok=True)
        (self.keys / "key").write_bytes(key)
        if previous is not None:
            (self.keys / "previous").write_bytes(previous)

    def name(self, *addresses: str) -> None:
        """Have the cluster's DNS name just these."""
        self.members.write_text("\n".join(addresses))

    def start(self, *, ready: bool = True, named: bool = True) -> Pod:
        """Start a pod, and have DNS name it."""
        number = next(self.numbers)
        address = f"{self.network}.{number}"
        folder = self.folder / f"pod{number}"
        folder.mkdir()
        if named:
            self.name(*(pod.address for pod in self.pods.values()), address)
        ends = contextlib.ExitStack()
        host = ends.enter_context(
            running(
                folder,
                *self.plugins(folder),
                ready=ready,
                address=address,
                options=(
                    "--keys",
                    str(self.keys_of_next or self.keys),
                    "--members",
                    str(self.members),
                ),
                peers_service="shop-peers",
                peers_port=self.port,
                **self.fields,
            )
        )
        pod = Pod(f"pod{number}", address, host, ends)
        self.pods[pod.name] = pod
        return pod

    def plugins(self, folder: Path) -> tuple[PluginConfig, ...]:
        digest = tree_digest({"code_of_it.py": textwrap.dedent(self.ledger).encode()})
        ledger = plugin(folder, "ledger", self.ledger, "Ledger", max_contexts=self.ledger_contexts)
        return (
            plugin(folder, max_contexts=20_000, call_timeout_milliseconds=20_000),
            msgspec.structs.replace(ledger, digest=digest),
            plugin(folder, "own", isolation="PerContext"),
        )

    def stop(self, pod: Pod, seconds: float = 60) -> None:
        """Have a pod leave politely, and wait until it is gone."""
        pod.host.process.terminate()
        assert pod.host.process.wait(seconds) == 0
        self.drop(pod)

    def crash(self, pod: Pod) -> None:
        """Have a pod end without a word; DNS goes on naming it."""
        pod.host.process.kill()
        pod.host.process.wait(60)
        self.drop(pod)

    def drop(self, pod: Pod) -> None:
        self.pods.pop(pod.name, None)
        pod.ends.close()

    def agree(self) -> None:
        """Wait until every pod knows just the pods that are there."""
        for pod in self.pods.values():
            pod.host.until(functools.partial(self._knows_all, pod))

    def _knows_all(self, pod: Pod) -> bool:
        return pod.host.metric("peers") == len(self.pods)


@contextlib.contextmanager
def sandbox(folder: Path, **fields: Any) -> Iterator[Sandbox]:
    """Make a group without pods; all that it starts is ended."""
    random = secrets.randbelow(200 * 250)
    group = Sandbox(folder, f"127.{20 + random // 250}.{1 + random % 250}", 8082, fields)
    group.share(KEY)
    try:
        yield group
    finally:
        for pod in list(group.pods.values()):
            group.drop(pod)


class Load:
    """Callers that never stop: each sends its next call when the last is answered.

    Args:
        targets: Where calls may go; changed while it runs, as a Service's endpoints are.
        contexts: Which contexts are called.

    """

    def __init__(self, targets: list[tuple[str, int]], contexts: list[str]) -> None:
        self.targets = targets
        self.contexts = contexts
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.totals: dict[str, int] = {}
        """By context: the durable count in the last answer."""
        self.lost: list[str] = []
        """Contexts whose durable count did not grow by one."""
        self.not_given: list[str] = []
        """What pods that left said of contexts that no other took."""
        self.over = False

    async def call(self, number: int, callers: int, plugin_name: str) -> None:
        """Be one caller, with contexts of its own, so that it knows what their counts must be."""
        mine = self.contexts[number::callers]
        wire: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for turn in itertools.count(number):
            if self.over or not mine:
                break
            context = mine[turn % len(mine)]
            if wire is None:
                where = self.targets[turn % len(self.targets)]
                wire = await asyncio.open_connection(*where)
            status, closing, body = await self._exchange(wire, context, plugin_name)
            self._count(context, status, body)
            if closing or turn % 97 == 0:  # callers come and go
                wire[1].close()
                wire = None
        if wire is not None:
            wire[1].close()

    async def _exchange(
        self,
        wire: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        context: str,
        plugin_name: str,
    ) -> tuple[int, bool, bytes]:
        reader, writer = wire
        writer.write(
            f"POST /v1/plugins/{plugin_name}/functions/add HTTP/1.1\r\nHost: a\r\n"
            f"Sandbox-Context: {context}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)
        return int(head[9:12]), "connection: close" in head, body

    def _count(self, context: str, status: int, body: bytes) -> None:
        self.answers[status] += 1
        if status != 200:
            self.failures.append(f"{context}: {status} {body.decode()[:300]}")
            return
        found: Json = json.loads(body)
        total = found[0] if isinstance(found, list) else found
        if isinstance(found, list) and total != self.totals.get(context, 0) + 1:
            self.lost.append(f"{context}: {total} after {self.totals.get(context, 0)}")
        self.totals[context] = total
