"""Keeps one pod in touch with the others: who is there, who went, who knows what.

Once a second it reads the keys and resolves the name of all; it greets the members that may not
know it, and some of the others in turn. What it learns goes to its node. An answer to a greeting
says what the other holds, too, so a home that has become responsible for more greets until it has
heard from all. Whoever's connection is refused twice has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine

import msgspec
import structlog

from pluginsandbox.host.peers import messages
from pluginsandbox.host.peers.keys import Keys
from pluginsandbox.host.peers.links import FAILED, Links, StrangerError
from pluginsandbox.host.peers.members import NOBODY, Member, Standing
from pluginsandbox.host.peers.messages import Hello, Welcome
from pluginsandbox.host.peers.node import Node
from pluginsandbox.host.peers.resolver import Resolver

TICK_SECONDS = 1.0
# While this pod has not joined.
HURRY_SECONDS = 0.25
GREET_SECONDS = 5.0
"""A node where dozens of pods start is late with everything, and to ask again makes it later."""
ROUND = 2
"""Greetings a second, its own or others', in which a pod takes part at least, so that what one pod
missed another tells it. A greeting tells of all, so its cost grows with the pods, too."""
REFUSALS = 2
"""One may meet a process that has just been replaced and listens again at once."""
PATIENCE_SECONDS = 5.0
"""At most, between two greetings of a pod that has not joined to an address at which no member is
heard: who is there greets by itself."""
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
        self._table = messages.Table(node.members)
        self._resolve = resolve
        self._next_look = 0.0
        self._found: frozenset[str] = frozenset()
        self._named: frozenset[str] = frozenset()
        """Addresses of the last answer of DNS that named this one."""
        self._absent: dict[str, float] = {}
        """Since when such answers have not named an address, in seconds."""
        self._once_named: set[str] = set()
        self._greeted: set[str] = set()
        """Addresses whose pod knows this one."""
        self._talks = 0
        """Greetings since the last turn, its own and others'."""
        self._under_way: dict[str, asyncio.Task[None]] = {}
        """By address: a greeting that is not answered yet."""
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
                self._wake.clear()
                self.keys.refresh()
                if self.keys.all:
                    await self.look_around()
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
            self._greeted.clear()
            node.stand(Standing.JOINING)
        await self._look_up()
        greetings = [self._greeting(address) for address in sorted(self._to_greet())]
        if greetings:
            await asyncio.wait(greetings, timeout=HURRY_SECONDS)
        self._join()

    async def _look_up(self) -> None:
        """Read once a second who there may be."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + TICK_SECONDS
        self._found = found = await self._resolve()
        if self.node.me.address not in found:
            return
        self._named = found
        self._once_named |= found
        members = self._members()
        self._absent = {one: self._absent.get(one, now) for one in members - found}
        for notes in (self._refused, self._silent, self._later):
            for strange in notes.keys() - members - found:
                del notes[strange]

    def _members(self) -> set[str]:
        """Return the addresses of the others."""
        return {member.address for member in self.node.view.standings} - {self.node.me.address}

    def _join(self) -> None:
        if self.node.standing is Standing.JOINING and self._known_to_all():
            self.enter()

    def enter(self) -> None:
        """Become a member that may hold contexts."""
        self.node.stand(Standing.SERVING)
        log.info("joined", member=str(self.node.me), members=len(self.node.view))
        self.blocked = ""
        self.changed()
        self.tell_all()

    def _known_to_all(self) -> bool:
        me = self.node.me.address
        if me not in self._named and not self._has_company():
            self.blocked = f"the peers' service does not name this pod's address {me} yet"
            return False
        others = self._members() | (self._named - {me})
        missing = {one for one in others if one not in self._greeted and one not in self._refused}
        if missing:
            names = ", ".join(sorted(missing)[:5])
            self.blocked = f"these pods do not answer with the group's key yet: {names}"
        return not missing

    def _has_company(self) -> bool:
        """Whether a member that holds contexts knows of this pod, and has said whom it knows."""
        serving = self.node.view.serving
        return any(member.address in self._greeted for member in serving)

    def _to_greet(self) -> set[str]:
        """Return whom to greet now: who is new or in doubt, and some of the others in turn."""
        members = self._members()
        strangers = ({*self._found, *self._named} - {self.node.me.address}) - members
        doubtful = members.intersection((*self._refused, *self._silent))
        urgent = doubtful | (members - self._greeted)
        now = time.monotonic()
        if self.node.joined:
            return urgent | self._in_turn(sorted(members | strangers), now)
        early = {one for one, (due, _) in self._later.items() if due > now}
        return urgent | (strangers - self._greeted - early) | self._in_turn(sorted(members), now)

    def _in_turn(self, others: list[str], now: float) -> set[str]:
        if now < self._next_turn or not others:
            return set()
        self._next_turn = now + TICK_SECONDS
        count, self._talks = max(0, ROUND - self._talks), 0
        start = self._turn % len(others)
        self._turn += count
        return set([*others[start:], *others[:start]][:count])

    # --- greeting --------------------------------------------------------------------------------

    async def greet(self, address: str) -> None:
        """Tell a pod who is there, and hear the same; one greeting at a time will do."""
        await asyncio.wait([self._greeting(address)])

    def _greeting(self, address: str) -> asyncio.Task[None]:
        task = self._under_way.get(address)
        if task is None:
            task = self._under_way[address] = self._spawn(self._greet(address))
            task.add_done_callback(lambda _: self._under_way.pop(address, None))
        return task

    async def _greet(self, address: str) -> None:
        """Greet, and note how the other fares."""
        try:
            await self.links.greet(address, GREET_SECONDS)
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

    def hello(self) -> Hello:
        """Return what is told in a greeting."""
        return Hello(self._table.written)

    def greeted(self, sender: Member, hello: Hello) -> Welcome:
        """Learn what a member tells of who is there, and tell it the same.

        Raises:
            msgspec.DecodeError: What it tells cannot be read.

        """
        node, same = self.node, hello.table == self._table.written
        told = self._table.read(hello.table)
        knows_me = same or told.get(node.me.address, NOBODY)[0] == node.me.incarnation
        self._learn(told)
        if knows_me and node.members.of(sender.address).incarnation == sender.incarnation:
            self._note_known(sender.address)
        return Welcome(self._table.written, node.view.hash, node.report(sender))

    def welcome(self, address: str, welcome: Welcome) -> None:
        """Take what a pod answered to a greeting.

        Raises:
            msgspec.DecodeError: It cannot be read.

        """
        self._refused.pop(address, None)
        self._silent.pop(address, None)
        self._later.pop(address, None)
        self._told.discard(address)
        self._learn(self._table.read(welcome.table))
        member = Member(address, self.node.members.of(address).incarnation)
        self.node.reported(member, welcome.view, welcome.held)
        self._note_known(address)

    def _learn(self, told: dict[str, tuple[int, int]]) -> None:
        if self.node.learn(told.items()):
            self.changed()

    def _note_known(self, address: str) -> None:
        """Note that a pod knows this one: it may have been the last."""
        self._talks += 1
        self._greeted.add(address)
        self._join()

    def changed(self) -> None:
        """Go on with what a new view makes necessary."""
        living = {member.address for member in self.node.view.standings}
        self._greeted &= living | self._named
        self._once_named &= living | self._named
        self.on_change()
        if not self.node.joined:
            self._wake.set()
        if self.node.pending and (self._settling is None or self._settling.done()):
            self._settling = asyncio.create_task(self._settle())

    def tell_all(self) -> list[asyncio.Task[None]]:
        """Tell every member at once what is new; return who does it."""
        return [self._spawn(self._tell(address)) for address in sorted(self._members())]

    async def _tell(self, address: str) -> None:
        """Greet once more where a greeting is under way: it may not have had the news."""
        if address in self._under_way:
            await self.greet(address)
        await self.greet(address)

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

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- what others hold ------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Greet members until every one has said what it holds under the view of the moment."""
        pause = FIRST_SETTLE_SECONDS
        while self.node.pending:
            await asyncio.sleep(pause)
            pause = min(LAST_SETTLE_SECONDS, 2 * pause)
            unheard = sorted(self.node.unheard())
            greetings = [self._greeting(member.address) for member in unheard]
            if greetings:
                await asyncio.wait(greetings)
            self.on_change()
