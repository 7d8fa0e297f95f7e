"""Keeps one pod in touch with the others: who is there, who went, who knows what.

Once a second it reads the keys and resolves the name of all; it greets whom it does not know, and
two of the others in turn. What it learns goes to its node; when a home has become responsible for
more, it asks the members what they hold. Whoever's connection is refused twice has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog

from pluginsandbox.host.peers import messages
from pluginsandbox.host.peers.keys import Keys
from pluginsandbox.host.peers.links import FAILED, Links, StrangerError
from pluginsandbox.host.peers.members import Member, Standing
from pluginsandbox.host.peers.messages import Hello, Report, Reported
from pluginsandbox.host.peers.node import Node
from pluginsandbox.host.peers.resolver import Resolver

TICK_SECONDS = 1.0
# While this pod has not joined.
HURRY_SECONDS = 0.25
ASK_SECONDS = 2.0
ROUND = 2
"""Greeted in turn each second, so that what one pod missed another tells it. A greeting tells of
all, so its cost grows with the pods, too: many more would cost dozens of pods a core."""
REFUSALS = 2
"""One may meet a process that has just been replaced and listens again at once."""
PATIENCE_SECONDS = 5.0
"""At most, between two greetings to an address at which no member is heard yet: who is there greets
by itself, and dozens of pods that start at once would each knock at all the others for ever."""
# For a pod that DNS named once and names no more.
SILENT_SECONDS = 5.0
# For one that DNS has not named yet: longer than name servers keep an old answer.
UNNAMED_SECONDS = 35.0
FIRST_SETTLE_SECONDS = 0.02
LAST_SETTLE_SECONDS = 1.0
"""While many pods come no two views are equal for long, and to ask more often helps nobody."""

log = structlog.get_logger(__name__)


class Group:
    """The members of a sandbox, as seen from one.

    Args:
        node: Its part of the protocol.
        keys: What members share; while there is none, this pod is alone.
        resolve: Finds the others.

    """

    def __init__(self, node: Node, keys: Keys, resolve: Resolver) -> None:
        self.node = node
        self.keys = keys
        self.links: Links
        self.on_change: Callable[[], None] = lambda: None
        """Told when the view has changed, or a home knows more."""
        self.on_disowned: Callable[[], Awaitable[None]]
        """Told when others believe that this pod is gone; gives up what it holds."""
        self.may_join: Callable[[], bool] = lambda: True
        self.over = False
        """This pod has said its last word."""
        self.blocked = ""
        """Why it has not joined yet, for a person."""
        self._resolve = resolve
        self._named: frozenset[str] = frozenset()
        """Addresses of the last answer of DNS that named this one."""
        self._absent: dict[str, float] = {}
        """Since when such answers have not named an address, in seconds."""
        self._once_named: set[str] = set()
        self._greeted: set[str] = set()
        self._refused: dict[str, int] = {}
        self._silent: dict[str, float] = {}
        """Since when an address does not answer, in seconds."""
        self._later: dict[str, tuple[float, float]] = {}
        """When an address where no member is heard is greeted again, and the pause after it."""
        self._told: set[str] = set()
        """Addresses of whose silence the log tells."""
        self._turn = 0
        self._next_turn = 0.0
        self._wake = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- time ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep in touch until cancelled."""
        try:
            while True:
                self.keys.refresh()
                if self.keys.all:
                    await self.look_around()
                self._wake.clear()
                hurry = HURRY_SECONDS if self.keys.all and not self.node.joined else TICK_SECONDS
                try:
                    async with asyncio.timeout(hurry):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for task in (*self._tasks, *([self._settling] if self._settling else [])):
                task.cancel()

    async def look_around(self) -> None:
        """Find out who is there, greet, and join when everybody knows this pod."""
        node = self.node
        if self.over:
            return
        if node.disowned:
            await self.on_disowned()
        if node.me not in node.view:
            if not self.may_join():
                return
            node.stand(Standing.JOINING)
        found = await self._resolve()
        if node.me.address in found:
            self._note_named(found)
        await self._greet_all(self._to_greet(found))
        if node.standing is Standing.JOINING and self._known_to_all():
            self.enter()

    def _note_named(self, found: frozenset[str]) -> None:
        self._named = found
        self._once_named |= found
        members = {member.address for member in self.node.view.standings}
        now = time.monotonic()
        self._absent = {one: self._absent.get(one, now) for one in members - found}

    def enter(self) -> None:
        """Become a member that may hold contexts."""
        self.node.stand(Standing.SERVING)
        log.info("joined", member=str(self.node.me), members=len(self.node.view))
        self.blocked = ""
        self.changed()
        self.tell_all()

    def _known_to_all(self) -> bool:
        me = self.node.me.address
        if me not in self._named and not self._met_one_that_serves():
            self.blocked = f"the peers' service does not name this pod's address {me} yet"
            return False
        others = {*self._named, *(member.address for member in self.node.view.standings)} - {me}
        missing = {one for one in others if one not in self._greeted and one not in self._refused}
        if missing:
            names = ", ".join(sorted(missing)[:5])
            self.blocked = f"these pods do not answer with the group's key yet: {names}"
        return not missing

    def _met_one_that_serves(self) -> bool:
        """Whether a member that holds contexts knows of this pod, and has said whom it knows."""
        serving = self.node.view.serving
        return any(member.address in self._greeted for member in serving)

    def _to_greet(self, found: frozenset[str]) -> set[str]:
        """Return whom to greet now: who is new or in doubt, and some of the others in turn."""
        me, now = self.node.me.address, time.monotonic()
        members = sorted({member.address for member in self.node.view.standings} - {me})
        doubtful = {
            one for one in (*self._refused, *self._silent) if one in found or one in members
        }
        unknown = ({*found, *self._named, *members} - {me}) - self._greeted
        early = {one for one, (due, _) in self._later.items() if due > now}
        return (doubtful | unknown) - (early - set(members)) | self._in_turn(members, now)

    def _in_turn(self, members: list[str], now: float) -> set[str]:
        if now < self._next_turn or not members:
            return set()
        self._next_turn = now + TICK_SECONDS
        start = self._turn % len(members)
        self._turn += ROUND
        return set([*members[start:], *members[:start]][:ROUND])

    # --- greeting --------------------------------------------------------------------------------

    async def _greet_all(self, addresses: Iterable[str]) -> None:
        await asyncio.gather(*(self.greet(address) for address in sorted(addresses)))

    async def greet(self, address: str) -> None:
        """Tell a pod who is there, and hear the same; note how it fares."""
        try:
            await self.links.greet(address, ASK_SECONDS)
        except ConnectionRefusedError:
            self._put_off(address)
            self._refused[address] = self._refused.get(address, 0) + 1
            if self._refused[address] >= REFUSALS:
                self._bury(address, "its connections are refused")
        except (*FAILED, msgspec.MsgspecError) as error:
            if isinstance(error, StrangerError):
                log.warning("a pod does not take or hold the group's key", address=address)
            self._put_off(address)
            self._refused.pop(address, None)
            self._silent.setdefault(address, time.monotonic())
            self._tell_silence(address)
            if self._vanished(address):
                self._bury(address, "it is not named any more and does not answer")

    def _put_off(self, address: str) -> None:
        self._greeted.discard(address)
        _, pause = self._later.get(address, (0.0, HURRY_SECONDS))
        longer = min(PATIENCE_SECONDS, 2 * pause)
        self._later[address] = time.monotonic() + pause, longer

    @property
    def silent(self) -> list[str]:
        """Addresses of members that do not answer; each may live, and hold what it held."""
        return [one.address for one in self.node.view.standings if one.address in self._silent]

    def trouble(self) -> str:
        """Return what keeps calls from finding their context; empty if nothing is known."""
        if not self.silent:
            return ""
        return f"{len(self.silent)} of the sandbox's {len(self.node.view)} pods do not answer"

    def _tell_silence(self, address: str) -> None:
        if address in self._told or address not in self.silent:
            return
        if time.monotonic() - self._silent[address] > SILENT_SECONDS:
            self._told.add(address)
            log.warning(
                "a member does not answer; it may live, so nobody else gets what it may hold until "
                "Kubernetes takes its address away: if its node is lost, delete the pod by force",
                address=address,
            )

    def _vanished(self, address: str) -> bool:
        """Whether a pod has neither answered nor been named for long enough to be gone."""
        absent = self._absent.get(address)
        if absent is None:
            return False
        patience = SILENT_SECONDS if address in self._once_named else UNNAMED_SECONDS
        return time.monotonic() - max(absent, self._silent[address]) > patience

    def welcome(self, member: Member, hello: Hello) -> None:
        """Take what a pod answered to a greeting."""
        self._greeted.add(member.address)
        self._refused.pop(member.address, None)
        self._silent.pop(member.address, None)
        self._later.pop(member.address, None)
        self._told.discard(member.address)
        if self.node.learn(hello.entries()):
            self.changed()

    def changed(self) -> None:
        """Go on with what a new view makes necessary."""
        living = {member.address for member in self.node.view.standings}
        self._greeted &= living | self._named
        self._once_named &= living | self._named
        self.on_change()
        if self.node.disowned:
            self._wake.set()
        if self.node.pending and (self._settling is None or self._settling.done()):
            self._settling = asyncio.create_task(self._settle())

    def tell_all(self) -> None:
        """Tell every member at once what is new."""
        for member in self.node.view.standings:
            if member.address != self.node.me.address:
                self._spawn(self.greet(member.address))

    def suspect(self, address: str) -> None:
        """Look at once after a member that could not be reached."""
        if address not in self._refused:
            self._spawn(self._look_after(address))

    async def _look_after(self, address: str) -> None:
        for _ in range(REFUSALS):
            await self.greet(address)
            if address not in self._refused:
                return
            await asyncio.sleep(0.3)

    def _bury(self, address: str, why: str) -> None:
        entry = self.node.members.of(address)
        if entry.standing is Standing.GONE:
            return
        member = Member(address, entry.incarnation)
        log.info("a member is gone", member=str(member), why=why)
        self.node.bury(member)
        self._told.discard(address)
        self.links.forget(address)
        self.changed()
        self.tell_all()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what others hold ------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Ask members what they hold, until every one has said it under the view of the moment."""
        pause = FIRST_SETTLE_SECONDS
        while missing := self.node.unheard():
            await asyncio.gather(*(self._hear(member) for member in sorted(missing)))
            self.on_change()
            if self.node.pending:
                await asyncio.sleep(pause)
                pause = min(LAST_SETTLE_SECONDS, 2 * pause)

    async def _hear(self, member: Member) -> None:
        view = self.node.view.hash
        try:
            data = await self.links.ask(
                member, messages.REPORT, messages.encode(Report(view)), ASK_SECONDS
            )
            held = messages.decode(data, Reported).held
        except (*FAILED, msgspec.MsgspecError):
            await self.greet(member.address)
            return
        if held is None:
            await self.greet(member.address)
        else:
            self.node.reported(member, view, held)
