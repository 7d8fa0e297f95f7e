from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.host import bpf
from pluginsandbox.host.seccomp import (
    ALLOW,
    KILL,
    REFUSE,
    UNKNOWN,
    Exactly,
    Filter,
    OneOf,
    clear,
    not_all,
)
from pluginsandbox.host.syscalls import AARCH64, MACHINES, X86_64, Machine, numbers
from tests.unit.host_wall.interpreter import answer, fill, run

WORD = st.integers(0, 2**64 - 1)


def asked(conditions: tuple[OneOf | Exactly, ...], *arguments: int) -> bool:
    program = Filter(checked={"read": (conditions,)}).compiled(X86_64)
    verdict = answer(program.code, X86_64, numbers(X86_64)["read"], *arguments)
    assert verdict in (ALLOW, REFUSE)
    return verdict == ALLOW


@given(WORD)
def test_one_of_compares_the_lower_half(word: int) -> None:
    assert asked((OneOf(1, (3, 7, 1 << 31)),), 0, word) == (word & 0xFFFFFFFF in (3, 7, 1 << 31))


@given(WORD, st.integers(1, 2**32 - 1))
def test_clear_means_that_no_bit_is_set(word: int, bits: int) -> None:
    assert asked((clear(2, bits),), 0, 0, word) == (word & bits == 0)


@given(WORD, st.integers(1, 2**32 - 1))
def test_not_all_means_that_one_bit_is_not_set(word: int, bits: int) -> None:
    assert asked((not_all(5, bits),), 0, 0, 0, 0, 0, word) == (word & bits != bits)


@given(WORD, WORD)
def test_exactly_compares_both_halves(word: int, value: int) -> None:
    assert asked((Exactly(0, value),), word) == (word == value)
    assert asked((Exactly(0, value),), value)
    assert not asked((Exactly(0, value),), value ^ (1 << 40))


@given(WORD, WORD)
def test_all_conditions_of_an_alternative_must_hold(one: int, other: int) -> None:
    conditions = (clear(0, 0xFF), Exactly(1, 5))
    assert asked(conditions, one, other) == (one & 0xFF == 0 and other == 5)
    assert asked(conditions, 0x100, 5)


def test_one_alternative_is_enough() -> None:
    program = Filter(checked={"read": ((OneOf(0, (1,)),), (OneOf(1, (2,)),))}).compiled(X86_64)
    read = numbers(X86_64)["read"]
    assert answer(program.code, X86_64, read, 1, 0) == ALLOW
    assert answer(program.code, X86_64, read, 0, 2) == ALLOW
    assert answer(program.code, X86_64, read, 2, 1) == REFUSE


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_number_gets_the_action_of_its_list(machine: Machine) -> None:
    found = Filter(
        allowed=frozenset(("read", "exit_group", "openat")),
        checked={"mmap": ((clear(2, 4),),)},
        killed=frozenset(("ptrace", "bpf")),
        unknown=frozenset(("clone3",)),
        newer=451,
    )
    code = found.compiled(machine).code
    names = {number: name for name, number in numbers(machine).items()}
    for number in range(600):
        name = names.get(number)
        if name in found.allowed or name == "mmap":
            expected = ALLOW
        elif name in found.killed:
            expected = KILL
        elif name in found.unknown or number >= 451:
            expected = UNKNOWN
        else:
            expected = REFUSE
        assert answer(code, machine, number) == expected, (number, name)


def test_without_a_newest_number_the_rest_is_otherwise() -> None:
    code = Filter(killed=frozenset(("ptrace",)), otherwise=ALLOW).compiled(X86_64).code
    assert answer(code, X86_64, 100_000) == ALLOW


@pytest.mark.parametrize(
    ("machine", "foreign", "number"),
    [
        (X86_64, AARCH64, 0),  # whatever is not this machine, int 0x80 too
        (AARCH64, X86_64, 63),
        (X86_64, X86_64, 0x40000000),  # x32: another table behind the same instruction
        (X86_64, X86_64, 0x40000000 | 1),
        (X86_64, X86_64, 0xFFFFFFFF),
    ],
)
def test_another_instruction_set_is_killed(machine: Machine, foreign: Machine, number: int) -> None:
    code = Filter(allowed=frozenset(("read",)), otherwise=ALLOW).compiled(machine).code
    assert answer(code, foreign, number) == KILL


def test_aarch64_has_no_second_table() -> None:
    code = Filter(otherwise=ALLOW).compiled(AARCH64).code
    assert answer(code, AARCH64, 0x40000000) == ALLOW


def test_a_name_that_no_table_has_is_an_error() -> None:
    with pytest.raises(ValueError, match="no number known for reed"):
        Filter(allowed=frozenset(("reed",))).compiled(X86_64)


def test_a_name_in_two_lists_is_an_error() -> None:
    twice = Filter(allowed=frozenset(("read",)), killed=frozenset(("read",)))
    with pytest.raises(ValueError, match="in two lists: read"):
        twice.compiled(X86_64)


def test_a_hole_is_filled_where_it_stands() -> None:
    program = Filter(checked={"read": ((OneOf(0, ("own",)),),)}).compiled(X86_64)
    code = fill(program, own=4711)
    assert answer(code, X86_64, 0, 4711) == ALLOW
    assert answer(code, X86_64, 0, 4712) == REFUSE


def test_a_program_that_the_kernel_would_refuse_is_an_error() -> None:
    with pytest.raises(ValueError, match="over 4096"):
        bpf.assemble([bpf.answer(ALLOW)] * 4097)
    with pytest.raises(ValueError, match="it reaches 255"):
        bpf.when_equal(0, [bpf.answer(ALLOW)] * 256)


def test_the_interpreter_reads_the_number_and_the_machine() -> None:
    code = bpf.assemble([bpf.load(bpf.ARCH_OFFSET), bpf.answer(1)]).code
    assert run(code, bytes(64)) == 1
