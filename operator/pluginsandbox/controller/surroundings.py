"""What a reconcile must know of the cluster that no watch tells; believed for a minute."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.errors import ControllerError, PermanentError
from pluginsandbox.controller.kinds import Key
from pluginsandbox.controller.settings import SELECTOR_NAMESPACE, Settings
from pluginsandbox.controller.store import Store

log = structlog.get_logger()

BELIEVED_SECONDS = 60.0
_NEVER = float("-inf")


class Surroundings:
    """Labels of namespaces, and PodMonitors where the Prometheus operator is installed.

    Args:
        store: Takes in the PodMonitors that are found.
        cluster: Where they are.
        settings: The administrator's configuration.
        clock: Monotonic seconds.

    """

    def __init__(
        self, store: Store, cluster: Cluster, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._labels: dict[str, tuple[float, dict[str, str]]] = {}
        self._served: tuple[float, bool] = (_NEVER, False)
        self._looked: dict[Key, float] = {}

    async def namespace_labels(self, namespace: str) -> dict[str, str]:
        """Return a namespace's labels; only its name where no more is needed or allowed."""
        named = {SELECTOR_NAMESPACE: namespace}
        if not self._settings.namespace_labels_matter:
            return named
        read_at, labels = self._labels.get(namespace, (_NEVER, named))
        if self._clock() - read_at < BELIEVED_SECONDS:
            return labels
        try:
            body = await self._cluster.get_metadata(kinds.NAMESPACE, "", namespace)
        except ControllerError:
            return labels
        labels = {**((body or {}).get("metadata", {}).get("labels") or {}), **named}
        self._labels[namespace] = (self._clock(), labels)
        return labels

    async def pod_monitors(self, key: Key) -> bool:
        """Tell whether PodMonitors are wanted and served; if so, look at the sandbox's own.

        Raises:
            ControllerError: It could not be read.

        """
        if not self._settings.monitoring.pod_monitor:
            return False
        asked_at, served = self._served
        if self._clock() - asked_at >= BELIEVED_SECONDS:
            served = await self._cluster.serves(kinds.POD_MONITOR)
            self._served = (self._clock(), served)
        if served and self._clock() - self._looked.get(key, _NEVER) >= BELIEVED_SECONDS:
            try:
                await self._look(key)
            except PermanentError as error:
                log.warning("PodMonitors are left out", error=str(error))
                self._served = (self._clock(), False)
                return False
            self._looked[key] = self._clock()
        return served

    def forget(self, key: Key) -> None:
        """Drop what is known of a sandbox that is gone."""
        self._looked.pop(key, None)

    async def _look(self, key: Key) -> None:
        kind = kinds.POD_MONITOR
        body = await self._cluster.get(kind, key.namespace, key.name)
        known = self._store.get(kind, key.namespace, key.name)
        if body is not None:
            self._store.put(kind, body)
        elif known is not None:
            self._store.remove(kind, known)
