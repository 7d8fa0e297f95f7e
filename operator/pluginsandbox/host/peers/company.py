"""Everything that a host needs to be one of several: put together here, opened by `server`."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

import msgspec
import structlog

from pluginsandbox.host.assembly import Host
from pluginsandbox.host.calls import Call
from pluginsandbox.host.contexts_api import ContextsApi
from pluginsandbox.host.elsewhere import ContextRequest
from pluginsandbox.host.http_listener import Listener
from pluginsandbox.host.peers.door import PeerDoor, Relay
from pluginsandbox.host.peers.group import GREET_SECONDS, Group
from pluginsandbox.host.peers.handover import Handover
from pluginsandbox.host.peers.keys import Keys
from pluginsandbox.host.peers.links import Links
from pluginsandbox.host.peers.members import Member, Standing
from pluginsandbox.host.peers.messages import Forward, Hello, Moving, Welcome
from pluginsandbox.host.peers.node import Node
from pluginsandbox.host.peers.resolver import Resolver
from pluginsandbox.host.peers.router import Router
from pluginsandbox.host.peers.seal import Sealer

# After the last word: for calls that were sent here before it was heard.
LINGER_SECONDS = 0.5
LOOK_SECONDS = 0.01

log = structlog.get_logger(__name__)


class Company:
    """The other pods of the sandbox, and this one's place among them.

    Args:
        host: What is served.
        address: This pod's own, by which the others know it.
        port: Of every pod's door for the others.
        keys: Directory of the key that they share; while it is empty this pod is alone.
        resolve: Finds the others.

    """

    def __init__(self, host: Host, address: str, port: int, keys: Path, resolve: Resolver) -> None:
        self.host = host
        self.address = address
        self.port = port
        self.node = Node(Member(address, _incarnation()), lambda: time.time_ns() // 1000)
        self.keys = Keys(keys)
        sealer = Sealer(time.time)
        self.group = Group(self.node, self.keys, resolve)
        self.group.links = Links(self.node, self.keys, sealer, port, self.group)
        self.router = Router(host, self.group, ContextsApi(host))
        self.handover = Handover(host, self.group, self.router)
        self.group.on_change = self.router.searches.wake
        self.group.on_disowned = self._come_back
        self.group.may_join = lambda: host.loaded and self._open
        door = PeerDoor(self.node, self.keys, sealer, self, host.clock)
        self.listener = Listener(door, host.wheel, host.clock)
        # Without a key this pod works as if there were no others.
        host.admitted = lambda: not self.keys.all or self.node.joined
        host.blocked = lambda: self.group.blocked
        self.socket: asyncio.Server
        """The door's. Who knocks before it is opened is refused, and need not wait for an answer
        from a pod that is busy with its plugins."""
        self._open = False
        self._task: asyncio.Task[None] | None = None
        host.metrics.peers().set_function(lambda: len(self.node.view))
        host.metrics.peers_silent().set_function(lambda: len(self.group.silent))

    def start(self) -> None:
        """Look for the others; a pod that was alone goes on with what it holds."""
        self.keys.on_first = self._open_up
        self.keys.refresh()
        self._task = asyncio.create_task(self.group.run())

    async def open(self) -> None:
        """Answer the others from now on, and join them."""
        await self.socket.start_serving()
        self._open = True

    def _open_up(self) -> None:
        """Route calls from now on: there is a key, so there may be others."""
        host = self.host
        for context in host.table:
            if not context.fresh:
                self.node.keep(self.router.key(context.tenant, context.name))
        host.invoker.elsewhere = self.router
        host.table.on_removed = self.router.left
        if host.was_ready:
            log.info("a pod that was alone gets company", contexts=len(host.table))
            self.group.enter()

    async def _come_back(self) -> None:
        """Begin anew as another member: the others may hold what is held here."""
        host = self.host
        log.warning("the other pods believe that this one had ended", member=str(self.node.me))
        for context in host.table:
            if not context.fresh:
                host.reclaimer.end(context, "Evicted")
        while any(not context.fresh for context in host.table):  # noqa: ASYNC110 - a rare end
            await asyncio.sleep(LOOK_SECONDS)
        known = self.node.members.of(self.address).incarnation
        self.node.reborn(max(known + 1, _incarnation()))

    # --- the end ---------------------------------------------------------------------------------

    def begin_to_leave(self) -> None:
        """Take nothing new, and tell the others."""
        if self.node.me in self.node.view:
            self.node.stand(Standing.LEAVING)
            self.group.changed()
            self.group.tell_all()

    async def leave(self) -> None:
        """Tell the others that nothing is held here any more, and answer their last calls."""
        if self.node.me in self.node.view:
            self.node.stand(Standing.GONE)
            self.group.over = True
            self.router.searches.wake()
            told = self.group.tell_all()
            if told:
                await asyncio.wait(told, timeout=GREET_SECONDS)
                await asyncio.sleep(LINGER_SECONDS)

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.router.close()
        self.group.links.close()
        self.listener.close()

    # --- what the door hands over ----------------------------------------------------------------

    def forwarded(self, relay: Relay, forward: Forward) -> None:
        """Run a call."""
        self.router.forwarded(relay, forward)

    def asked(self, relay: Relay, request: ContextRequest) -> None:
        """Answer a request about a context."""
        self.router.reach(relay, request)

    def offered(self, giver: Member, moving: Moving) -> msgspec.Struct:
        """Take a context over, or not."""
        return self.handover.offered(giver, moving)

    def greeted(self, sender: Member, hello: Hello) -> Welcome:
        """Learn what a member tells of who is there, and tell it the same."""
        return self.group.greeted(sender, hello)

    def abandoned(self, pending: object) -> None:
        """Let a call go whose sender is gone."""
        if isinstance(pending, Call):
            self.host.invoker.abandon(pending)


def _incarnation() -> int:
    """Return a number above those of earlier processes here, that no other process has."""
    return time.time_ns() // 1000 << 12 | secrets.randbits(12)
