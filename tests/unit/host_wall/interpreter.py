"""Runs classic BPF as the kernel does, so that a program can be asked on any machine."""

from __future__ import annotations

import struct

from pluginsandbox.host import bpf
from pluginsandbox.host.syscalls import Machine

_LAYOUT = struct.Struct("<HBBI")
_ALL_BITS = 0xFFFFFFFF


def answer(code: bytes, machine: Machine, number: int, *arguments: int) -> int:
    """Return what a filter says of one system call."""
    padded = [argument & 0xFFFFFFFFFFFFFFFF for argument in (*arguments, *[0] * 6)][:6]
    data = struct.pack("<IIQ6Q", number, machine.audit_arch, 0, *padded)
    return run(code, data)


def run(code: bytes, data: bytes) -> int:
    """Run a program over `struct seccomp_data`."""
    program = list(_LAYOUT.iter_unpack(code))
    at, word = 0, 0
    while True:
        operation, if_true, if_false, constant = program[at]
        at += 1
        if operation == bpf.LOAD:
            assert constant % 4 == 0, "the kernel refuses unaligned loads"
            (word,) = struct.unpack_from("<I", data, constant)
        elif operation == bpf.MASK:
            word &= constant
        elif operation == bpf.JUMP_EQUAL:
            at += if_true if word == constant else if_false
        elif operation == bpf.JUMP_AT_LEAST:
            at += if_true if word >= constant else if_false
        else:
            assert operation == bpf.RETURN, f"unknown instruction {operation:#x}"
            return int(constant)


def fill(program: bpf.Program, **holes: int) -> bytes:
    """Return a program's code with its holes filled."""
    code = bytearray(program.code)
    for name, offsets in program.holes.items():
        for offset in offsets:
            struct.pack_into("<I", code, offset, holes[name] & _ALL_BITS)
    return bytes(code)
