"""Any way out: every target is a stand-in with a listener that would notice."""

from __future__ import annotations

from tests.hostile.record import SECCOMP, Attack

GROUP = "network"


def _socket(words: str, then: str = "got = s.fileno()") -> str:
    return f"import socket\ns = socket.socket({words})\n{then}"


ATTACKS = (
    Attack(
        "connect by TCP",
        GROUP,
        SECCOMP,
        _socket("", "s.connect(tuple(target['tcp'])); got = s.getpeername()"),
        quick=True,
    ),
    Attack(
        "connect by TCP over IPv6",
        GROUP,
        SECCOMP,
        _socket("socket.AF_INET6", "s.connect(tuple(target['tcp6'])); got = s.getpeername()"),
    ),
    Attack(
        "connect by multipath TCP, which Landlock overlooks",
        GROUP,
        SECCOMP,
        _socket(
            "socket.AF_INET, socket.SOCK_STREAM, 262",
            "s.connect(tuple(target['tcp'])); got = s.getpeername()",
        ),
    ),
    Attack(
        "call the host's own door",
        GROUP,
        SECCOMP,
        "import urllib.request; got = urllib.request.urlopen(target['door'], timeout=5).read()",
        ("PermissionError", "URLError", "ImportError"),
        control=None,
    ),
    Attack(
        "ask the cloud's metadata address",
        GROUP,
        SECCOMP,
        _socket("", "s.connect(tuple(target['metadata'])); got = s.getpeername()"),
        quick=True,
    ),
    Attack(
        "listen",
        GROUP,
        SECCOMP,
        _socket("", "s.bind(('127.0.0.1', 0)); s.listen(); got = s.getsockname()"),
    ),
    Attack(
        "send a datagram",
        GROUP,
        SECCOMP,
        _socket("socket.AF_INET, socket.SOCK_DGRAM", "got = s.sendto(b'x', tuple(target['udp']))"),
    ),
    Attack(
        "ask DNS by hand",
        GROUP,
        SECCOMP,
        _socket(
            "socket.AF_INET, socket.SOCK_DGRAM",
            "got = s.sendto(b'aa' + bytes((1, 0, 0, 1, 0, 0, 0, 0, 0, 0)) + "
            "b'\\x06secret\\x07example\\0\\0\\1\\0\\1', tuple(target['dns']))",
        ),
    ),
    Attack(
        "resolve a name",
        GROUP,
        SECCOMP,
        "import socket; got = socket.getaddrinfo('secret.example', 443)",
        ("PermissionError", "gaierror"),
        control=None,
    ),
    Attack(
        "connect to a unix socket by its path",
        GROUP,
        SECCOMP,
        _socket("socket.AF_UNIX", "s.connect(target['unix']); got = 'connected'"),
    ),
    Attack(
        "connect to an abstract unix socket",
        GROUP,
        SECCOMP,
        _socket("socket.AF_UNIX", "s.connect('\\0' + target['abstract']); got = 'connected'"),
    ),
    Attack(
        "send to a unix socket through a pair of its own",
        GROUP,
        SECCOMP,
        """
import socket
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
got = one.sendto(b'x', target['unix_datagram'])
""",
    ),
    Attack(
        "send to an address through its socket to the host",
        GROUP,
        SECCOMP,
        "import socket; got = socket.socket(1, 5, 0, os.dup(3)).sendto(b'x', target['unix'])",
        control=None,
    ),
    Attack(
        "lead its socket to the host elsewhere",
        GROUP,
        SECCOMP,
        "import socket; socket.socket(1, 5, 0, os.dup(3)).connect(target['unix']); got = 'led'",
        control=None,
    ),
    Attack(
        "pass a descriptor to the host",
        GROUP,
        SECCOMP,
        "import socket; socket.send_fds(socket.socket(1, 5, 0, os.dup(3)), [b'x'], [0]); got = 1",
        control="""
import socket
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
socket.send_fds(one, [b'x'], [0])
got = socket.recv_fds(other, 1, 1)[1]
""",
        quick=True,
    ),
    Attack(
        "hold the host by its socket",
        GROUP,
        SECCOMP,
        "import socket; got = socket.socket(1, 5, 0, os.dup(3)).getsockopt(1, 77, 4)",
        control="import socket; got = socket.socketpair()[0].getsockopt(1, 77, 4)",
    ),
    Attack(
        "widen its socket's buffers",
        GROUP,
        SECCOMP,
        "import socket; socket.socketpair()[0].setsockopt(1, socket.SO_SNDBUF, 1 << 24); got = 1",
    ),
    Attack(
        "send a raw packet",
        GROUP,
        SECCOMP,
        _socket(
            "socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP",
            "got = s.sendto(bytes((8, 0, 0xf7, 0xff, 0, 0, 0, 0)), ('127.0.0.1', 0))",
        ),
    ),
    Attack(
        "listen to every packet",
        GROUP,
        SECCOMP,
        _socket("socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)"),
    ),
    Attack(
        "change the network's configuration",
        GROUP,
        SECCOMP,
        _socket("socket.AF_NETLINK, socket.SOCK_RAW, 0"),
    ),
    Attack(
        "reach the hypervisor",
        GROUP,
        SECCOMP,
        _socket("40, socket.SOCK_STREAM"),
        ("PermissionError", "OSError"),
        control=None,
    ),
    Attack(
        "use the kernel's ciphers",
        GROUP,
        SECCOMP,
        _socket("38, socket.SOCK_SEQPACKET"),
        ("PermissionError", "OSError"),
        control=None,
    ),
)
