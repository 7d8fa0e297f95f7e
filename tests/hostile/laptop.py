"""The arena of a laptop: `pluginsandbox run`, in a network that has no way out."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from pluginsandbox.api.host_config import HostConfig, PluginConfig, PluginLimits, encode
from tests.hostile import sandbox
from tests.hostile.arena import Arena, shared_memory
from tests.hostile.door import SECONDS, Door, until
from tests.hostile.ears import Ears

PORTS, MORE_PORTS = (8080, 9090), (8180, 9190)
PROGRAM = str(Path(sys.executable).with_name("pluginsandbox"))


class Laptop(Arena):
    """A host on this machine.

    Args:
        folder: Everything is below it.
        ears: Listen in the network of this process.

    """

    where = "laptop"

    def __init__(self, folder: Path, ears: Ears) -> None:
        super().__init__()
        self._folder = folder
        self._ears = ears
        self._open = contextlib.ExitStack()
        self._logs = folder / "host.log"
        self._second: Door | None = None
        manifest = folder / "sandbox.yaml"
        manifest.write_text(yaml.safe_dump_all(sandbox.objects()))
        ports = ("--port", str(PORTS[0]), "--admin-port", str(PORTS[1]))
        self.process = self._start(
            "run", str(manifest), *ports, "--log-level", "info", log=self._logs
        )
        self.door = Door(("127.0.0.1", PORTS[0]), ("127.0.0.1", PORTS[1]))
        self._await(self.door, self.process)
        self.target = {**ears.targets(), **self._places(), "host": self.process.pid}
        self.begin()

    def _start(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TMPDIR": str(self._folder), "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as file:
            process = subprocess.Popen((PROGRAM, *words), env=environment, stderr=file)
        self._open.callback(self._end, process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait(SECONDS)

    def _await(self, door: Door, process: subprocess.Popen[bytes]) -> None:
        def ready() -> bool:
            assert process.poll() is None, self._logs.read_text()[-2000:]
            with contextlib.suppress(OSError):
                return door.request("GET", "/readyz", admin=True).status == 200
            return False

        assert until(ready), self._logs.read_text()[-2000:]

    def _places(self) -> dict[str, object]:
        (top,) = self._folder.glob("pluginsandbox-*")
        return {
            "root": str(top / "plugins" / "hostile"),
            "victim_root": str(top / "plugins" / "victim"),
            "victim_file": str(top / "plugins" / "victim" / "victim.py"),
            "secret": str(top / "secrets" / "victim" / "keys" / "key"),
            "config": str(top / "config.json"),
            "door": f"http://127.0.0.1:{PORTS[1]}/stats",
        }

    def identity(self) -> object:
        """Return the process's number, as long as it lives."""
        return self.process.pid if self.process.poll() is None else None

    def heard(self) -> list[str]:
        """Ask the ears."""
        return self._ears.heard()

    def host_descriptors(self) -> int:
        """Count them."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208

    def shared_memory(self, process: int) -> int:
        """Ask the kernel."""
        return shared_memory(Path(f"/proc/{process}"))

    def log(self) -> list[str]:
        """Read the log."""
        return self._logs.read_text(errors="replace").splitlines()

    def alive(self, process: int) -> bool:
        """Look for it."""
        return Path(f"/proc/{process}").exists()

    def broken(self) -> Door:
        """Start the second host, once."""
        if self._second is None:
            self._second = self._start_broken()
        return self._second

    def _start_broken(self) -> Door:
        top = self._folder / "plugins"
        plugins = [self._broken(top, name, code) for name, code in sandbox.BROKEN.items()]
        plugins += [self._linker(top), self._linked(top), self._victim(top)]
        path = self._folder / "broken.json"
        path.write_bytes(encode(HostConfig("default", "broken", tuple(plugins))))
        http, admin = (f"127.0.0.1:{port}" for port in MORE_PORTS)
        words = ("host", "--config", str(path), "--http", http, "--admin", admin)
        process = self._start(*words, log=self._folder / "broken.log")
        door = Door(("127.0.0.1", MORE_PORTS[0]), ("127.0.0.1", MORE_PORTS[1]))

        def serves() -> bool:
            assert process.poll() is None
            with contextlib.suppress(OSError):
                return door.call("victim", "add", "early").status == 200
            return False

        assert until(serves)
        return door

    def _broken(self, top: Path, name: str, code: str) -> PluginConfig:
        root = top / name
        root.mkdir(parents=True)
        (root / f"{name}_code.py").write_text(code)
        own = sandbox.isolation(name)
        return PluginConfig(name, str(root), f"{name}_code:Early", isolation=own)

    def _linker(self, top: Path) -> PluginConfig:
        """Return a plugin whose image holds a link where its path leads: to all plugins."""
        (top / "linker").mkdir(parents=True)
        (top / "linker" / "code_of_it.py").write_text(sandbox.EARLY.replace("CODE", ""))
        (top / "linker" / "plugin").symlink_to("..")
        return PluginConfig("linker", str(top / "linker" / "plugin"), "linker.code_of_it:Early")

    def _linked(self, top: Path) -> PluginConfig:
        """Return a plugin that has a link to a neighbour's secret among its files."""
        (top / "linked").mkdir(parents=True)
        (top / "linked" / "linked_code.py").write_text(sandbox.EARLY.replace("CODE", ""))
        (top / "linked" / "key").symlink_to(str(self.target["secret"]))
        return PluginConfig("linked", str(top / "linked"), "linked_code:Early")

    def _victim(self, top: Path) -> PluginConfig:
        (top / "victim").mkdir(parents=True)
        (top / "victim" / "victim.py").write_text(sandbox.VICTIM_FILES["victim.py"])
        root, config = str(top / "victim"), {"token": sandbox.TOKEN}
        return PluginConfig("victim", root, "victim:Victim", config=config, limits=PluginLimits())

    def end(self) -> str:
        """Return what is missing: refused calls are counted."""
        return self.uncounted()

    def close(self) -> None:
        """End both hosts."""
        self._open.close()


@contextlib.contextmanager
def besieged(folder: Path, ears: Ears) -> Iterator[Laptop]:
    """Run the host for a while."""
    arena = Laptop(folder, ears)
    try:
        yield arena
    finally:
        arena.close()
