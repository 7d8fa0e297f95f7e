"""The host as a process: starts the zygote, opens the doors, loads the plugins, ends when told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
import uvloop

from pluginsandbox.api import host_config
from pluginsandbox.api.host_config import HostConfig, payload_bytes
from pluginsandbox.host import load, loading, proof, shutdown
from pluginsandbox.host.assembly import Host
from pluginsandbox.host.door_admin import AdminDoor
from pluginsandbox.host.door_http import HttpDoor
from pluginsandbox.host.http_listener import Listener
from pluginsandbox.host.peers import resolver
from pluginsandbox.host.peers.company import Company
from pluginsandbox.host.peers.resolver import Resolver
from pluginsandbox.host.python_runtime import PythonRuntime
from pluginsandbox.host.shutdown import DRAIN_SECONDS, Stop

BACKLOG = 1024
# A host makes few cycles; looking for them must not show in the latency of calls.
GARBAGE_THRESHOLD = 50_000

POD_ADDRESS = "POD_IP"
"""Environment variable, from the downward API."""

log = structlog.get_logger(__name__)


class Address(NamedTuple):
    """Where a door listens; port 0 lets the kernel choose."""

    host: str
    port: int


class Listening(NamedTuple):
    """Where the doors of a host are."""

    http: Address
    admin: Address


async def serve(
    config: HostConfig,
    *,
    http: tuple[str, int],
    admin: tuple[str, int],
    ready: Callable[[], None] | None = None,
    listening: Callable[[Listening], None] | None = None,
    stop: Stop | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    peers: Peers | None = None,
) -> int:
    """Serve a sandbox until told to stop. To be run in the main thread.

    Args:
        config: What to serve.
        http: Address and port of the door for callers.
        admin: The same for probes, metrics and statistics.
        ready: Called once, when callers may come.
        listening: Called once, when the doors are open, with their addresses.
        stop: Tells when to end; SIGTERM and SIGINT do so too.
        drain_seconds: How long to serve on after SIGTERM.
        peers: Where this pod is among those of its sandbox; None if it has no others.

    Returns:
        The exit status.

    Raises:
        OSError: A door cannot be opened, or the kernel refused the zygote.

    """
    gc.set_threshold(GARBAGE_THRESHOLD)
    gc.enable()
    loop = asyncio.get_running_loop()
    runtime = PythonRuntime(config, loop)
    runtime.start()  # before this process holds a key or a connection
    host = Host(config, runtime)
    server = Server(host, runtime, None if peers is None else peers.company(host))
    stop = stop or Stop()
    try:
        with _signals(loop, stop):
            opened = await server.open(http, admin)
            log.info("listening", http=opened.http, admin=opened.admin)
            if listening is not None:
                listening(opened)
            await server.run(stop, ready, drain_seconds)
    finally:
        await server.close()
    return 0


class Peers(NamedTuple):
    """Where a pod is among those of its sandbox, and how it finds them."""

    address: str
    """Its own."""
    port: int
    keys: Path
    """Directory of the key that all of them share."""
    resolve: Resolver

    def company(self, host: Host) -> Company:
        """Put together what a host needs to be one of several."""
        return Company(host, self.address, self.port, self.keys, self.resolve)


class Server:
    """A host with its doors.

    Args:
        host: What is served.
        runtime: What makes its workers; closed with it.
        company: The other pods, if there can be any.

    """

    def __init__(self, host: Host, runtime: PythonRuntime, company: Company | None = None) -> None:
        self._host = host
        self._company = company
        self._runtime = runtime
        self._alarm = host.turn(asyncio.get_running_loop())
        room = payload_bytes(host.config.plugins)
        self._callers = Listener(HttpDoor(host), host.wheel, host.clock, room)
        self._cluster = Listener(AdminDoor(host), host.wheel, host.clock)
        self._sockets: list[asyncio.Server] = []

    async def open(self, http: tuple[str, int], admin: tuple[str, int]) -> Listening:
        """Open the doors and return where they are.

        Raises:
            OSError: One cannot be opened.

        """
        loop = asyncio.get_running_loop()
        for listener, where in ((self._callers, http), (self._cluster, admin)):
            self._sockets.append(await loop.create_server(listener, *where, backlog=BACKLOG))
        names = [opened.sockets[0].getsockname()[:2] for opened in self._sockets]
        if self._company is not None:
            company = self._company
            where = company.address, company.port
            company.socket = await loop.create_server(
                company.listener, *where, backlog=BACKLOG, start_serving=False
            )
            self._sockets.append(company.socket)
            company.start()
        return Listening(*(Address(*name) for name in names))

    async def run(self, stop: Stop, ready: Callable[[], None] | None, drain_seconds: float) -> None:
        """Load and serve until told to stop, then give everything back."""
        tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._load(ready))]
        await stop.asked.wait()
        tasks[1].cancel()
        await shutdown.drain(self._host, self._callers, stop, drain_seconds, self._company)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Close the doors, end all processes."""
        for opened in self._sockets:
            opened.close()
        self._callers.close()
        self._cluster.close()
        if self._company is not None:
            await self._company.close()
        await self._runtime.close()
        self._alarm.stop()

    async def _load(self, ready: Callable[[], None] | None) -> None:
        host, told = self._host, False

        def tell(_: object = None) -> None:
            nonlocal told
            if not told and host.ready:
                told = True
                log.info("ready", plugins=list(host.plugins))
                if ready is not None:
                    ready()

        host.outcomes.on_loaded = tell
        await loading.load(host, lambda: proof.prove(self._runtime))
        if self._company is not None:
            await self._company.open()
        tell()
        gc.freeze()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(load.until_next(time.time()))
            self._host.load.sample(self._host.clock(), time.time(), len(self._host.table))
            self._runtime.look()
            self._callers.tick()
            self._cluster.tick()
            if self._company is not None:
                self._company.listener.tick()


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: Stop) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop.add_signal_handler(signal.SIGTERM, stop.ask)
    loop.add_signal_handler(signal.SIGINT, stop.ask_at_once)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)


def in_pod(
    config: HostConfig,
    keys: Path = Path(host_config.PEERS_DIRECTORY),
    members: Path | None = None,
) -> Peers | None:
    """Return the place of the pod that this process runs in; None for a sandbox without others.

    Args:
        config: Names the Service of all pods.
        keys: Directory of the key that they share.
        members: A file of addresses, instead of the Service.

    Raises:
        ValueError: The pod does not know its own address.

    """
    if config.peers_service is None:
        return None
    own = os.environ.get(POD_ADDRESS, "")
    if not own:
        raise ValueError(f"peers_service is set, so {POD_ADDRESS} must be the pod's own address")
    by_name = resolver.by_name(config.peers_service, own)
    resolve = by_name if members is None else resolver.by_file(members)
    return Peers(own, config.peers_port, keys, resolve)


def main(
    config_path: Path,
    http: str = "0.0.0.0:8080",
    admin: str = "0.0.0.0:9090",
    ready: Callable[[], None] | None = None,
    peers: Callable[[HostConfig], Peers | None] = in_pod,
) -> int:
    """Serve a configuration file on uvloop until told to stop.

    Args:
        config_path: JSON as `api.host_config` has it.
        http: `address:port` of the door for callers.
        admin: The same for probes, metrics and statistics.
        ready: Called once, when callers may come.
        peers: Finds this pod's place among those of its sandbox.

    Returns:
        The exit status: 0 after an orderly end, 1 for an error that was explained.

    """
    try:
        config = host_config.decode(config_path.read_bytes())
        addresses = address(http), address(admin)
        place = peers(config)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        return _explain(f"{config_path}: {error}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(
                serve(config, http=addresses[0], admin=addresses[1], ready=ready, peers=place)
            )
    except OSError as error:
        return _explain(f"cannot serve on {http} and {admin}: {error}")


def address(text: str) -> Address:
    """Read `address:port`, an IPv6 address in brackets.

    Raises:
        ValueError: It is not one.

    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"{text!r} must be ADDRESS:PORT, for example 0.0.0.0:8080")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def _explain(message: str) -> int:
    print(f"pluginsandbox host: {message}", file=sys.stderr)  # noqa: T201 - before there is a log
    return 1
