from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import msgspec

from pluginsandbox.api.host_config import PluginConfig
from pluginsandbox.host.frames import Loaded
from pluginsandbox.host.python_worker import PythonWorker
from pluginsandbox.host.runtime import Prepared
from tests.integration.wall_bed import Recorder


async def test_a_worker_is_ready_once_its_process_is_known_too() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    events, gone, loop = Recorder(), list[PythonWorker](), asyncio.get_running_loop()
    prepared = Prepared(0, PluginConfig("p", "", ""), "", (), {})
    worker = PythonWorker(1, prepared, events, ours, loop, gone.append, lambda: False)
    theirs.send(msgspec.msgpack.encode(Loaded((), 0.0, 0.0)))
    worker._on_readable()
    assert worker.loaded is not None
    assert not events.ready.done()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
    worker.spawned(process.pid, os.pidfd_open(process.pid))
    assert events.ready.result()
    assert worker.measured_bytes() > 0
    worker.kill()
    await process.wait()
    worker.gone(signal.SIGKILL)
    assert gone == [worker]
    theirs.close()
