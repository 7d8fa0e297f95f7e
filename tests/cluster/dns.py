"""Asks the cluster's DNS, as a pod would: an object's status may be older than a crash."""

from __future__ import annotations

import secrets
import socket
import struct
from ipaddress import IPv4Address

from tests.cluster.layout import API_SERVICE_ADDRESS, DNS_ADDRESS, DNS_DOMAIN

_PORT = 53
_ADDRESS_RECORD, _INTERNET = 1, 1
_RECURSION_DESIRED = 0x0100


def answers(seconds: float = 0.5) -> bool:
    """Whether the API server's name is resolved to its address within `seconds`."""
    try:
        return ask(f"kubernetes.default.svc.{DNS_DOMAIN}", seconds) == API_SERVICE_ADDRESS
    except OSError:
        return False


def ask(name: str, seconds: float) -> IPv4Address | None:
    """The address of a name, None if the answer has none.

    The address is the end of an answer that holds one record, which is all that is needed here.

    Raises:
        OSError: no answer in time.
    """
    identity = secrets.randbits(16)
    header = struct.pack("!6H", identity, _RECURSION_DESIRED, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack("!2H", _ADDRESS_RECORD, _INTERNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.connect((str(DNS_ADDRESS), _PORT))
        client.send(header + question)
        answer = client.recv(512)
    (count,) = struct.unpack_from("!H", answer, 6)
    return IPv4Address(answer[-4:]) if count == 1 else None
