from __future__ import annotations

import re
from pathlib import Path

import pytest

from pluginsandbox.host.syscalls import AARCH64, X86_64, Machine, here, names, numbers

HEADERS = {
    X86_64: (
        "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "/usr/include/asm/unistd_64.h",
    ),
    AARCH64: ("/usr/include/asm-generic/unistd.h",),
}
_DEFINED = re.compile(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)")
_ALIASED = re.compile(r"#define\s+__NR_(\w+)\s+__NR3264_(\w+)")


def kernel_numbers(machine: Machine) -> dict[str, int]:
    """Return what the kernel's own header says, or skip."""
    for path in HEADERS[machine]:
        if Path(path).exists():
            text = Path(path).read_text()
            found = {name: int(number) for name, number in _DEFINED.findall(text)}
            aliases = {name: found[to] for name, to in _ALIASED.findall(text) if to in found}
            return found | aliases
    pytest.skip("this machine has no kernel headers")


@pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=lambda machine: machine.name)
def test_the_kernel_headers_agree(machine: Machine) -> None:
    kernel = kernel_numbers(machine)
    newest = max(kernel.values())
    for name, number in numbers(machine).items():
        assert kernel.get(name, number) == number, name
        assert name in kernel or number > newest, f"{name} is not in the header"


@pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=lambda machine: machine.name)
def test_no_number_is_given_twice(machine: Machine) -> None:
    table = numbers(machine)
    assert len(set(table.values())) == len(table)


def test_every_name_is_of_some_machine() -> None:
    assert names() == numbers(X86_64).keys() | numbers(AARCH64).keys()


def test_this_machine_is_one_of_them() -> None:
    assert here() in (X86_64, AARCH64)


def test_another_machine_has_no_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strange:
        machine = "riscv64"

    monkeypatch.setattr("os.uname", Strange)
    with pytest.raises(OSError, match="no system call table for riscv64"):
        here()
