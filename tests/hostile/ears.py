"""Stand-ins for everything that a plugin might want to reach, each with an ear that would notice.

The suite puts them into a network namespace that has no way out, so not one packet can leave.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METADATA = ("169.254.169.254", 80)
DNS = ("10.96.0.10", 53)
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFFLAGS = 0x8916, 0x891C, 0x8914
_UP = 1


def enter_closed_network() -> None:
    """Put this process into a network of its own that consists of a loopback device.

    Raises:
        OSError: The kernel refused: it lets this user have no namespaces.

    """
    user, group = os.getuid(), os.getgid()
    _unshare(_NEW_NETWORK if user == 0 else _NEW_NETWORK | _NEW_USER)
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _configure("lo", _SIOCSIFFLAGS, struct.pack("<h", _UP))
    for number, address in enumerate((METADATA[0], DNS[0], *_resolvers())):
        add_address(f"lo:{number}", address)


def add_address(alias: str, address: str) -> None:
    """Give the loopback device one more address."""
    for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.255")):
        packed = struct.pack("<HH4s", socket.AF_INET, 0, socket.inet_aton(value))
        _configure(alias, request, packed)


def _resolvers() -> list[str]:
    """Return the name servers that this machine asks, so that here they lead nowhere."""
    with contextlib.suppress(OSError):
        lines = Path("/etc/resolv.conf").read_text().splitlines()
        words = [line.split() for line in lines]
        found = [word[1] for word in words if word[:1] == ["nameserver"] and "." in word[-1]]
        return [address for address in found if not address.startswith("127.")]
    return []


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        error = ctypes.get_errno()
        raise OSError(error, f"no network of its own: {os.strerror(error)}")


def _configure(name: str, request: int, value: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, request, struct.pack("16s24s", name.encode(), value))


class Ears:
    """The listeners.

    Args:
        folder: Where unix sockets are made.
        address: Where to listen for TCP and UDP.
        closed: Whether this network is one that `enter_closed_network` made: whatever is heard
            there was an attack.

    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", *, closed: bool = True) -> None:
        self._open = contextlib.ExitStack()
        self._ears: dict[str, socket.socket] = {}
        self._abstract = f"pluginsandbox-{secrets.token_hex(8)}"
        self._paths = {name: str(folder / f"{name}.socket") for name in ("stream", "datagram")}
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self._ear("tcp", socket.AF_INET, stream, (address, 0))
        self._ear("udp", socket.AF_INET, datagram, (address, 0))
        self._ear("tcp6", socket.AF_INET6, stream, ("::1", 0))
        self._ear("metadata", socket.AF_INET, stream, METADATA)
        self._ear("dns", socket.AF_INET, datagram, DNS if closed else (address, 0))
        self._ear("unix", socket.AF_UNIX, stream, self._paths["stream"])
        self._ear("unix_datagram", socket.AF_UNIX, datagram, self._paths["datagram"])
        self._ear("abstract", socket.AF_UNIX, stream, f"\0{self._abstract}")
        if closed:
            for number, resolver in enumerate(_resolvers()):
                self._ear(f"resolver{number}", socket.AF_INET, datagram, (resolver, 53))
            ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self._ears["ping"] = self._open.enter_context(ping)

    def _ear(self, name: str, family: int, kind: int, address: Any) -> None:
        ear = self._open.enter_context(socket.socket(family, kind))
        ear.bind(address)
        if kind == socket.SOCK_STREAM:
            ear.listen()
        self._ears[name] = ear

    def targets(self) -> dict[str, Any]:
        """Return what an attacker needs to know to reach them."""
        names = ("tcp", "udp", "tcp6", "dns")
        ports = {name: list(self._ears[name].getsockname()[:2]) for name in names}
        paths = {"unix": self._paths["stream"], "unix_datagram": self._paths["datagram"]}
        return {
            **ports,
            **paths,
            "abstract": self._abstract,
            "metadata": list(METADATA),
        }

    def heard(self) -> list[str]:
        """Return who heard something since the last time."""
        ready, _, _ = select.select(list(self._ears.values()), (), (), 0)
        return [name for name, ear in self._ears.items() if ear in ready and self._emptied(ear)]

    def _emptied(self, ear: socket.socket) -> bool:
        while select.select([ear], (), (), 0)[0]:
            if ear.type == socket.SOCK_STREAM:
                ear.accept()[0].close()
            else:
                ear.recv(4096)
        return True

    def close(self) -> None:
        """Be deaf."""
        self._open.close()


@contextlib.contextmanager
def on_node(folder: Path) -> Iterator[Ears]:
    """Listen for a while where packets of this node's pods come to.

    The cloud's metadata address is the node's own meanwhile, so that nothing sent there goes on.
    """
    alias = "lo:169"
    add_address(alias, METADATA[0])
    try:
        with contextlib.closing(Ears(folder, _outward_address(), closed=False)) as ears:
            yield ears
    finally:
        _configure(alias, _SIOCSIFFLAGS, struct.pack("<h", 0))


def _outward_address() -> str:
    """Return the address of this machine that its default route begins at; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))
        return str(asking.getsockname()[0])


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[Ears]:
    """Listen for a while."""
    ears = Ears(folder)
    try:
        yield ears
    finally:
        ears.close()
