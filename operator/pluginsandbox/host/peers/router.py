"""Sends calls and requests to the pod where their context is, and takes those that others send.

It stands beside the call path, not in it: a call whose context is here never comes this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import msgspec

from pluginsandbox.host import problem as problems
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.calls import Call
from pluginsandbox.host.contexts import Context
from pluginsandbox.host.contexts_api import NO_TENANT, ContextsApi
from pluginsandbox.host.door_http import HttpCall
from pluginsandbox.host.elsewhere import ContextRequest
from pluginsandbox.host.http_answer import Answerer
from pluginsandbox.host.peers import homes, messages
from pluginsandbox.host.peers.answers import Differs
from pluginsandbox.host.peers.door import Relay
from pluginsandbox.host.peers.group import Group
from pluginsandbox.host.peers.links import REACHED_NOT
from pluginsandbox.host.peers.members import Member
from pluginsandbox.host.peers.messages import Forward, Outcome
from pluginsandbox.host.peers.search import Searches, Seeker
from pluginsandbox.host.peers.wire import LostError
from pluginsandbox.host.problem import Problem

# Beyond what a call may take where it runs: the other pod answers first if it lives.
PATIENCE_SECONDS = 5.0


class PeerCall(HttpCall):
    """A call that another pod sent."""

    __slots__ = ("relay",)
    relay: Relay


class CallSeeker:
    """A call whose context is not here."""

    def __init__(self, router: Router, call: Call, name: str) -> None:
        self._router = router
        self._call = call
        self.tenant = call.tenant
        self.name = name
        self.binds = call.existing is None

    @property
    def gone(self) -> bool:
        """Whether its caller has an answer, or is gone."""
        return self._call.done

    def here(self) -> None:
        """Place it: its context is held here, or it wanted one that is nowhere."""
        self._call.sought = not self.binds
        self._router.host.invoker.place(self._call)

    def there(self, member: Member) -> None:
        """Send it on; one that was sent already goes back."""
        self._router.send(self._call, member)

    def hopeless(self) -> None:
        """Say that no pod takes it; who sent it may know more."""
        if isinstance(self._call, PeerCall):
            self._router.send_back(self._call)
            return
        self._router.host.invoker.refuse_waiting(
            self._call, Problem(problems.DRAINING, "all pods of the sandbox are going away")
        )


class RequestSeeker:
    """A request about a context that is not here."""

    def __init__(
        self, router: Router, answerer: Answerer, request: ContextRequest, until: float
    ) -> None:
        self._router = router
        self._answerer = answerer
        self._request = request
        self._until = until
        self.tenant = NO_TENANT
        self.name = request.context
        self.binds = request.method == "PUT"
        self._told = False

    @property
    def gone(self) -> bool:
        """Whether it has been looking for too long; it is told so once."""
        if not self._told and self._router.host.clock() > self._until:
            self._told = True
            self._answerer.refuse(
                Problem(problems.QUEUE_TIME, "the pod that has the context was not found in time")
            )
        return self._told

    def here(self) -> None:
        """Answer it."""
        self._router.answer(self._answerer, self._request)

    def there(self, member: Member) -> None:
        """Send it on."""
        self._router.send_request(self._answerer, self._request, member, self)

    def hopeless(self) -> None:
        """Say that no pod takes it; who sent it may know more."""
        if isinstance(self._answerer, Relay):
            self._answerer.elsewhere()
            return
        self._answerer.refuse(Problem(problems.DRAINING, "all pods of the sandbox are going away"))


class Router:
    """Calls and requests on their way between pods.

    Args:
        host: Whose.
        group: The pods.
        contexts: Answers requests about contexts that are here.

    """

    def __init__(self, host: Host, group: Group, contexts: ContextsApi) -> None:
        self.host = host
        self.searches = Searches(group, host.metrics)
        self.searches.on_here = self._after_here
        self._group = group
        self._node = group.node
        self._contexts = contexts
        self._salt = homes.salt(host.config.namespace, host.config.sandbox)
        self._under_way: dict[Call, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def key(self, tenant: str, name: str) -> bytes:
        """Return what a context is called between pods."""
        return homes.key(self._salt, tenant, name)

    # --- what the call path asks -----------------------------------------------------------------

    def holds(self, tenant: str, name: str) -> bool:
        """Whether a context that is not there yet may be made here."""
        return self._node.holds(self.key(tenant, name))

    def seek(self, call: Call, name: str) -> None:
        """Find the context of a call that waits, and send it there."""
        self.searches.seek(self.key(call.tenant, name), CallSeeker(self, call, name))

    def trouble(self) -> str:
        """Return what keeps calls from finding their context; empty if nothing is known."""
        return self._group.trouble()

    def abandon(self, call: Call) -> None:
        """Let a call go that is with another pod: its caller is gone."""
        task = self._under_way.pop(call, None)
        if task is not None:
            task.cancel()

    def left(self, context: Context) -> None:
        """Hold a context no more that has ended here."""
        self._let_go(self.key(context.tenant, context.name))

    def _after_here(self, key: bytes, seeker: Seeker) -> None:
        """Give back a grant that nobody made use of."""
        if self.host.table.get(seeker.tenant, seeker.name) is None:
            self._let_go(key)

    def _let_go(self, key: bytes) -> None:
        told = self._node.release(key)
        if told is not None:
            self.searches.tell_released(told[0], key, told[1])

    # --- calls to other pods ---------------------------------------------------------------------

    def send(self, call: Call, member: Member) -> None:
        """Send a call to the pod that has its context; it goes at most once."""
        if isinstance(call, PeerCall):
            self.send_back(call)
            return
        if not isinstance(call, HttpCall):
            return
        now = self.host.clock()
        self.host.invoker.send_off(call)
        self._under_way[call] = self._spawn(self._forward(call, member, now))

    def send_back(self, call: PeerCall) -> None:
        """Tell the pod that sent a call that its context is not here; nothing ran."""
        self.host.invoker.send_off(call)
        call.done = True
        call.relay.elsewhere()
        self.searches.forget(self.key(call.tenant, call.context or ""))

    async def _forward(self, call: HttpCall, member: Member, now: float) -> None:
        plugin = call.plugin
        forward = Forward(
            tenant=call.tenant,
            context=call.context or "",
            plugin=plugin.name,
            function=plugin.artefact.functions[call.function].name,
            codec=call.codec,
            body=call.body,
            waited=now - call.arrived,
            remaining=None if call.deadline is None else call.deadline - now,
            existing=call.existing,
            traceparent=call.traceparent,
        )
        seconds = plugin.timeout_seconds * 2 + self.host.config.queue_timeout_milliseconds / 1000
        if forward.remaining is not None:
            seconds = min(seconds, max(forward.remaining, 0.0))
        try:
            outcome = await self._ask(member, messages.CALL, forward, seconds + PATIENCE_SECONDS)
        finally:
            self._under_way.pop(call, None)
        self._conclude(call, outcome, self.host.clock() - now)

    def _conclude(self, call: HttpCall, outcome: Outcome | Problem | None, seconds: float) -> None:
        if call.done:
            return
        if outcome is None:
            self.searches.forget(self.key(call.tenant, call.context or ""))
            self.host.invoker.invoke(call)
            return
        call.done = True
        if isinstance(outcome, Problem):
            call.connection.refuse(outcome)
            return
        on_the_way = max(0.0, seconds - outcome.seconds) * 1e3
        headers = outcome.headers.replace(
            "Server-Timing: ", f"Server-Timing: forward;dur={on_the_way:.3f}, ", 1
        )
        call.connection.respond(outcome.status, headers, outcome.body)

    async def _ask(
        self, member: Member, kind: str, message: msgspec.Struct, seconds: float
    ) -> Outcome | Problem | None:
        """Return what a pod answered for a caller; None if it did not act."""
        links, forwards = self._group.links, self.host.metrics.forwards
        try:
            data = await links.ask(member, kind, messages.encode(message), seconds)
            found = messages.OUTCOME.decode(data)
        except TimeoutError:
            forwards("late").inc()
            return Problem(problems.TIMEOUT, "the pod that has the context did not answer in time")
        except REACHED_NOT:
            forwards("unreached").inc()
            self._group.suspect(member.address)
            await asyncio.sleep(0.05)
            return None
        except (LostError, msgspec.MsgspecError):
            forwards("lost").inc()
            self._group.suspect(member.address)
            return Problem(
                problems.WORKER_DIED, "the pod that has the context went away during the call"
            )
        if isinstance(found, Differs):
            forwards("elsewhere").inc()
            await asyncio.sleep(0.005)
            return None
        forwards("answered").inc()
        return found

    # --- requests about contexts -----------------------------------------------------------------

    def reach(self, answerer: Answerer, request: ContextRequest) -> None:
        """Have a request answered where its context is."""
        key = self.key(NO_TENANT, request.context)
        here = self.host.table.get(NO_TENANT, request.context) is not None
        if here or self._node.holds(key):
            self.answer(answerer, request)
            return
        until = self.host.clock() + self.host.config.queue_timeout_milliseconds / 1000
        self.searches.seek(key, RequestSeeker(self, answerer, request, until))

    def answer(self, answerer: Answerer, request: ContextRequest) -> None:
        """Answer a request here."""
        try:
            self._contexts.answer(answerer, request)
        except Problem as problem:
            answerer.refuse(problem)

    def send_request(
        self,
        answerer: Answerer,
        request: ContextRequest,
        member: Member,
        seeker: RequestSeeker,
    ) -> None:
        """Send a request to the pod that has its context; it goes at most once."""
        if isinstance(answerer, Relay):
            self.searches.forget(self.key(NO_TENANT, request.context))
            answerer.elsewhere()
            return
        self._spawn(self._forward_request(answerer, request, member, seeker))

    async def _forward_request(
        self,
        connection: Answerer,
        request: ContextRequest,
        member: Member,
        seeker: RequestSeeker,
    ) -> None:
        outcome = await self._ask(member, messages.CONTEXT, request, PATIENCE_SECONDS * 2)
        if outcome is None:
            key = self.key(NO_TENANT, request.context)
            self.searches.forget(key)
            if not seeker.gone:
                self.searches.seek(key, seeker)
        elif isinstance(outcome, Problem):
            connection.refuse(outcome)
        else:
            connection.respond(outcome.status, outcome.headers, outcome.body)

    # --- calls from other pods -------------------------------------------------------------------

    def forwarded(self, relay: Relay, forward: Forward) -> None:
        """Run a call that another pod sent."""
        plugin = self.host.plugins.get(forward.plugin)
        function = None if plugin is None else plugin.functions.get(forward.function)
        if plugin is None or function is None:
            name = f"{forward.plugin}.{forward.function}"
            relay.refuse(Problem(problems.NO_FUNCTION, f"the context's pod has no {name}"))
            return
        now = self.host.clock()
        deadline = None if forward.remaining is None else now + forward.remaining
        call = PeerCall(
            forward.tenant,
            forward.context,
            plugin,
            function,
            forward.codec,
            forward.body,
            now - min(max(forward.waited, 0.0), 3600.0),
            deadline,
        )
        call.connection = relay
        call.relay = relay
        call.existing = forward.existing
        call.sought = forward.existing is not None
        call.traceparent = forward.traceparent
        relay.watch(call)
        self.host.invoker.invoke(call)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def busy(self) -> bool:
        """Whether a caller waits for an answer from another pod."""
        return bool(self._tasks)

    def close(self) -> None:
        """Stop whatever is under way."""
        self.searches.close()
        for task in self._tasks:
            task.cancel()
