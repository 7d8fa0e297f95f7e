"""The function in other processes of Python's own making. Prints JSON, in microseconds.

A process for each call, by `subprocess` and by multiprocessing's fork server; and one that stays,
behind a pool.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent import futures
from multiprocessing.connection import Connection

from tests.bench.peers import echo
from tests.bench.peers.spawning import CHILD

ARGUMENTS = b'{"text":"' + b"x" * 89 + b'"}'
CALLS = 20
POOL_CALLS = 2000


def by_subprocess() -> None:
    words = (sys.executable, "-I", "-S", "-c", CHILD)
    subprocess.run(words, input=ARGUMENTS, capture_output=True, check=True)


def answer(channel: Connection) -> None:
    channel.send_bytes(echo.answer(channel.recv_bytes()))


def by_forkserver() -> None:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs,))
    process.start()
    ours.send_bytes(ARGUMENTS)
    ours.recv_bytes()
    process.join()


def timed(call: Callable[[], object], calls: int) -> list[float]:
    call()
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1e6)
    return took


def main() -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.bench.peers.echo"])
    found = {
        "subprocess": timed(by_subprocess, CALLS),
        "forkserver": timed(by_forkserver, CALLS),
    }
    with futures.ProcessPoolExecutor(1, context) as pool:
        found["pool"] = timed(lambda: pool.submit(echo.answer, ARGUMENTS).result(), POOL_CALLS)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
