"""Every attack on a host as `pluginsandbox run` starts it: stopped, and nobody else notices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bed.shell import REPOSITORY
from tests.hostile.attacks import ATTACKS

NAMES = [f"{attack.group}: {attack.name}" for attack in ATTACKS]


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All attacks once, in a process that has a network of its own."""
    report: Path = tmp_path_factory.mktemp("hostile") / "report.json"
    done = subprocess.run(
        (sys.executable, "-m", "tests.hostile", "--report", str(report)),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    told: list[dict[str, Any]] = json.loads(report.read_text())
    held = sum(each["controlled"] and not each["through"] for each in told)
    last = f"attacks={len(told)} held={held} failed={len(told) - held}"
    assert done.stdout.splitlines()[-1] == last
    assert done.returncode == int(held < len(told))
    return {f"{each['group']}: {each['name']}": each for each in told}


@pytest.mark.parametrize("name", NAMES)
def test_is_stopped_and_nobody_notices(verdicts: dict[str, Any], name: str) -> None:
    found = verdicts[name]
    assert found["through"] == ""
    assert found["controlled"], f"it would not have succeeded anyway: {found['control']}"
