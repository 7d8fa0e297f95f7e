"""The door for callers, port 8080: what each request of the public contract means."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable

from pluginsandbox.host import problem as problems
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.calls import ANY_GENERATION, Call
from pluginsandbox.host.contexts import Cause, State
from pluginsandbox.host.contexts_api import ContextsApi
from pluginsandbox.host.elsewhere import ContextRequest
from pluginsandbox.host.frames import Codec
from pluginsandbox.host.http_answer import Answerer
from pluginsandbox.host.http_head import Head, malformed
from pluginsandbox.host.http_protocol import Connection
from pluginsandbox.host.openapi import OpenApi, listing
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.verdicts import unloaded

JSON = "Content-Type: application/json\r\n"
CONTENT_TYPES = {
    Codec.JSON: JSON,
    Codec.MSGPACK: "Content-Type: application/vnd.msgpack\r\n",
    Codec.PROTOBUF: "Content-Type: application/protobuf\r\n",
    Codec.RAW: "Content-Type: application/octet-stream\r\n",
}
HEADERS = {b"sandbox-context", b"sandbox-bind", b"sandbox-timeout-ms"}
CONTEXT = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
BIND = re.compile(rb"existing(?:[ \t]*;[ \t]*generation=([0-9]{1,18}))?")
MILLISECONDS = re.compile(rb"[1-9][0-9]{0,8}")
# W3C Trace Context, version 00; of a later version what 00 has is read, and more may follow it.
TRACE = rb"(-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})"
TRACEPARENT = re.compile(rb"00%b|(?!00|ff)[0-9a-f]{2}%b(?:-.*)?" % (TRACE, TRACE))
CONTEXT_BODY_BYTES = 4 << 10

Answer = Callable[[Connection, Head, bytes], None]


class HttpCall(Call):
    """A call that came by HTTP."""

    __slots__ = ("connection",)
    connection: Answerer

    def on_result(self, codec: int, body: bytes) -> None:
        """Answer 200 with the plugin's bytes as they are."""
        content_type = CONTENT_TYPES.get(codec, CONTENT_TYPES[Codec.RAW])  # type: ignore[call-overload]
        self.connection.respond(200, content_type + self._told(), body)

    def on_problem(self, problem: Problem) -> None:
        """Answer with the problem's document."""
        ran = self.placed and self.binding.state is not State.GONE
        self.connection.refuse(problem, self._told() if ran else "")

    def _told(self) -> str:
        waited, bound, ran = self.seconds
        return (
            f"Server-Timing: queue;dur={waited * 1e3:.3f}, bind;dur={bound * 1e3:.3f}, "
            f"call;dur={ran * 1e3:.3f}\r\n"
            f"Sandbox-Binding: {self.bound if self.new else 'live'}; "
            f"generation={self.binding.generation}\r\n"
        )


class Function:
    """A route to one function of a plugin.

    Args:
        plugin: Whose.
        index: Which.

    """

    __slots__ = ("body_bytes", "index", "plugin")

    def __init__(self, plugin: Plugin, index: int) -> None:
        self.plugin = plugin
        self.index = index
        self.body_bytes = plugin.config.limits.request_bytes


class HttpDoor:
    """Handles requests of callers.

    Args:
        host: What they call.

    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clock = host.clock
        self._invoker = host.invoker
        self._contexts = ContextsApi(host)
        self._openapi = OpenApi(host)
        self._functions: dict[bytes, Function] = {}

    # --- what a connection asks ------------------------------------------------------------------

    def admit(self, head: Head) -> int:
        """Find what a request is for; return the bytes that its body may have."""
        for name in head.headers:
            if name[:8] == b"sandbox-" and name not in HEADERS:
                raise _unknown_header(name)
        if b"content-encoding" in head.headers:
            raise malformed("Content-Encoding is not served: send the body as it is")
        route = self._functions.get(head.target)
        if route is None or head.method != b"POST":
            return self._route(head)
        head.route = route
        return route.body_bytes

    def handle(self, connection: Connection, head: Head, body: bytes) -> None:
        """Answer a request, at once or when its call returns."""
        route = head.route
        if isinstance(route, Function):
            self._call(connection, head, route, body)
        elif callable(route):
            route(connection, head, body)

    def hang_up(self, connection: Connection) -> None:
        """Let the call go whose caller is gone."""
        if isinstance(connection.pending, Call):
            self._invoker.abandon(connection.pending)

    # --- calls -----------------------------------------------------------------------------------

    def _call(self, connection: Connection, head: Head, route: Function, body: bytes) -> None:
        headers = head.headers
        context = headers.get(b"sandbox-context")
        name = None if context is None else context_name(context)
        timeout = headers.get(b"sandbox-timeout-ms")
        deadline = None if timeout is None else connection.started + _seconds(timeout)
        call = HttpCall(
            "", name, route.plugin, route.index, 0, body or b"{}", self._clock(), deadline
        )
        call.connection = connection
        bind = headers.get(b"sandbox-bind")
        if bind is not None:
            call.existing = _existing(bind)
        trace = headers.get(b"traceparent")
        if trace is not None:
            call.traceparent = _traceparent(trace)
        connection.pending = call
        self._invoker.invoke(call)

    def _route(self, head: Head) -> int:
        """Find what else a request may be for."""
        path = head.target.decode("latin-1").partition("?")[0]
        parts = [urllib.parse.unquote(part) for part in path.split("/")[1:]]
        match parts:
            case ["v1", "plugins", name, "functions", function]:
                _allow(head, "POST")
                route = self._function(head.target, name, function)
                head.route = route
                return route.body_bytes
            case ["v1", "contexts", name]:
                return self._context_route(head, context_name(name.encode()))
            case ["v1", "plugins"]:
                _allow(head, "GET")
                head.route = _document(lambda: listing(self._host.plugins.values()))
            case ["openapi.json"]:
                _allow(head, "GET")
                head.route = _document(self._openapi.document)
            case _:
                raise Problem(
                    problems.NO_PATH,
                    "there is nothing at this path; GET /openapi.json lists what there is",
                )
        return 0

    def _function(self, target: bytes, name: str, function: str) -> Function:
        plugin = self._host.plugins.get(name)
        if plugin is None:
            known = ", ".join(self._host.plugins)
            raise Problem(problems.NO_PLUGIN, f"there is no plugin {name!r}; there are: {known}")
        if plugin.prepared is None:
            plugin.refused(problems.NOT_LOADED.slug)
            raise unloaded(plugin)
        index = plugin.functions.get(function)
        if index is None:
            known = ", ".join(plugin.functions)
            raise Problem(
                problems.NO_FUNCTION, f"{name} has no function {function!r}; it has: {known}"
            )
        route = Function(plugin, index)
        if target == f"/v1/plugins/{name}/functions/{function}".encode():
            self._functions[target] = route
        return route

    def _context_route(self, head: Head, name: str) -> int:
        _allow(head, "GET", "PUT", "DELETE")
        method = head.method.decode()
        cause: Cause = _cause(head.target) if method == "DELETE" else "Released"

        def answer(connection: Connection, _: Head, body: bytes) -> None:
            self._about(connection, ContextRequest(method, name, body, cause))

        head.route = answer
        return CONTEXT_BODY_BYTES if method == "PUT" else 0

    def _about(self, connection: Connection, request: ContextRequest) -> None:
        """Answer a request about a context, wherever that is."""
        elsewhere = self._invoker.elsewhere
        if elsewhere is None:
            self._contexts.answer(connection, request)
        else:
            elsewhere.reach(connection, request)


def _cause(target: bytes) -> Cause:
    """Read why a caller gives a context back; the other causes are the host's alone to give."""
    query = target.decode("latin-1").partition("?")[2]
    match urllib.parse.parse_qsl(query, keep_blank_values=True):
        case []:
            return "Released"
        case [("cause", "Released" | "Finalized" as cause)]:
            return cause
        case _:
            known = "cause=Released or cause=Finalized, or be absent"
            raise malformed(f"the query of a DELETE must be {known}")


def _document(make: Callable[[], bytes]) -> Answer:
    return lambda connection, *_: connection.respond(200, JSON, make())


def _allow(head: Head, *methods: str) -> None:
    if head.method.decode() not in methods:
        allowed = ", ".join(methods)
        raise Problem(problems.METHOD, f"the method must be {allowed}", allow=allowed)


def _unknown_header(name: bytes) -> Problem:
    known = ", ".join(sorted(word.decode().title() for word in HEADERS))
    return malformed(f"header {name.decode('latin-1').title()} must be one of: {known}")


def context_name(word: bytes) -> str:
    """Read a context's id.

    Raises:
        Problem: It is not one.

    """
    if CONTEXT.fullmatch(word) is None:
        raise malformed(
            "a context's id must be 1 to 128 of A-Z a-z 0-9 . _ : - and must not begin with . _ : -"
        )
    return word.decode()


def _traceparent(word: bytes) -> str:
    """Read a trace context; one that is none is passed over, as W3C asks, and the call served."""
    match = TRACEPARENT.fullmatch(word)
    return "" if match is None else f"00{(match[1] or match[2]).decode()}"


def _existing(word: bytes) -> int:
    match = BIND.fullmatch(word)
    if match is None:
        raise malformed("Sandbox-Bind must be: existing, or: existing; generation=n")
    return ANY_GENERATION if match[1] is None else int(match[1]) or -1


def _seconds(word: bytes) -> float:
    if MILLISECONDS.fullmatch(word) is None:
        raise malformed("Sandbox-Timeout-Ms must be a whole number of milliseconds above 0")
    return int(word) / 1000
