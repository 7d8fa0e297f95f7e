"""The proof says what holds, and what does not on a kernel that lacks a part of the wall."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import pluginsandbox
from pluginsandbox.host import acts, proof
from tests.integration.wall_bed import SECONDS, Bed, running, until

SCRIPT = """
import asyncio, json, subprocess, sys
from pathlib import Path
from pluginsandbox.api.host_config import HostConfig, PluginConfig
from pluginsandbox.host import bpf, kernel, landlock, seccomp, syscalls
from pluginsandbox.host.proof import prove
from pluginsandbox.host.python_runtime import PythonRuntime
from pluginsandbox.host.runtime import PrepareError

def lose(*names):
    if names == ("listener",):  # somebody else's: a process can have one
        other = seccomp.Filter(asked=frozenset(("sethostname",)), otherwise=seccomp.ALLOW)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        return seccomp.Installable(other.compiled(syscalls.here())).listen()
    missing = seccomp.Filter(unknown=frozenset(names), otherwise=seccomp.ALLOW)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.Installable(missing.compiled(syscalls.here())).install()

def age(abi):
    # Host and zygote believe that the kernel is older.
    landlock.abi = lambda: abi
    start = subprocess.Popen
    older = "from pluginsandbox.host import landlock; landlock.abi = lambda: %d; " % abi
    def popen(words, **more):
        *words, program = words
        return start([*words, older + program], **more)
    subprocess.Popen = popen

async def main(confinement, root):
    plugin = PluginConfig(name="obedient", root=root, entry_point="obedient:Obedient")
    config = HostConfig("shop", "orders", (plugin,), confinement=confinement)
    runtime = PythonRuntime(config, asyncio.get_running_loop())
    runtime.start()
    found = await prove(runtime)
    told = {"abi": found.landlock_abi, "holds": found.holds}
    told["missing"] = {act.name: act.detail for act in found.acts if not act.held}
    try:
        await runtime.prepare(0, plugin)
    except PrepareError as error:
        told["reason"], told["message"] = error.reason, str(error)
    await runtime.close()
    print(json.dumps(told))

if sys.argv[3:4] == ["abi"]:
    age(int(sys.argv[4]))
elif len(sys.argv) > 3:
    lose(*sys.argv[3:])
asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with running(tmp_path) as bed:
        yield bed


def test_every_fatal_act_is_an_act() -> None:
    assert set(proof.FATAL) < set(acts.ACTS)
    assert len(proof.FATAL) + len(proof.REFUSED) == len(acts.ACTS)


async def test_everything_holds_here_and_nothing_is_left(bed: Bed) -> None:
    found = await proof.prove(bed.runtime)
    assert [act for act in found.acts if not act.held] == []
    assert found.holds == (found.landlock_abi >= 1)
    assert len(found.acts) == len(proof.FATAL) + len(proof.REFUSED) + 1
    assert {act.detail for act in found.acts if act.name in proof.FATAL} == {"killed"}
    await until(lambda: not bed.runtime.workers)


async def test_a_machine_too_busy_for_the_proof_is_no_gap_in_the_wall(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again: a pod that started in a bad minute must not be refused for ever."""
    monkeypatch.setattr(proof, "_SECONDS", 0.0)
    with pytest.raises(TimeoutError, match="the proof of the wall took more than"):
        await proof.prove(bed.runtime)
    monkeypatch.setattr(proof, "_SECONDS", SECONDS)
    assert (await proof.prove(bed.runtime)).acts


async def prove(*words: str, wrapper: tuple[str, ...] = (), **environment: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *wrapper or (sys.executable,),
        "-c",
        SCRIPT,
        *words,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, _ = await asyncio.wait_for(process.communicate(), 2 * SECONDS)
    assert process.returncode == 0
    told: dict[str, Any] = json.loads(out)
    return told


async def test_without_landlock_strict_is_impossible(bed: Bed) -> None:
    root = bed.plugin().root
    told = await prove("Strict", root, "landlock_create_ruleset")
    assert (told["abi"], told["holds"]) == (0, False)
    assert told["reason"] == "ConfinementImpossible"
    assert "Landlock cannot be had here" in told["message"]
    assert "unless host.confinement is BestEffort" in told["message"]


async def test_without_landlock_best_effort_runs_and_says_what_is_missing(bed: Bed) -> None:
    root = bed.plugin().root
    told = await prove("BestEffort", root, "landlock_create_ruleset")
    assert (told["abi"], told["holds"]) == (0, False)
    assert "reason" not in told
    # What only Landlock stops; the filters and limits stop the rest as ever.
    assert set(told["missing"]) <= {
        "read-passwd",
        "list-root",
        "read-proc-self",
        "proc-environ-host",
        "proc-mem-host",
        "proc-mem-sibling",
        "proc-maps-sibling",
    }
    assert told["missing"]["read-passwd"] == "it succeeded"


async def test_without_seccomp_strict_is_impossible(bed: Bed) -> None:
    told = await prove("Strict", bed.plugin().root, "seccomp")
    assert told["reason"] == "ConfinementImpossible"
    assert "seccomp cannot be had here" in told["message"]


@pytest.mark.parametrize("abi", [1, 4, 6])
async def test_the_whole_list_holds_on_an_older_landlock_too(bed: Bed, abi: int) -> None:
    """Filters stop what Landlock's later versions stop besides; `Confined` tells which it is."""
    told = await prove("Strict", bed.plugin().root, "abi", str(abi))
    assert told == {"abi": abi, "holds": True, "missing": {}}


async def test_where_another_listens_the_kernel_refuses_by_itself(bed: Bed) -> None:
    told = await prove("Strict", bed.plugin().root, "listener")
    assert told == {"abi": told["abi"], "holds": True, "missing": {}}


def in_a_pod(directory: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return how to run as a restricted pod's user: no name, no capability, nothing writable."""
    python = shutil.which("python3", path="/usr/bin")
    if os.getuid() or not shutil.which("setpriv") or python is None:
        pytest.skip("needs root, setpriv and a Python that every user can read")
    version = (python, "-c", "import sys; print(*sys.version_info[:2])")
    found = subprocess.run(version, capture_output=True, text=True, check=True).stdout.split()
    if found != [str(number) for number in sys.version_info[:2]]:
        pytest.skip(f"{python} is of another version")
    site = Path(sysconfig.get_path("purelib"))
    for package in (site / "msgspec", Path(pluginsandbox.__file__).parent):
        shutil.copytree(package, directory / package.name, dirs_exist_ok=True)
    user = ("--reuid=65532", "--regid=65532", "--clear-groups")
    drop = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
    return ("setpriv", *user, *drop, python), {"PYTHONPATH": str(directory)}


async def test_everything_holds_for_a_restricted_user(bed: Bed) -> None:
    # Not below the test's own directory, which only its user may enter.
    directory = Path("/tmp") / f"pluginsandbox-wall-{os.getpid()}"  # noqa: S108
    try:
        wrapper, environment = in_a_pod(directory)
        shutil.copytree(bed.plugin().root, directory / "plugin")
        told = await prove("Strict", str(directory / "plugin"), wrapper=wrapper, **environment)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    assert told == {"abi": told["abi"], "holds": True, "missing": {}}
