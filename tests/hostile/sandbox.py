"""The sandbox that is attacked: one victim and the same hostile plugin three times."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from pluginsandbox.api.host_config import Isolation
from tests.bed import sandboxes

NAME = "besieged"
FOLDER = Path(__file__).parent
TOKEN = f"VICTIM-{secrets.token_hex(16)}"
KEY = f"VICTIM-{secrets.token_hex(16)}"

HOSTILE_FILES = {
    "hostile.py": (FOLDER / "plugins" / "hostile.py").read_text(),
    "prelude.py": (FOLDER / "prelude.py").read_text(),
}
VICTIM_FILES = {"victim.py": (FOLDER / "plugins" / "victim.py").read_text()}
TIMEOUT_MILLISECONDS = 700
"""Of plugin `hasty`."""
MEMORY = 32 << 20
"""Of each hostile worker."""


def objects() -> list[dict[str, Any]]:
    """Return the sandbox and what it names."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "victim-keys"},
        "stringData": {"key": KEY},
    }
    sources = [
        sandboxes.source("victim", VICTIM_FILES),
        *(sandboxes.source(name, HOSTILE_FILES) for name in ("hostile", "hasty")),
    ]
    return [secret, *sources, _sandbox()]


# Plugins that attack while they are loaded.
EARLY = """
import os, msgspec
from pluginsandbox.sdk import Plugin, function
CODE
class Early(Plugin):
    @function
    def add(self) -> int:
        return 1
"""
_DIES_ONCE_IT_SERVES = """
from pluginsandbox.host import channel, frames
send = channel.Channel.send
def last(self, frame):
    send(self, frame)
    if type(frame) is frames.Loaded: os._exit(3)
channel.Channel.send = last
"""
BROKEN = {
    "liar": EARLY.replace(
        "CODE",
        # And serves by itself, without the filter that comes when its import is over.
        "os.write(3, msgspec.msgpack.encode([1, [['steal', '', b'{}', b'{}']], 0.0, 0.0]))\n"
        "while os.read(3, 70_000): pass",
    ),
    "sleeper": EARLY.replace("CODE", "while True: pass"),
    "dier": EARLY.replace("CODE", _DIES_ONCE_IT_SERVES),
}


def isolation(name: str) -> Isolation:
    """Return the isolation of one of `BROKEN`."""
    return "PerContext" if name == "dier" else "PerPlugin"


def broken_objects(name: str) -> list[dict[str, Any]]:
    """Return a sandbox of the plugins in `BROKEN` and the victim, next to `objects`."""
    sources = [sandboxes.source(each, {f"{each}_code.py": BROKEN[each]}) for each in BROKEN]
    plugins = [
        sandboxes.plugin(each, f"{each}_code:Early", isolation=isolation(each)) for each in BROKEN
    ]
    return [*sources, sandboxes.sandbox(name, _victim(), *plugins)]


def _victim() -> dict[str, Any]:
    return sandboxes.plugin(
        "victim",
        "victim:Victim",
        config={"token": TOKEN},
        secrets=[{"name": "keys", "secretName": "victim-keys"}],
        limits={"memory": "32Mi", "callTimeoutMilliseconds": 10_000},
    )


def _sandbox() -> dict[str, Any]:
    hostile = sandboxes.plugin(
        "hostile",
        "hostile:Hostile",
        isolation="PerContext",
        limits={"memory": "32Mi", "callTimeoutMilliseconds": 10_000, "maxContexts": 16},
    )
    hasty = sandboxes.plugin(
        "hasty",
        "hostile:Hostile",
        limits={"memory": "32Mi", "callTimeoutMilliseconds": TIMEOUT_MILLISECONDS},
    )
    resources = {"requests": {"memory": "128Mi"}}
    return sandboxes.sandbox(NAME, _victim(), hostile, hasty, host={"resources": resources})
