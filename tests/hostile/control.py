"""Shows that an attack succeeds where there is no wall: `python -I control.py`, JSON lines in, out.

Each act is run in a process of its own, in namespaces of its own, on stand-ins that it may harm.
Nothing of ours is imported, so that the interpreter is as bare as a plugin's would be outside.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import runpy
import signal
import sys
import tempfile
import time
from typing import Any

_SECONDS = 20
# Mounts, processes, System V IPC, host name: a kill of everybody reaches these few only.
_NAMESPACES = 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000
_PRIVATE = 1 << 18 | 1 << 14


def main(prelude: str) -> None:
    """Answer each line `{"code": …, "target": …}` with what was got, or with an error."""
    helpers = runpy.run_path(prelude)
    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _apart(helpers, asked["code"], asked["target"], writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            told = answer.read()
        os.waitpid(child, 0)
        print(json.dumps(told or "it ended without a word"), flush=True)


def _apart(helpers: dict[str, Any], code: str, target: dict[str, Any], writing: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NAMESPACES):
        os.write(writing, b"no namespaces here")
        return
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    # Process 1 of its own world, with a /proc and places of its own.
    libc.mount(None, b"/", None, _PRIVATE, None)
    libc.mount(b"proc", b"/proc", b"proc", 0, None)
    for path in (b"/tmp", b"/var/tmp", b"/dev/shm"):
        libc.mount(b"tmpfs", path, b"tmpfs", 0, None)
    actor = os.fork()
    if not actor:
        _act(helpers, code, target, writing)
        os._exit(0)
    end = time.monotonic() + _SECONDS
    while not os.waitpid(actor, os.WNOHANG)[0]:
        if time.monotonic() > end:
            os.kill(actor, signal.SIGKILL)
            break
        time.sleep(0.002)
    os._exit(0)


def _act(helpers: dict[str, Any], code: str, target: dict[str, Any], writing: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # what it prints is no answer
    scope = {**helpers, "target": {**target, **_stand_ins()}}
    try:
        exec(code, scope)  # noqa: S102 - what this file is for
        got = scope.get("got")
        told = f"got {str(got)[:100]!r}" if got else "nothing got"
    except BaseException as error:  # noqa: BLE001 - whatever it raises is what it told
        told = f"{type(error).__name__}: {error}"
    os.write(writing, told.encode(errors="replace"))


def _stand_ins() -> dict[str, Any]:
    """Make processes and files in the place of the host's and the victim's."""
    precious = ctypes.create_string_buffer(b"precious", 8)
    process = os.fork()
    if not process:
        os.setsid()
        while precious:
            time.sleep(1)
    folder = pathlib.Path(tempfile.mkdtemp())
    files = {"secret": "victim/key", "victim_file": "victim/victim.py", "config": "victim/config"}
    paths = {name: folder / below for name, below in files.items()}
    for path in (*paths.values(), folder / "hostile" / "hostile.py"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    return {
        **{name: str(path) for name, path in paths.items()},
        "victim_root": str(folder / "victim"),
        "root": str(folder / "hostile"),
        "host": process,
        "sibling": process,
        "zygote": process,
        "address": ctypes.addressof(precious),
    }


if __name__ == "__main__":
    main(sys.argv[1])
