"""Asking another member: signed, over kept connections, and believed only if the answer is signed.

Each connection begins with a greeting, so that nothing else is ever said to somebody who does not
hold the key, and so that both know which of two keys the other has.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from pluginsandbox.host.peers import messages, seal
from pluginsandbox.host.peers.keys import Keys
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.messages import Hello, Welcome
from pluginsandbox.host.peers.node import Node
from pluginsandbox.host.peers.seal import ANY_INCARNATION, ForgedError, Sealer
from pluginsandbox.host.peers.wire import LostError, Reply, Wire, open_wire

MAX_WIRES = 128
"""To one member: so many calls are with it at once, the others wait."""

OK, DIFFERS = 200, 421
Kept = tuple[Wire, bytes]
"""A connection, and the key that the other took on it."""


class StrangerError(Exception):
    """Who answers at the address does not hold the key, or does not take ours."""


class Greeter(Protocol):
    """Who greets, and is greeted."""

    def hello(self) -> Hello:
        """Return what is told in a greeting."""

    def welcome(self, address: str, welcome: Welcome) -> None:
        """Take what a pod answered to a greeting.

        Raises:
            msgspec.DecodeError: It cannot be read.

        """


class Link:
    """All connections to one address.

    Args:
        address: Where.
        links: What it shares with its like.

    """

    def __init__(self, address: str, links: Links) -> None:
        self._address = address
        self._anybody = Member(address, ANY_INCARNATION)
        self._links = links
        self._room = asyncio.Semaphore(MAX_WIRES)
        self._free: list[Kept] = []

    async def ask(self, kind: str, body: bytes, to: Member) -> bytes:
        """Ask a member, and return its answer.

        Raises:
            ConnectionRefusedError: No host runs there.
            OSError: It cannot be reached.
            StrangerError: It is no member.
            LostError: It may have got the question, and will not answer.

        """
        async with self._room:
            return await self._ask(self._take() or await self._open(), kind, body, to)

    async def greet(self) -> None:
        """Greet whoever is there; a new connection begins with that. Errors as `ask`."""
        async with self._room:
            kept = self._take()
            if kept is None:
                self._free.append(await self._open())
                return
            answer = await self._ask(kept, messages.HELLO, self._links.hello(), self._anybody)
        self._links.greeter.welcome(self._address, messages.decode(answer, Welcome))

    def close(self) -> None:
        """End the connections that nothing waits on."""
        while self._free:
            self._free.pop()[0].close()

    def _take(self) -> Kept | None:
        """Return a connection that nothing waits on, if one is left."""
        while self._free:
            wire, key = self._free.pop()
            if wire.usable and key in self._links.keys.all:
                return wire, key
            wire.close()
        return None

    async def _open(self) -> Kept:
        """Open a connection, and greet by the first key that the other takes."""
        for key in self._links.keys.all:
            wire = await open_wire(self._address, self._links.port)
            try:
                if await self._begin(wire, key):
                    return wire, key
            except BaseException:
                wire.close()
                raise
            wire.close()
        raise StrangerError(self._address)

    async def _begin(self, wire: Wire, key: bytes) -> bool:
        """Greet over a new connection; False if the other does not take the key."""
        links = self._links
        reply, number = await self._send(wire, key, messages.HELLO, links.hello(), self._anybody)
        if reply.status != OK:
            return False
        answer = self._believe(wire, key, number, reply)
        links.greeter.welcome(self._address, messages.decode(answer, Welcome))
        return True

    async def _ask(self, kept: Kept, kind: str, body: bytes, to: Member) -> bytes:
        wire, key = kept
        try:
            reply, number = await self._send(wire, key, kind, body, to)
        except BaseException:
            wire.close()
            raise
        answer = self._believe(wire, key, number, reply)
        self._free.append(kept)
        return answer

    async def _send(
        self, wire: Wire, key: bytes, kind: str, body: bytes, to: Member
    ) -> tuple[Reply, int]:
        links = self._links
        path = messages.PATH + kind
        number, headers = links.sealer.headers(
            key, path, links.node.me, to, links.node.view.hash, body
        )
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._address}\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return await wire.exchange(head.encode("latin-1") + body), number

    def _believe(self, wire: Wire, key: bytes, number: int, reply: Reply) -> bytes:
        try:
            seal.check_answer(key, number, reply.headers, reply.body)
        except ForgedError:
            wire.close()
            raise StrangerError(self._address) from None
        return reply.body


class Links:
    """The ways to all members.

    Args:
        node: Who asks.
        keys: By which.
        sealer: Signs.
        port: Of every member.
        greeter: Says what a greeting tells, and takes what is answered.

    """

    def __init__(
        self,
        node: Node,
        keys: Keys,
        sealer: Sealer,
        port: int,
        greeter: Greeter,
    ) -> None:
        self.node = node
        self.keys = keys
        self.sealer = sealer
        self.port = port
        self.greeter = greeter
        self._links: dict[str, Link] = {}

    def hello(self) -> bytes:
        """Return what is told in a greeting."""
        return messages.encode(self.greeter.hello())

    async def ask(self, to: Member, kind: str, body: bytes, seconds: float) -> bytes:
        """Ask a member within a time.

        Raises:
            TimeoutError: No answer came.
            OSError: See `Link.ask`; the same for the others.

        """
        link = self._link(to.address)
        async with asyncio.timeout(seconds):
            return await link.ask(kind, body, to)

    async def greet(self, address: str, seconds: float) -> None:
        """Greet whoever is at an address; errors as `ask`."""
        link = self._link(address)
        async with asyncio.timeout(seconds):
            await link.greet()

    def forget(self, address: str) -> None:
        """Close what leads to an address."""
        link = self._links.pop(address, None)
        if link is not None:
            link.close()

    def close(self) -> None:
        """Close everything."""
        for address in list(self._links):
            self.forget(address)

    def _link(self, address: str) -> Link:
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = Link(address, self)
        return link


REACHED_NOT = (OSError, StrangerError)
"""The question was not read, or not by a member."""
FAILED = (OSError, StrangerError, LostError)
