"""Finds the pod where a context is, for calls and requests that came to a pod where it is not.

All that look for one context share one search. It asks the context's home, again and again while
views differ or the home does not know yet; who waits longer than its patience has gone by itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import msgspec

from pluginsandbox.host.peers import messages
from pluginsandbox.host.peers.answers import (
    Answer,
    Differs,
    Lookup,
    There,
    Unbound,
    Yours,
)
from pluginsandbox.host.peers.group import Group
from pluginsandbox.host.peers.links import FAILED
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.messages import Released
from pluginsandbox.telemetry.host_metrics import HostMetrics

LOOKUP_SECONDS = 2.0
# Between two questions: a view settles within milliseconds, or waits for a pod to be given up.
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.2
# Places that were right the last time; about 3 MiB when full.
REMEMBERED = 16384


class Seeker(Protocol):
    """Who looks for a context."""

    tenant: str
    name: str
    binds: bool
    """It would make the context if there is none."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for it any more."""

    def here(self) -> None:
        """The context is to be held here, or is nowhere and was not to be made."""

    def there(self, member: Member) -> None:
        """That pod holds it."""

    def hopeless(self) -> None:
        """No pod takes anything new, or this one is not to ask any more."""


class Searches:
    """All searches of one pod.

    Args:
        group: Who is there.
        metrics: Where lookups are counted.

    """

    def __init__(self, group: Group, metrics: HostMetrics) -> None:
        self._group = group
        self._node = group.node
        self._metrics = metrics
        self._waiting: dict[bytes, list[Seeker]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places: OrderedDict[bytes, Member] = OrderedDict()
        self._news = asyncio.Event()
        self.on_here: Callable[[bytes, Seeker], None] = lambda _key, _seeker: None
        """Told after the last of a search's seekers has heard that the context is to be here."""

    def seek(self, key: bytes, seeker: Seeker) -> None:
        """Find where a context is; the seeker is told, at once or later."""
        place = self._places.get(key)
        if place is not None and place in self._node.view and place != self._node.me:
            seeker.there(place)
            return
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(seeker)
            return
        self._waiting[key] = [seeker]
        if not self._ask_self(key):
            task = asyncio.create_task(self._search(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def forget(self, key: bytes) -> None:
        """Drop the place that was known of a context: it is not there."""
        self._places.pop(key, None)

    def wake(self) -> None:
        """Ask again at once: something has changed."""
        self._news.set()

    def close(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()

    async def _search(self, key: bytes) -> None:
        pause = FIRST_PAUSE
        while True:
            self._news.clear()
            self._waiting[key] = [one for one in self._waiting[key] if not one.gone]
            if not self._waiting[key] or await self._ask(key):
                break
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                pause = min(pause * 2, LONGEST_PAUSE)
        if not self._waiting.get(key):
            self._waiting.pop(key, None)

    def _ask_self(self, key: bytes) -> bool:
        """Look a context up without asking anybody, if this pod is its home."""
        asked = self._node.ask(key, binds=self._binds(key))
        if asked is None or asked[0] != self._node.me:
            return False
        return self._take(key, asked[1], self._node.me, self._node.lookup(self._node.me, asked[1]))

    async def _ask(self, key: bytes) -> bool:
        """Ask once; True when the seekers have been told."""
        node = self._node
        if self._group.over or (node.joined and not node.view.serving):
            self._tell(key, lambda seeker: seeker.hopeless())
            return True
        asked = node.ask(key, binds=self._binds(key))
        if asked is None:
            return False
        home, lookup = asked
        if home == node.me:
            return self._take(key, lookup, home, node.lookup(home, lookup))
        try:
            data = await self._group.links.ask(
                home, messages.LOOKUP, messages.encode(lookup), LOOKUP_SECONDS
            )
            answer = messages.ANSWER.decode(data)
        except ConnectionRefusedError:
            self._group.suspect(home.address)
            return False
        except (*FAILED, msgspec.MsgspecError):
            return False
        if isinstance(answer, Differs):
            await self._group.greet(home.address)
        return self._take(key, lookup, home, answer)

    def _take(self, key: bytes, asked: Lookup, home: Member, answer: Answer) -> bool:
        self._metrics.lookups(type(answer).__name__.lower()).inc()
        match answer:
            case Yours():
                return self._grasp(key, asked, home, answer)
            case There(member) if member != self._node.me:
                self._remember(key, member)
                self._tell(key, lambda seeker: seeker.there(member))
                return True
            case Unbound() if not self._binds(key):
                self._tell(key, lambda seeker: seeker.here())
                return True
            case _:
                return False

    def _grasp(self, key: bytes, asked: Lookup, home: Member, granted: Yours) -> bool:
        """Hold what was granted, or say that it is not held."""
        if not self._node.accept(asked, granted):
            self.tell_released(home, key, granted.epoch)
            return False
        seekers = self._waiting[key]
        self._tell(key, lambda seeker: seeker.here())
        self.on_here(key, seekers[0])
        return True

    def tell_released(self, home: Member, key: bytes, epoch: int) -> None:
        """Tell a context's home that it is not held any more; lost words do no harm."""
        if home == self._node.me:
            self._node.released(home, key, epoch)
            return
        task = asyncio.create_task(self._send_released(home, Released(key, epoch)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_released(self, home: Member, released: Released) -> None:
        try:
            body = messages.encode(released)
            await self._group.links.ask(home, messages.RELEASED, body, LOOKUP_SECONDS)
        except FAILED:
            return

    def _binds(self, key: bytes) -> bool:
        return any(seeker.binds for seeker in self._waiting[key])

    def _tell(self, key: bytes, word: Callable[[Seeker], None]) -> None:
        seekers = self._waiting.pop(key)
        for seeker in seekers:
            if not seeker.gone:
                word(seeker)

    def _remember(self, key: bytes, member: Member) -> None:
        self._places[key] = member
        self._places.move_to_end(key)
        if len(self._places) > REMEMBERED:
            self._places.popitem(last=False)
