"""The wall is not believed but tried, at each start, on this kernel, by workers behind it.

An act is held if the kernel refused it or killed the worker for it. Any other error means that the
call got through to the kernel, so the act is not held, whatever came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import select
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from pluginsandbox.host import landlock
from pluginsandbox.host.acts import ACTS, Attempt, Outcome, Targets
from pluginsandbox.host.frames import Bind, Checkpoint, Codec, Failed, Log, Reclaimed, Result
from pluginsandbox.host.python_runtime import PythonRuntime
from pluginsandbox.host.runtime import Act, Confinement, Worker, WorkerExit
from pluginsandbox.sdk.durable import Slots

FATAL = (
    *("process-vm-host", "process-vm-sibling", "ptrace-host", "ptrace-sibling", "kcmp"),
    *("pidfd-getfd", "bpf", "perf", "userfaultfd", "keyring", "mount", "unshare", "namespace"),
    *("file-handle", "kernel-module"),
)
"""Acts that end the worker that tries them."""
REFUSED = tuple(name for name in ACTS if name not in FATAL)
"""Acts that fail with an error."""
SEEN = "seen-from-outside"
"""What the kernel says of a worker: filters on, no capability, no new privileges."""

_ERRORS = frozenset(("EPERM", "EACCES", "ENOSYS"))
_SECONDS = 10.0


async def prove(runtime: PythonRuntime) -> Confinement:
    """Try every forbidden act on this host and on another worker.

    Args:
        runtime: Started.

    Returns:
        What held and what did not; an act that could not be tried is not held.

    Raises:
        TimeoutError: The machine is too busy to tell; to be tried again.

    """
    sibling = _Prober(())
    probers = [_Prober(REFUSED), *(_Prober((name,)) for name in FATAL)]
    workers = [runtime.probe(prober) for prober in (sibling, *probers)]
    with _StandIns() as stand_ins:
        try:
            async with asyncio.timeout(_SECONDS):
                await sibling.ready
                targets = stand_ins.targets(runtime.zygote_pid or 0, workers[0].pid)
                await asyncio.gather(*(prober.attempt(targets) for prober in probers))
            seen = _seen(workers[0].pid)
        except TimeoutError as error:
            raise TimeoutError(f"the proof of the wall took more than {_SECONDS:g} s") from error
        finally:
            for worker in workers:
                worker.kill()
        acts = [act for prober in probers for act in prober.acts()]
        return Confinement(landlock.abi(), [seen, *map(stand_ins.judged, acts)])


class _Prober:
    """Has one worker try some acts, and hears what became of it.

    Args:
        names: Acts, in order.

    """

    def __init__(self, names: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[Worker | None] = loop.create_future()
        """None if it never came to that."""
        self._over: asyncio.Future[None] = loop.create_future()
        self._names = names
        self._errors: dict[str, str] = {}
        self._end: WorkerExit | None = None

    async def attempt(self, targets: Targets) -> None:
        """Have the acts tried."""
        worker = await self.ready
        if worker is None:
            return
        worker.call(
            call=1,
            function=0,
            context=1,
            timeout_microseconds=int(_SECONDS * 1e6),
            codec=Codec.JSON,
            traceparent="",
            body=msgspec.json.encode(Attempt(list(self._names), targets)),
            bind=Bind("", "proof", 1),
        )
        await self._over

    def acts(self) -> list[Act]:
        """Return what became of each act."""
        return [self._act(name) for name in self._names]

    def _act(self, name: str) -> Act:
        error = self._errors.get(name)
        if error is not None:
            detail = f"refused: {error}" if error in _ERRORS else error or "it succeeded"
            return Act(name, held=error in _ERRORS, detail=detail)
        if self._end is None:
            return Act(name, held=False, detail="no answer")
        held = name in FATAL and self._end.cause == "Denied"
        return Act(name, held=held, detail="killed" if held else self._end.detail)

    def on_ready(self, worker: Worker) -> None:
        """It is behind the wall."""
        if not self.ready.done():
            self.ready.set_result(worker)

    def on_checkpoint(self, worker: Worker, call: int, point: Checkpoint, slots: Slots) -> None:
        """Pass over: it has no durable slots."""

    def on_result(self, worker: Worker, result: Result, body: bytes) -> None:
        """It lived to tell."""
        del worker, result
        with contextlib.suppress(msgspec.MsgspecError):
            outcomes = msgspec.json.decode(body, type=list[Outcome])
            self._errors = {outcome.name: outcome.error for outcome in outcomes}
        self._finish()

    def on_failed(self, worker: Worker, failed: Failed) -> None:
        """It could not try."""
        del worker
        self._end = WorkerExit("Exit", f"{failed.type}: {failed.message}")
        self._finish()

    def on_reclaimed(self, worker: Worker, reclaimed: Reclaimed) -> None:
        """Never: it is not asked to."""

    def on_log(self, worker: Worker, log: Log) -> None:
        """Never: it prints nothing."""

    def on_denied(self, worker: Worker, call: str) -> None:
        """Pass over: that is what it is to be."""

    def on_exit(self, worker: Worker, end: WorkerExit) -> None:
        """It is gone, for an act or before the first one."""
        del worker
        self._end = self._end or end
        if not self.ready.done():
            self.ready.set_result(None)
        self._finish()

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)


class _StandIns:
    """What the acts are tried on, with ears that would notice."""

    def __init__(self) -> None:
        self._secret = ctypes.create_string_buffer(secrets.token_bytes(8), 8)
        self._abstract_name = f"pluginsandbox-{secrets.token_hex(8)}"
        self._open = contextlib.ExitStack()
        tcp, udp, abstract = (
            self._open.enter_context(socket.socket(family, kind | socket.SOCK_NONBLOCK))
            for family, kind in (
                (socket.AF_INET, socket.SOCK_STREAM),
                (socket.AF_INET, socket.SOCK_DGRAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
            )
        )
        abstract.bind(f"\0{self._abstract_name}")
        for listener in (tcp, udp):
            listener.bind(("127.0.0.1", 0))
        for listener in (tcp, abstract):
            listener.listen()
        self._ears = {"tcp": tcp, "mptcp": tcp, "udp": udp, "unix-abstract": abstract}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def targets(self, zygote: int, sibling: int) -> Targets:
        """Return what a probe needs to know."""
        return Targets(
            host=os.getpid(),
            zygote=zygote,
            sibling=sibling,
            host_address=ctypes.addressof(self._secret),
            sibling_address=_readable_address(sibling),
            tcp_port=self._ears["tcp"].getsockname()[1],
            udp_port=self._ears["udp"].getsockname()[1],
            abstract_name=self._abstract_name,
        )

    def judged(self, act: Act) -> Act:
        """Return an act as not held if something was heard of it, whatever the probe said."""
        ear = self._ears.get(act.name)
        if ear is None or not select.select([ear], (), (), 0)[0]:
            return act
        return Act(act.name, held=False, detail="the host heard it")


def _readable_address(process: int) -> int:
    with contextlib.suppress(OSError), Path(f"/proc/{process}/maps").open() as maps:
        return int(maps.readline().partition("-")[0], 16)
    return 0


def _seen(process: int) -> Act:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError as error:
        return Act(SEEN, held=False, detail=f"the worker cannot be looked at: {error.strerror}")
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    wanted = {"Seccomp": "2", "NoNewPrivs": "1", "CapEff": "0" * 16, "CapPrm": "0" * 16}
    wrong = [
        f"{name} {found.get(name)}" for name, value in wanted.items() if found.get(name) != value
    ]
    return Act(SEEN, held=not wrong, detail=", ".join(wrong) or "as it must be")
