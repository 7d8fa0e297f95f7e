"""What an author did wrong is told by its file and line, never by a path of the host."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pluginsandbox.api.host_config import PluginLimits
from pluginsandbox.host import python_runtime
from pluginsandbox.host.runtime import PrepareError
from pluginsandbox.verify.digest import tree_digest
from tests.integration.wall_bed import OBEDIENT, Bed, running, text

GOOD = tree_digest({"obedient.py": OBEDIENT.encode()})


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with running(tmp_path) as bed:
        yield bed


async def refused(bed: Bed, **plugin: Any) -> PrepareError:
    with pytest.raises(PrepareError) as raised:
        await bed.prepare(**plugin)
    assert str(bed.directory) not in str(raised.value)
    assert bed.runtime.workers <= 1
    return raised.value


async def test_the_digest_of_the_files_is_checked_before_they_run(bed: Bed) -> None:
    await bed.prepare(digest=GOOD)
    error = await refused(bed, source=OBEDIENT + "\n", digest=GOOD)
    assert error.reason == "DigestMismatch"
    assert GOOD in str(error)


@pytest.mark.parametrize(
    ("source", "reason", "told"),
    [
        ("x = (\n", "ImportFailed", "obedient.py line 1: SyntaxError: '(' was never closed"),
        ("\n1/0\n", "ImportFailed", "obedient.py line 2: ZeroDivisionError: division by zero"),
        ("import requests\n", "ImportFailed", "module 'requests' is not there: ship it"),
        ("raise SystemExit(3)\n", "ImportFailed", "obedient.py line 1: SystemExit: 3"),
        ("import os; os._exit(3)\n", "ImportFailed", "ended while it was loaded: exit status 3"),
        (
            "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)\n",
            "ImportFailed",
            "ended while it was loaded: it made a system call",
        ),
        ("open('/etc/passwd')\n", "ImportFailed", "PermissionError: [Errno 13]"),
        ("open('/tmp/x', 'w')\n", "ImportFailed", "PermissionError: [Errno 1]"),
        ("", "EntryPointInvalid", "module obedient has no class 'Obedient'"),
        ("class Obedient: pass\n", "EntryPointInvalid", "derives from Plugin"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_is_wrong_is_told_with_its_place(
    bed: Bed, source: str, reason: str, told: str
) -> None:
    error = await refused(bed, source=source)
    assert error.reason == reason
    assert told in str(error)


async def test_a_plugin_that_needs_too_much_memory_to_load_says_so(bed: Bed) -> None:
    limits = PluginLimits(memory_bytes=16 << 20)
    error = await refused(bed, source="x = bytearray(64 << 20)\n" + OBEDIENT, limits=limits)
    assert "its import needs more than limits.memory (16 MiB)" in str(error)


async def test_an_import_that_never_ends_is_ended(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_runtime, "PREPARE_SECONDS", 0.5)
    error = await refused(bed, source="while True: pass\n")
    assert "its import did not end within 0.5 s" in str(error)


async def test_a_module_that_is_not_there_is_told_with_those_that_are(bed: Bed) -> None:
    error = await refused(bed, entry_point="inventory:Obedient")
    assert error.reason == "EntryPointInvalid"
    assert "its modules: obedient" in str(error)


async def test_no_files_name_the_source(bed: Bed) -> None:
    plugin = bed.plugin()
    shutil.rmtree(plugin.root)
    with pytest.raises(PrepareError, match="check its source"):
        await bed.runtime.prepare(0, plugin)


async def test_a_plugin_that_is_mended_loads(bed: Bed) -> None:
    await refused(bed, name="mended", source="x = (\n")
    assert (await bed.prepare(name="mended")).functions


async def test_a_directory_made_anew_is_readable(bed: Bed) -> None:
    plugin = bed.plugin(name="again")
    await bed.prepare(plugin)
    shutil.rmtree(plugin.root)
    await bed.prepare(bed.plugin(name="again"))


def mounted(directory: Path) -> Path:
    secret = directory / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"s3cret")
    return secret


async def test_config_and_secrets_reach_the_plugin_they_are_for(bed: Bed, tmp_path: Path) -> None:
    secret = mounted(tmp_path)
    plugin = bed.plugin(config={"warehouse": "shanghai-1"}, secrets={"hmac": str(secret)})
    worker = await bed.worker(await bed.prepare(plugin))
    assert await worker.run("out = self.config['warehouse'], self.secret('hmac')") == (
        "('shanghai-1', b's3cret')"
    )
    neighbour = await bed.worker()
    failed = await neighbour.run(f"open({str(secret / 'key')!r})")
    assert failed.type == "PermissionError"
    if os.getuid() == 0:
        needle = b"shanghai-1"
        assert remembers(worker.live.pid, needle)
        assert not remembers(neighbour.live.pid, needle)
        assert not remembers(bed.runtime.zygote_pid or 0, needle)


def remembers(process: int, needle: bytes) -> bool:
    """Whether a process has some bytes anywhere in its memory."""
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in text(f"/proc/{process}/maps").splitlines():
            area, rights, *_, path = [*line.split(maxsplit=5), ""][:6]
            if rights.startswith("rw") and not path.startswith("[v"):
                start, end = (int(bound, 16) for bound in area.split("-"))
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
    return False


async def test_config_that_no_frame_holds_is_refused(bed: Bed) -> None:
    error = await refused(bed, config={"key": "x" * 100_000})
    assert "its config is over 68 KiB" in str(error)


async def test_too_many_functions_are_refused(bed: Bed) -> None:
    functions = "\n".join(
        f"    @function\n    def f{number}(self, text: str) -> list[str]: ..."
        for number in range(600)
    )
    source = "from pluginsandbox.sdk import Plugin, function\nclass Obedient(Plugin):\n" + functions
    error = await refused(bed, source=source)
    assert error.reason == "EntryPointInvalid"
    assert "give it fewer functions" in str(error)


async def test_three_plugins_are_prepared_at_once(bed: Bed) -> None:
    prepared = await asyncio.gather(*(bed.prepare() for _ in range(3)))
    assert len({plugin.key for plugin in prepared}) == 3


async def test_an_extension_module_loads_with_the_plugin_and_not_later(bed: Bed) -> None:
    early = await bed.worker(source="import _ctypes_test\n" + OBEDIENT)
    assert await early.run("import _ctypes_test; out = 1") == "1"
    late = await bed.worker()
    failed = await late.run("import _ctypes_test")
    assert failed.type == "ImportError"
    assert "import it at the top of the plugin's module" in failed.message
