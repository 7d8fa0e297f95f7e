"""Keeps the store like the cluster for one kind: lists it page by page, then watches from there.

A watch that ends, breaks or says nothing is taken up again where it was, so nothing is lost. Only a
server that failed or no longer knows that place makes it list again, and the clock does: what an
event might have failed to tell is known after the next list at the latest.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from pluginsandbox.controller.cluster import GONE, THROTTLED, Cluster, Event
from pluginsandbox.controller.errors import ControllerError, PermanentError, RetryError
from pluginsandbox.controller.kinds import Key, Kind
from pluginsandbox.controller.store import ObjectKey, Store, object_key

log = structlog.get_logger()

RELIST_SECONDS = 600.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 1.0
"""So long nothing is seen of an API server that is back; a dozen requests a second are no load."""
LONG_SECONDS = 30.0
"""After a watch that lived for so long the pauses are short again."""

Where = tuple[Kind, str | None, str]
"""Kind, namespace (None = all) and label selector."""


class Informer:
    """Follows one kind in one namespace, or in all.

    Args:
        store: Takes in what is seen.
        cluster: Where the objects are.
        where: Which objects.
        concerns: Told the sandboxes that a change concerns, and what changed; nothing of a list.

    """

    def __init__(
        self,
        store: Store,
        cluster: Cluster,
        where: Where,
        concerns: Callable[[set[Key], Mapping[str, Any]], None],
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._where = where
        self._concerns = concerns
        self._version = ""
        self._relist_at = 0.0
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled; start again, with ever longer pauses, after every loss."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            asked = await self._follow()
            lasted = time.monotonic() - began > LONG_SECONDS
            pause = FIRST_PAUSE_SECONDS if lasted else min(2 * pause, LAST_PAUSE_SECONDS)
            await asyncio.sleep(jittered(max(pause, asked)))

    async def _follow(self) -> float:
        """List if there is no place to begin at, and watch until that ends.

        Returns:
            Seconds that the server asked to wait.

        """
        try:
            await self._watch()
        except ControllerError as error:
            if not isinstance(error, RetryError) or error.code not in {0, THROTTLED}:
                self._version = ""
            refused = isinstance(error, PermanentError) and error.code != GONE
            log.warning(
                "cannot watch; trying again" if refused else "watch lost; taking it up again",
                kind=self._where[0].name,
                error=str(error),
            )
            return error.after if isinstance(error, RetryError) else 0.0
        except Exception:
            self._version = ""
            log.exception("watch failed; listing again", kind=self._where[0].name)
        return 0.0

    async def _watch(self) -> None:
        if not self._version or time.monotonic() >= self._relist_at:
            keys, self._version = await take_list(self._store, self._cluster, self._where)
            self._relist_at = time.monotonic() + jittered(RELIST_SECONDS)
            self._concerns(keys, {})
            self.listed.set()
        seconds = self._relist_at - time.monotonic()
        async for events in self._cluster.watch(*self._where, self._version, seconds):
            for event in events:
                self._take(event)

    def _take(self, event: Event) -> None:
        kind, body = self._where[0], event.object
        if event.type != "BOOKMARK":
            take = self._store.remove if event.type == "DELETED" else self._store.put
            self._concerns(take(kind, body), body)
        self._version = body["metadata"]["resourceVersion"]


async def take_list(store: Store, cluster: Cluster, where: Where) -> tuple[set[Key], str]:
    """Put all there is into the store.

    Returns:
        The sandboxes that a difference concerns, and the resourceVersion of the list.

    Raises:
        ControllerError: It cannot be listed.

    """
    kind, namespace, selector = where
    listed: set[ObjectKey] = set()
    concerned: set[Key] = set()
    version = "0"
    async for page in cluster.pages(kind, namespace, selector):
        for body in page.get("items") or ():
            listed.add(object_key(kind, body))
            concerned |= store.put(kind, body)
        version = page["metadata"]["resourceVersion"]
    return concerned | store.end(kind, namespace, listed, version), version


def jittered(seconds: float) -> float:
    """Return up to a quarter more, so that many do not come together."""
    return seconds * (1 + random.random() / 4)  # noqa: S311 - no secret
