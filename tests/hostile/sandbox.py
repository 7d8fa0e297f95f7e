"""The sandbox that is attacked: one victim and the same hostile plugin three times."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

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
TIMEOUT_MILLISECONDS = 400
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


def _sandbox() -> dict[str, Any]:
    victim = sandboxes.plugin(
        "victim",
        "victim:Victim",
        config={"token": TOKEN},
        secrets=[{"name": "keys", "secretName": "victim-keys"}],
        limits={"memory": "32Mi", "callTimeoutMilliseconds": 10_000},
    )
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
    return sandboxes.sandbox(NAME, victim, hostile, hasty, host={"resources": resources})
