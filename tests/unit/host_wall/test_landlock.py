from __future__ import annotations

import pytest

from pluginsandbox.host import landlock


@pytest.mark.parametrize(
    ("abi", "files", "network", "scopes"),
    [
        (1, 0x1FFF, 0, 0),
        (2, 0x3FFF, 0, 0),
        (3, 0x7FFF, 0, 0),
        (4, 0x7FFF, 0x3, 0),
        (5, 0xFFFF, 0x3, 0),
        (6, 0xFFFF, 0x3, 0x3),
        (7, 0xFFFF, 0x3, 0x3),
        (8, 0xFFFF, 0x3, 0x3),
        (9, 0x1FFFF, 0x3, 0x3),
        (10, 0x1FFFF, 0xF, 0x3),
        (99, 0x1FFFF, 0xF, 0x3),  # what a later one adds is not known here, and harmless
    ],
)
def test_all_that_an_abi_knows_is_handled(abi: int, files: int, network: int, scopes: int) -> None:
    assert landlock.handled(abi) == (files, network, scopes)


def test_the_running_kernel_tells_its_abi() -> None:
    assert landlock.abi() >= 0
