"""Asking another member: signed, over kept connections, and believed only if the answer is signed.

Each connection begins with a greeting, so that nothing else is ever said to somebody who does not
hold the key, and so that both know which of two keys the other has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pluginsandbox.host.peers import messages, seal
from pluginsandbox.host.peers.keys import Keys
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.messages import Hello
from pluginsandbox.host.peers.node import Node
from pluginsandbox.host.peers.seal import ANY_INCARNATION, ForgedError, Sealer
from pluginsandbox.host.peers.wire import LostError, Reply, Wire, open_wire

MAX_WIRES = 128
"""To one member: so many calls are with it at once, the others wait."""

OK, DIFFERS = 200, 421


class StrangerError(Exception):
    """Who answers at the address does not hold the key, or does not take ours."""


class Link:
    """All connections to one address.

    Args:
        address: Where.
        links: What it shares with its like.

    """

    def __init__(self, address: str, links: Links) -> None:
        self._address = address
        self._links = links
        self._room = asyncio.Semaphore(MAX_WIRES)
        self._free: list[tuple[Wire, bytes]] = []

    async def ask(self, kind: str, body: bytes, to: Member) -> bytes:
        """Ask a member, and return its answer.

        Raises:
            ConnectionRefusedError: No host runs there.
            OSError: It cannot be reached.
            StrangerError: It is no member.
            LostError: It may have got the question, and will not answer.

        """
        async with self._room:
            wire, key = await self._take()
            try:
                reply, number = await self._send(wire, key, kind, body, to)
            except BaseException:
                wire.close()
                raise
            answer, _ = self._believe(wire, key, number, reply)
            self._free.append((wire, key))
            return answer

    def close(self) -> None:
        """End the connections that nothing waits on."""
        while self._free:
            self._free.pop()[0].close()

    async def greet(self, key: bytes, wire: Wire) -> bool:
        """Greet over a new connection; False if the other does not take the key."""
        links = self._links
        to = Member(self._address, ANY_INCARNATION)
        reply, number = await self._send(wire, key, messages.HELLO, links.hello(), to)
        if reply.status != OK:
            return False
        answer, member = self._believe(wire, key, number, reply)
        links.welcome(member, messages.decode(answer, Hello))
        return True

    async def _take(self) -> tuple[Wire, bytes]:
        keys = self._links.keys.all
        while self._free:
            wire, key = self._free.pop()
            if wire.usable and key in keys:
                return wire, key
            wire.close()
        for key in keys:
            wire = await open_wire(self._address, self._links.port)
            try:
                if await self.greet(key, wire):
                    return wire, key
            except BaseException:
                wire.close()
                raise
            wire.close()
        raise StrangerError(self._address)

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

    def _believe(self, wire: Wire, key: bytes, number: int, reply: Reply) -> tuple[bytes, Member]:
        try:
            return reply.body, seal.check_answer(key, number, reply.headers, reply.body)
        except ForgedError:
            wire.close()
            raise StrangerError(self._address) from None


class Links:
    """The ways to all members.

    Args:
        node: Who asks.
        keys: By which.
        sealer: Signs.
        port: Of every member.
        welcome: Told what a member answered to a greeting.

    """

    def __init__(
        self,
        node: Node,
        keys: Keys,
        sealer: Sealer,
        port: int,
        welcome: Callable[[Member, Hello], None],
    ) -> None:
        self.node = node
        self.keys = keys
        self.sealer = sealer
        self.port = port
        self.welcome = welcome
        self._links: dict[str, Link] = {}

    def hello(self) -> bytes:
        """Return what is told in a greeting."""
        return messages.encode(Hello.of(self.node.members))

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
        me = Member(address, ANY_INCARNATION)
        answer = await self.ask(me, messages.HELLO, self.hello(), seconds)
        self.welcome(me, messages.decode(answer, Hello))

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
