"""Settings under which kopf only watches, notices a silent connection, and spends little on it.

For each event kopf works out what changed since the last one, for handlers of changes. There are
none here, so the two storages say that nothing was ever seen: this halves what an event costs.
"""

from __future__ import annotations

from typing import Any

import kopf
from typing_extensions import override

from pluginsandbox.api.names import GROUP
from pluginsandbox.controller.cluster import PAGE
from pluginsandbox.controller.informer import jittered

ERROR_BACKOFFS = (0.25, 0.5, *(1.0,) * 11)
"""Seconds between a request's attempts: kopf's own grow to 21, and so long nothing would be seen of
an API server that is back. Each kopf has a little more of each, so that many do not come together.
"""

IDLE_SECONDS = 0.2
"""For which kopf keeps a task and its last event for each object it saw: in a list that is all."""


class _NoDiffs(kopf.DiffBaseStorage):
    """Remembers no state of any object."""

    @override
    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    @override
    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    @override
    def store(self, **_: Any) -> None:
        """Keep nothing."""


class _NoProgress(kopf.ProgressStorage):
    """Remembers no progress of any handler."""

    @override
    def fetch(self, **_: Any) -> None:
        return None

    @override
    def store(self, **_: Any) -> None:
        """Keep nothing."""

    @override
    def purge(self, **_: Any) -> None:
        """There is nothing."""

    @override
    def touch(self, **_: Any) -> None:
        """Write nothing."""

    @override
    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def watch_only() -> kopf.OperatorSettings:
    """Return the settings."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = tuple(map(jittered, ERROR_BACKOFFS))
    settings.watching.server_timeout = 600
    settings.watching.chunk_size = PAGE
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.consistency_timeout = 0
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.process.ultimate_exiting_timeout = None
    return settings
