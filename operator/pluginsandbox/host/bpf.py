"""A small assembler for the classic BPF programs that seccomp runs.

Rules become blocks with relative jumps inside them only, so a program may be any length although a
jump reaches 255 instructions. A constant that is known only later (a process id) is a named hole.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

# struct seccomp_data, linux/seccomp.h
NUMBER_OFFSET = 0
ARCH_OFFSET = 4
ARGUMENTS_OFFSET = 16

# linux/bpf_common.h
LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
MASK = 0x54  # BPF_ALU | BPF_AND | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
_MAX_JUMP = 255
_LAYOUT = struct.Struct("<HBBI")
SIZE = _LAYOUT.size


class Instruction(msgspec.Struct, frozen=True):
    """One instruction: code, jumps when true and when false, and a constant or a hole's name."""

    code: int
    constant: int | str
    if_true: int = 0
    if_false: int = 0


class Program(msgspec.Struct, frozen=True):
    """An assembled program, possibly with holes.

    Args:
        code: The instructions as the kernel reads them.
        holes: Name to the offsets in `code` where its 32-bit little-endian value belongs.

    """

    code: bytes
    holes: dict[str, tuple[int, ...]]


def low(argument: int) -> int:
    """Return the offset of an argument's lower 32 bits (both machines are little endian)."""
    return ARGUMENTS_OFFSET + 8 * argument


def high(argument: int) -> int:
    """Return the offset of an argument's upper 32 bits."""
    return low(argument) + 4


def load(offset: int) -> Instruction:
    """Load a word of `struct seccomp_data`."""
    return Instruction(LOAD, offset)


def keep(mask: int) -> Instruction:
    """Keep the bits of `mask`."""
    return Instruction(MASK, mask)


def answer(action: int) -> Instruction:
    """End the program."""
    return Instruction(RETURN, action)


def when_equal(constant: int | str, then: Sequence[Instruction]) -> list[Instruction]:
    """Run `then` if the loaded word equals `constant`, else skip it."""
    return [Instruction(JUMP_EQUAL, constant, 0, _jump(then)), *then]


def unless_equal(constant: int | str, then: Sequence[Instruction]) -> list[Instruction]:
    """Run `then` if the loaded word differs from `constant`, else skip it."""
    return [Instruction(JUMP_EQUAL, constant, _jump(then), 0), *then]


def when_at_least(constant: int, then: Sequence[Instruction]) -> list[Instruction]:
    """Run `then` if the loaded word is `constant` or more, else skip it."""
    return [Instruction(JUMP_AT_LEAST, constant, 0, _jump(then)), *then]


def unless_at_least(constant: int, then: Sequence[Instruction]) -> list[Instruction]:
    """Run `then` if the loaded word is below `constant`, else skip it."""
    return [Instruction(JUMP_AT_LEAST, constant, _jump(then), 0), *then]


def assemble(instructions: Sequence[Instruction]) -> Program:
    """Put a program into the kernel's form.

    Raises:
        ValueError: It is longer than the kernel takes.

    """
    if len(instructions) > MAX_INSTRUCTIONS:
        raise ValueError(f"program has {len(instructions)} instructions, over {MAX_INSTRUCTIONS}")
    code = bytearray()
    holes: dict[str, tuple[int, ...]] = {}
    for instruction in instructions:
        constant = instruction.constant
        if isinstance(constant, str):
            holes[constant] = (*holes.get(constant, ()), len(code) + 4)
            constant = 0
        code += _LAYOUT.pack(instruction.code, instruction.if_true, instruction.if_false, constant)
    return Program(bytes(code), holes)


def _jump(over: Sequence[Instruction]) -> int:
    if len(over) > _MAX_JUMP:
        raise ValueError(f"a jump over {len(over)} instructions; it reaches {_MAX_JUMP}")
    return len(over)
