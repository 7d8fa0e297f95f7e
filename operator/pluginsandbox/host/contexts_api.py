"""Contexts as callers see them by name: `/v1/contexts/{id}`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pluginsandbox.host import problem as problems
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.contexts import Binding, Cause, Context, State
from pluginsandbox.host.elsewhere import ContextRequest
from pluginsandbox.host.http_answer import Answerer
from pluginsandbox.host.http_head import malformed
from pluginsandbox.host.problem import Problem

JSON = "Content-Type: application/json\r\n"
NO_TENANT = ""


class Wish(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of a PUT."""

    deadline_seconds: Annotated[int, msgspec.Meta(ge=1)] | None = None


class BindingView(msgspec.Struct, frozen=True, rename="camel"):
    """One plugin in a context."""

    plugin: str
    generation: int
    live: bool
    """False while its first call runs, while it is given back, and while it has no worker."""
    age_seconds: float
    calls: int
    bytes: int | None
    """Of its worker, measured, where it has one of its own; else unknown."""
    durable_bytes: int
    """Of its durable slots, as the host holds them."""


class ContextView(msgspec.Struct, frozen=True, rename="camel"):
    """A context."""

    context: str
    ending: str | None
    """Cause, while it is being given back."""
    age_seconds: float
    idle_seconds: float
    deadline_seconds: float
    """Counts from its beginning."""
    bindings: list[BindingView]
    """Oldest first."""


class Reclaimed(msgspec.Struct, frozen=True, rename="camel"):
    """One binding that a DELETE gave back."""

    plugin: str
    generation: int
    cause: str


class Ended(msgspec.Struct, frozen=True, rename="camel"):
    """Answer to a DELETE."""

    context: str
    reclaimed: list[Reclaimed]
    """In the order in which they went."""


class ContextsApi:
    """Answers requests about contexts.

    Args:
        host: Whose contexts.

    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._table = host.table
        self._wish = msgspec.json.Decoder(Wish)

    def answer(self, connection: Answerer, request: ContextRequest) -> None:
        """Answer a request.

        Raises:
            Problem: It is refused.

        """
        if request.method == "PUT":
            self._put(connection, request.context, request.body)
        elif request.method == "DELETE":
            self._delete(connection, request.context, request.cause)
        else:
            self._get(connection, request.context)

    def _get(self, connection: Answerer, name: str) -> None:
        """Show a context."""
        context = self._table.get(NO_TENANT, name)
        if context is None:
            raise Problem(
                problems.NO_CONTEXT,
                f"nothing is bound in context {name!r}: it has ended, or was never used here",
            )
        self._show(connection, 200, context)

    def _put(self, connection: Answerer, name: str, body: bytes) -> None:
        """Make a context, or set the deadline of one that is there; repeating changes nothing."""
        try:
            wish = self._wish.decode(body or b"{}")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise malformed(f'the body must be like {{"deadlineSeconds": 60}}: {error}') from None
        there = self._table.get(NO_TENANT, name) is not None
        context = self._keep(name, wish)
        self._show(connection, 200 if there else 201, context)

    def _delete(self, connection: Answerer, name: str, cause: Cause) -> None:
        """Give back all that is bound in a context, newest first; answers when it is gone."""
        context = self._table.get(NO_TENANT, name)
        if context is None:
            _respond(connection, 200, Ended(name, []))
            return
        going = list(reversed(context.bindings))
        context_ended = self._ended
        self._host.reclaimer.end(
            context, cause, lambda: _respond(connection, 200, context_ended(name, going))
        )

    def _keep(self, name: str, wish: Wish) -> Context:
        host, now = self._host, self._host.clock()
        context = self._table.get(NO_TENANT, name)
        if context is None:
            if host.invoker.draining:
                raise Problem(problems.DRAINING, "this pod takes no new contexts; try again")
            if len(self._table) >= host.capacity:
                raise Problem(problems.CONTEXTS_FULL, "this host has no room for a context")
            context = host.invoker.open_context(NO_TENANT, name, now)
        elif context.ending:
            raise Problem(
                problems.DRAINING, f"context {name!r} is being given back; try again at once"
            )
        context.kept = True
        if wish.deadline_seconds is not None:
            most = host.config.deadline_seconds
            context.deadline = context.born + min(wish.deadline_seconds, most)
            host.reclaimer.watch(context, now)
        return context

    def _show(self, connection: Answerer, status: int, context: Context) -> None:
        now = self._host.clock()
        view = ContextView(
            context=context.name,
            ending=context.ending,
            age_seconds=round(now - context.born, 3),
            idle_seconds=0.0 if context.active else round(now - context.used, 3),
            deadline_seconds=round(context.deadline - context.born, 3),
            bindings=[_binding(binding, now) for binding in context.bindings],
        )
        _respond(connection, status, view)

    def _ended(self, name: str, going: list[Binding]) -> Ended:
        ends = (self._table.tombstone(NO_TENANT, name, binding.plugin.name) for binding in going)
        reclaimed = [
            Reclaimed(binding.plugin.name, end.generation, end.cause)
            for binding, end in zip(going, ends, strict=True)
            if end is not None and end.generation == binding.generation
        ]
        return Ended(name, reclaimed)


def _binding(binding: Binding, now: float) -> BindingView:
    worker = None if binding.state is State.STORED else binding.lane.worker
    return BindingView(
        plugin=binding.plugin.name,
        generation=binding.generation,
        live=binding.state is State.LIVE,
        age_seconds=round(now - binding.born, 3),
        calls=binding.calls,
        bytes=worker.measured_bytes() if worker is not None and binding.lane.own else None,
        durable_bytes=0 if binding.kept is None else binding.kept.size,
    )


def _respond(connection: Answerer, status: int, document: msgspec.Struct) -> None:
    connection.respond(status, JSON, msgspec.json.encode(document))
