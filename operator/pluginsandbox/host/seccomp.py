"""From rules about system calls to an installed seccomp filter.

A filter is data: names that pass, names whose arguments decide, names that kill, and what happens
to the rest. Which names those are is the policy's matter (`filters`).
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pluginsandbox.host import bpf, kernel, syscalls
from pluginsandbox.host.bpf import Instruction

# linux/seccomp.h
SET_MODE_FILTER = 1
NEW_LISTENER = 1 << 3
WAIT_KILLABLE = 1 << 5  # Linux 5.19; a call that is asked about is not interrupted, only killed
KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS: dies of SIGSYS, which the host sees
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
REFUSE = ERRNO | errno.EPERM
ASK = 0x7FC00000  # SECCOMP_RET_USER_NOTIF
UNKNOWN = ERRNO | errno.ENOSYS

_ALL_BITS = 0xFFFFFFFF


class OneOf(msgspec.Struct, frozen=True):
    """The lower 32 bits of an argument, masked, are (or, negated, are not) one of the values.

    For arguments that the kernel itself takes as 32 bits, or of which the upper bits mean nothing.
    """

    argument: int
    values: tuple[int | str, ...]
    mask: int = _ALL_BITS
    negated: bool = False

    def compiled(self, then: Sequence[Instruction]) -> list[Instruction]:
        """Run `then` if this holds, else skip it."""
        code = [bpf.load(bpf.low(self.argument))]
        if self.mask != _ALL_BITS:
            code.append(bpf.keep(self.mask))
        if self.negated:
            (value,) = self.values
            return [*code, *bpf.unless_equal(value, then)]
        *others, last = self.values
        code += [
            Instruction(bpf.JUMP_EQUAL, value, if_true=len(others) - at)
            for at, value in enumerate(others)
        ]
        return [*code, *bpf.when_equal(last, then)]


class Exactly(msgspec.Struct, frozen=True):
    """All 64 bits of an argument are `value`: for addresses."""

    argument: int
    value: int

    def compiled(self, then: Sequence[Instruction]) -> list[Instruction]:
        """Run `then` if this holds, else skip it."""
        upper = [
            bpf.load(bpf.high(self.argument)),
            *bpf.when_equal(self.value >> 32, then),
        ]
        return [
            bpf.load(bpf.low(self.argument)),
            *bpf.when_equal(self.value & _ALL_BITS, upper),
        ]


def clear(argument: int, bits: int) -> OneOf:
    """None of `bits` is set in an argument."""
    return OneOf(argument, (0,), mask=bits)


def not_all(argument: int, bits: int) -> OneOf:
    """At least one of `bits` is not set in an argument."""
    return OneOf(argument, (bits,), mask=bits, negated=True)


Condition = OneOf | Exactly
Alternatives = tuple[tuple[Condition, ...], ...]
"""A call passes if all conditions of one alternative hold."""


class Filter(msgspec.Struct, frozen=True):
    """What happens to each system call.

    Args:
        allowed: Calls that pass whatever their arguments.
        checked: Calls that pass if one alternative holds and else are refused with EPERM.
        killed: Calls that no plugin has an honest use for; they end the process.
        unknown: Calls answered with ENOSYS, so that libraries fall back to what is allowed.
        asked: Calls about which the listener of the filter is asked.
        newer: Numbers from here on are ENOSYS too: as on a kernel that has not got them.
        otherwise: Action for every other call.

    """

    allowed: frozenset[str] = frozenset()
    checked: Mapping[str, Alternatives] = {}
    killed: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    newer: int | None = None
    otherwise: int = REFUSE

    def compiled(self, machine: syscalls.Machine) -> bpf.Program:
        """Return the program for one machine.

        Raises:
            ValueError: A name is in no table, or is in two lists.

        """
        self._check_names()
        numbers = syscalls.numbers(machine)
        code = _only(machine)
        # Checked calls first: the kernel remembers which calls always pass and runs the program
        # only for the others.
        for name, alternatives in self.checked.items():
            if name in numbers:
                code += bpf.when_equal(numbers[name], _block(alternatives))
        return bpf.assemble([*code, *_decided(self._boundaries(numbers))])

    def _boundaries(self, numbers: Mapping[str, int]) -> list[tuple[int, int]]:
        """Return where, in ascending numbers, the action changes, and to which."""
        actions = {
            numbers[name]: action
            for action, listed in (
                (ALLOW, self.allowed),
                (KILL, self.killed),
                (UNKNOWN, self.unknown),
                (ASK, self.asked),
            )
            for name in listed
            if name in numbers
        }
        newer = max(numbers.values()) + 1 if self.newer is None else self.newer
        boundaries = [(0, actions.get(0, self.otherwise))]
        for number in range(1, newer):
            action = actions.get(number, self.otherwise)
            if action != boundaries[-1][1]:
                boundaries.append((number, action))
        last = self.otherwise if self.newer is None else UNKNOWN
        return [*boundaries, (newer, last)]

    def _check_names(self) -> None:
        listed = [*self.allowed, *self.checked, *self.killed, *self.unknown, *self.asked]
        strangers = set(listed) - syscalls.names()
        if strangers:
            raise ValueError(f"no number known for {', '.join(sorted(strangers))}")
        twice = {name for name in listed if listed.count(name) > 1}
        if twice:
            raise ValueError(f"in two lists: {', '.join(sorted(twice))}")


def _only(machine: syscalls.Machine) -> list[Instruction]:
    """Kill what is called through another instruction set; leave the call's number loaded."""
    code = [
        bpf.load(bpf.ARCH_OFFSET),
        *bpf.unless_equal(machine.audit_arch, [bpf.answer(KILL)]),
        bpf.load(bpf.NUMBER_OFFSET),
    ]
    if machine.first_foreign is not None:
        code += bpf.when_at_least(machine.first_foreign, [bpf.answer(KILL)])
    return code


def _decided(boundaries: Sequence[tuple[int, int]]) -> list[Instruction]:
    """Search the number by halves: the kernel runs this for every call that exists, at install."""
    if len(boundaries) == 1:
        return [bpf.answer(boundaries[0][1])]
    middle = len(boundaries) // 2
    below = _decided(boundaries[:middle])
    return [
        *bpf.unless_at_least(boundaries[middle][0], below),
        *_decided(boundaries[middle:]),
    ]


def _block(alternatives: Alternatives) -> list[Instruction]:
    code: list[Instruction] = []
    for conditions in alternatives:
        code += _all_of(conditions)
    return [*code, bpf.answer(REFUSE)]


def _all_of(conditions: Iterable[Condition]) -> list[Instruction]:
    code = [bpf.answer(ALLOW)]
    for condition in reversed(tuple(conditions)):
        code = condition.compiled(code)
    return code


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class Installable:
    """A program at a fixed address, made once and installed in many processes.

    Args:
        program: What `Filter.compiled` returned.

    """

    def __init__(self, program: bpf.Program) -> None:
        code = program.code
        self._holes = program.holes
        self._code = ctypes.create_string_buffer(code, len(code))
        self._filter = _FilterProgram(len(code) // bpf.SIZE, ctypes.addressof(self._code))

    @property
    def address(self) -> int:
        """Where the kernel finds the program; a stricter filter may name it."""
        return ctypes.addressof(self._filter)

    def install(self, **holes: int) -> None:
        """Put this process under the filter for good, on top of those it has.

        Args:
            holes: A value for each hole of the program.

        Raises:
            KeyError: A hole has no value.
            OSError: The kernel refused, or has no seccomp.

        """
        for name, offsets in self._holes.items():
            for offset in offsets:
                struct.pack_into("<I", self._code, offset, holes[name])
        kernel.system_call("seccomp", SET_MODE_FILTER, 0, self.address)

    def listen(self) -> int:
        """Do the same with a program that asks; return the descriptor that tells of its questions.

        Raises:
            OSError: The kernel refused: it is too old, or there is a listener already.

        """
        # A process that interrupts its own call would else ask about it again, without end.
        flags = NEW_LISTENER | WAIT_KILLABLE
        return kernel.system_call("seccomp", SET_MODE_FILTER, flags, self.address)
