"""Brings a host's plugins up: proves the wall, then verifies, loads and starts each of them.

A plugin that cannot work leaves the host up, not ready, and explained; what time may cure is tried
again, what only an edit can cure is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from pluginsandbox.host.assembly import Host
from pluginsandbox.host.plugins import Plugin
from pluginsandbox.host.runtime import Confinement, Prepared, PrepareError

FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 30.0

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


async def load(host: Host, prove: Callable[[], Awaitable[Confinement]]) -> None:
    """Prove the wall and load every plugin; returns when each is loaded or given up.

    Args:
        host: Whose.
        prove: Tries every forbidden act.

    """
    host.confinement = await _again(prove, "confinement not proven yet", _pending(host))
    gaps = {act.name: act.detail for act in host.confinement.acts if not act.held}
    log.info(
        "confinement proven" if host.confinement.holds else "confinement has gaps",
        landlock_abi=host.confinement.landlock_abi,
        acts=len(host.confinement.acts),
        gaps=gaps,
    )
    if not host.confined:
        for plugin in host.plugins.values():
            plugin.fail("ConfinementImpossible", _impossible(host.confinement, list(gaps)))
        log.error("no plugin is loaded: confinement is Strict and has gaps", gaps=len(gaps))
        return
    await asyncio.gather(
        *(_load_plugin(host, index, each) for index, each in enumerate(host.plugins.values()))
    )


def _impossible(confinement: Confinement, missing: list[str]) -> str:
    if confinement.landlock_abi < 1:
        cause = "this node's kernel has no Landlock"
    else:
        cause = f"these acts were not stopped: {', '.join(missing)}"
    return (
        f"{cause}; run on nodes with Landlock (Linux 5.13 or newer, `landlock` in the boot "
        "parameter lsm=), or let the administrator allow host.confinement: BestEffort"
    )


async def _load_plugin(host: Host, index: int, plugin: Plugin) -> None:
    def failed(message: str) -> None:
        plugin.fail("Unexpected", message)

    try:
        prepared = await _again(
            lambda: host.runtime.prepare(index, plugin.config),
            f"plugin {plugin.name} not loaded yet",
            failed,
        )
    except PrepareError as error:
        plugin.fail(error.reason, str(error))
        why = {"reason": error.reason, "error": str(error)}
        log.error("plugin refused", plugin=plugin.name, **why)  # noqa: TRY400 - no bug of ours
    else:
        _open(host, prepared)


def _pending(host: Host) -> Callable[[str], None]:
    def told(message: str) -> None:
        for plugin in host.plugins.values():
            plugin.message = f"confinement is not proven: {message}"

    return told


async def _again(
    attempt: Callable[[], Awaitable[Result]], event: str, tell: Callable[[str], None]
) -> Result:
    """Return what an attempt returns, repeated ever more slowly while it fails oddly.

    Raises:
        PrepareError: Only an edit can cure it.

    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await attempt()
        except PrepareError:
            raise
        except Exception as error:
            tell(f"{type(error).__name__}: {error}; it is tried again")
            log.exception(event, again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)


def _open(host: Host, prepared: Prepared) -> None:
    name = prepared.config.name
    for stage, seconds in prepared.stage_seconds.items():
        host.metrics.load_duration(name, stage).observe(seconds)
    log.info(
        "plugin loaded",
        plugin=name,
        functions=[info.name for info in prepared.functions],
        milliseconds={stage: round(s * 1000, 2) for stage, s in prepared.stage_seconds.items()},
    )
    host.open_plugin(prepared)
