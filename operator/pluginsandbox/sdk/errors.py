"""What can go wrong between a host and a plugin, named by who should do what.

Exception
├── LoadError        the author must edit the plugin or the sandbox's entry for it
├── StartError       on_start raised: there is no binding; the call did not run
│   └── RestoreError     stored state does not fit, or on_restore refused it: it is dropped
├── CallError        one call failed; the binding lives on
│   ├── ArgumentsError   the caller must send other arguments; nothing ran
│   ├── PluginRaised     the plugin raised; its exception is the `__cause__`
│   ├── DurableError     it ran, but its durable slots cannot be stored and are as before
│   └── ResultError      it ran, but what it returned is not what it promised or not encodable
├── SecretError      a secret that the plugin asks for was not given to it
└── WorkerDied       handed to on_panic of the worker after the one that died
BaseException
└── CallTimeout      raised inside the plugin when its time is over; `except Exception` in a
                     plugin must not swallow it, so it is none
"""

from __future__ import annotations

from typing import Literal

LoadReason = Literal["ImportFailed", "EntryPointInvalid"]


class LoadError(Exception):
    """A plugin cannot be loaded until somebody edits it.

    Args:
        reason: ImportFailed (its module raised or is malformed) or EntryPointInvalid (the module
            loads, but there is no usable plugin class in it).
        message: For a person: what is wrong, where, and what to do. Never an absolute path.

    """

    def __init__(self, reason: LoadReason, message: str) -> None:
        super().__init__(message)
        self.reason: LoadReason = reason
        self.message = message


class StartError(Exception):
    """`on_start` raised or ran out of time; no binding was made.

    Args:
        type_name: Name of the exception's class.
        message: What it said, without paths of the host.

    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(f"{type_name}: {message}")
        self.type = type_name
        self.message = message


class RestoreError(StartError):
    """Stored state does not fit the plugin's slots, or `on_restore` refused it."""


class CallError(Exception):
    """One call failed."""


class ArgumentsError(CallError):
    """The arguments do not fit the function's annotations; nothing of the plugin ran.

    Args:
        argument: Path of the argument at fault, such as `quantity` or `items[0].sku`; empty when
            the arguments as a whole are at fault.
        message: What it must be, such as `must be int, got str`.

    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(f"{argument}: {message}" if argument else message)
        self.argument = argument
        self.message = message


class PluginRaised(CallError):  # noqa: N818  # what happened, not what kind of error
    """The plugin raised; the exception itself is the `__cause__`.

    Args:
        type_name: Name of the exception's class.
        message: What it said, bounded, without paths of the host.

    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(f"{type_name}: {message}")
        self.type = type_name
        self.message = message


class ResultError(CallError):
    """A function returned what it did not promise, or what cannot be encoded."""


class DurableError(CallError):
    """What a call left in the durable slots cannot be stored; they are as they were before it."""


class SecretError(Exception):
    """A plugin asked for a secret that it was not given."""


class WorkerDied(Exception):  # noqa: N818  # what happened, not what kind of error
    """The worker before this one died, and all bindings in it with it."""


class CallTimeout(BaseException):
    """The time of a call or a hook is over."""
