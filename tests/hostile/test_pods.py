"""Some attacks of each group on a real restricted pod; `make hostile WHERE=pods` makes them all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.bed.platform import Platform
from tests.bed.shell import REPOSITORY
from tests.hostile.attacks import ATTACKS
from tests.hostile.record import GROUPS

QUICK = [attack for attack in ATTACKS if attack.quick and attack.pods]


def test_every_group_is_tried_on_pods() -> None:
    assert {attack.group for attack in QUICK} == set(GROUPS)


@pytest.mark.pods
def test_a_pod_stops_them_and_nobody_notices(cluster: Platform) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tests.hostile", "--where", "pods", "--quick"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    told = done.stdout.splitlines()
    assert told[-1:] == [f"attacks={len(QUICK)} held={len(QUICK)} failed=0"], done.stdout[-4000:]
    assert done.returncode == 0
