"""Giving contexts to other pods before this one ends, and taking those that others give."""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from pluginsandbox.host.assembly import Host
from pluginsandbox.host.contexts import Context
from pluginsandbox.host.durable import RefusedError
from pluginsandbox.host.peers import messages
from pluginsandbox.host.peers.answers import (
    Differs,
    Held,
    Refused,
    TakeAnswer,
    Taken,
)
from pluginsandbox.host.peers.group import Group
from pluginsandbox.host.peers.links import FAILED
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.messages import Moving
from pluginsandbox.host.peers.router import Router

AT_ONCE = 32
OFFER_SECONDS = 2.0
PAUSE_SECONDS = 0.05
LOOK_SECONDS = 0.005

log = structlog.get_logger(__name__)


class Handover:
    """Moves contexts whose state outlives their pod.

    Args:
        host: Whose contexts.
        group: The pods.
        router: What contexts are called between pods.

    """

    def __init__(self, host: Host, group: Group, router: Router) -> None:
        self._host = host
        self._group = group
        self._node = group.node
        self._router = router
        self._room = asyncio.Semaphore(AT_ONCE)

    async def give_all(self, until: float) -> None:
        """Give every context away, or back; callers that come meanwhile are served elsewhere.

        Args:
            until: When to be done at the latest, in seconds on the host's clock.

        """
        contexts = [context for context in self._host.table if not context.fresh]
        await asyncio.gather(*(self._give(context, until) for context in contexts))

    async def _give(self, context: Context, until: float) -> None:
        """Freeze a context, have its home take it, and end it here."""
        reclaimer = self._host.reclaimer
        if context.ending:
            return
        if not _outlives(context):
            reclaimer.end(context, "Shutdown")
            return
        reclaimer.freeze(context)
        while context.active and self._host.clock() < until:  # noqa: ASYNC110 - calls have no tasks
            await asyncio.sleep(LOOK_SECONDS)
        async with self._room:
            outcome = await self._offer(context, until)
        self._host.metrics.handovers(outcome).inc()
        reclaimer.unwind(context, "Shutdown" if outcome == "taken" else "Evicted")

    async def _offer(self, context: Context, until: float) -> str:
        """Return how it went: taken, refused, or late."""
        key = self._router.key(context.tenant, context.name)
        epoch = self._node.epoch(key)
        while self._host.clock() < until and not context.active:
            asked = self._node.ask(key, binds=False)
            if asked is None:
                return "late"
            answer = await self._ask(asked[0], self._moving(context, Held(key, epoch)))
            if isinstance(answer, Taken):
                return "taken"
            if isinstance(answer, Refused):
                log.warning("a context was not taken", why=answer.reason)
                return "refused"
            if isinstance(answer, Differs):
                await self._group.greet(asked[0].address)
            await asyncio.sleep(PAUSE_SECONDS)
        log.warning("a context could not be given away in time")
        return "late"

    def _moving(self, context: Context, held: Held) -> Moving:
        host = self._host
        return Moving(
            view=self._node.view.hash,
            held=held,
            tenant=context.tenant,
            context=context.name,
            kept=context.kept,
            age_seconds=host.clock() - context.born,
            deadline_seconds=context.deadline - context.born,
            records=list(host.durable.export(context.tenant, context.name)),
        )

    async def _ask(self, home: Member, moving: Moving) -> TakeAnswer | None:
        try:
            data = await self._group.links.ask(
                home, messages.TAKE, messages.encode(moving), OFFER_SECONDS
            )
            return messages.TAKE_ANSWER.decode(data)
        except ConnectionRefusedError:
            self._group.suspect(home.address)
        except (*FAILED, msgspec.MsgspecError):
            pass
        return None

    # --- taking ----------------------------------------------------------------------------------

    def offered(self, giver: Member, moving: Moving) -> TakeAnswer:
        """Take a context from a pod that leaves, with its state, or refuse it."""
        key = moving.held.key
        before = self._node.holds(key)
        answer = self._node.take(giver, moving.view, moving.held)
        if before or not isinstance(answer, Taken):
            return answer
        try:
            self._open(moving)
        except RefusedError as error:
            self._node.release(key)
            self._node.released(self._node.me, key, answer.epoch)
            return Refused(str(error))
        return answer

    def _open(self, moving: Moving) -> None:
        """Make the context as it was there.

        Raises:
            RefusedError: There is no room for its state; nothing of it is here.

        """
        host, now = self._host, self._host.clock()
        context = host.invoker.open_context(moving.tenant, moving.context, now)
        context.kept = moving.kept
        context.born = now - max(0.0, moving.age_seconds)
        most = float(host.config.deadline_seconds)
        context.deadline = context.born + min(moving.deadline_seconds, most)
        host.reclaimer.watch(context, now)
        try:
            for record in moving.records:
                host.durable.accept(record, context, now)
        except RefusedError:
            context.kept = False
            host.reclaimer.end(context, "Evicted")
            raise


def _outlives(context: Context) -> bool:
    """Whether a context has what another pod can go on with."""
    return context.kept or any(binding.kept is not None for binding in context.bindings)
