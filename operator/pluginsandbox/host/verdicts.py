"""What a caller is told of a call that did not return. Pure."""

from __future__ import annotations

from pluginsandbox.host import problem as problems
from pluginsandbox.host.calls import Call
from pluginsandbox.host.contexts import Binding, State
from pluginsandbox.host.ends import Tombstone
from pluginsandbox.host.frames import Failed
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.problem import Problem
from pluginsandbox.host.runtime import WorkerExit

# Of a worker's words; the rest of an error is for the log of the plugin's author.
TYPE_CHARACTERS = 200


def failure(call: Call, frame: Failed) -> tuple[str, Problem]:
    """Return the outcome, as a metric's label, and the answer for a call that the worker refused.

    Args:
        call: Which.
        frame: What the worker says; `kind` may be anything.

    """
    name, kind = frame.type[:TYPE_CHARACTERS], frame.kind
    said = f"{name}: {frame.message}" if name else frame.message
    if kind == "Arguments":
        more = {"argument": frame.argument[:TYPE_CHARACTERS]} if frame.argument else {}
        return "arguments", Problem(problems.ARGUMENTS, frame.message, **more)
    if kind == "Timeout":
        return "timeout", Problem(problems.TIMEOUT, _over(call))
    if kind == "Result":
        return "result", Problem(problems.RESULT, said, exception=name)
    if kind in {"Start", "Restore"}:
        return kind.lower(), _unbound(call, kind, name, said)
    if kind == "Durable":
        said = f"{frame.message}; they are as before the call"
        return "durable", Problem(problems.DURABLE, said)
    return "raised", Problem(problems.RAISED, said, exception=name)


def death(call: Call, end: WorkerExit, ending: str) -> tuple[str, Problem]:
    """Return the same for a call whose worker died while it may have been in it.

    Args:
        call: Which.
        end: How the worker died.
        ending: Why the host ended it, if it did.

    """
    if ending == "Timeout":
        return "timeout", Problem(
            problems.TIMEOUT,
            f"{_over(call)} and could not be interrupted, so its worker was ended",
        )
    if ending == "Durable":
        return "durable", _no_room(call)
    left = "its bindings are gone"
    if call.binding.state is State.STORED:
        left = "its durable slots are as before the call"
    return "died", Problem(
        problems.WORKER_DIED,
        f"the worker of {call.plugin.name} died ({end.detail}); {left}, another worker takes its "
        "place",
    )


def bad_luck(call: Call, end: WorkerExit) -> Problem:
    """Return the answer for a call that twice waited in a worker that died of another call."""
    return Problem(
        problems.WORKER_LOST,
        f"twice the worker of {call.plugin.name} died of another call ({end.detail}) before this "
        "one ran; isolation PerContext keeps such calls apart",
    )


def overdue(call: Call) -> Problem:
    """Return the answer for a call that is with its worker when its caller's time is over."""
    return Problem(problems.TIMEOUT, _over(call))


def oversized(call: Call, size: int) -> Problem:
    """Return the answer for a result that is larger than the plugin may send."""
    limit = call.plugin.config.limits.result_bytes
    return Problem(
        problems.RESULT, f"the result of {size} bytes is larger than resultBytes ({limit})"
    )


def unloaded(plugin: Plugin) -> Problem:
    """Return the answer for a plugin that cannot be called yet, or at all."""
    return Problem(
        problems.NOT_LOADED, f"{plugin.name} is not loaded: {plugin.message}", reason=plugin.reason
    )


def gone(call: Call, tombstone: Tombstone | None, live: int | None) -> Problem:
    """Return the answer for a binding that the caller wanted as it was.

    Args:
        call: Which asked for it.
        tombstone: How the last one ended, if that is known.
        live: Generation of the binding that is there, if one is.

    """
    name = call.plugin.name
    if call.context is None:
        return Problem(
            problems.GONE, "Sandbox-Bind: existing needs Sandbox-Context to say which context"
        )
    if live is not None:
        return Problem(
            problems.GONE,
            f"{name} is bound with generation {live}, not {call.existing}",
            generation=live,
        )
    if tombstone is None:
        return Problem(
            problems.GONE,
            f"{name} is not bound in this context: never yet, or its end is no longer known",
        )
    return Problem(
        problems.GONE,
        f"{name} is not bound in this context: generation {tombstone.generation} was reclaimed "
        f"({tombstone.cause}); call without Sandbox-Bind to start afresh",
        cause=tombstone.cause,
        generation=tombstone.generation,
    )


def told(call: Call, problem: Problem) -> dict[str, str]:
    """Return what the host's log has of it: never a message, which may quote the caller's data."""
    function = {"function": call.plugin.artefact.functions[call.function].name}
    exception = problem.more.get("exception")
    return function if exception is None else {**function, "exception": str(exception)}


def stored(call: Call, binding: Binding) -> Problem:
    """Return the answer for a generation that was wanted and whose worker is gone."""
    return Problem(
        problems.GONE,
        f"generation {binding.generation} of {call.plugin.name} has lost its worker; its durable "
        "slots are kept: call with Sandbox-Bind: existing to go on with them",
        cause="Crashed",
        generation=binding.generation,
    )


def _unbound(call: Call, kind: str, name: str, said: str) -> Problem:
    if kind == "Start":
        return Problem(problems.START, f"on_start raised {said}", exception=name)
    return Problem(
        problems.UNRESTORED,
        f"{call.plugin.name} refused its stored state, which is dropped: {said}; call again to "
        "start afresh",
        cause="Evicted",
        exception=name,
    )


def _no_room(call: Call) -> Problem:
    plugin = call.plugin
    limits = plugin.config.limits
    return Problem(
        problems.DURABLE,
        f"the durable slots of all contexts of {plugin.name} have {plugin.durable_bytes} bytes and "
        f"this call's no room: together they may have {limits.durable_room}, from "
        f"limits.durableBytes ({limits.durable_bytes}); they are as before the call, and its "
        "worker was ended",
    )


def _over(call: Call) -> str:
    return f"the call did not return within {call.budget * 1000:.0f} ms"
