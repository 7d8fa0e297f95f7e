"""Keeps the store like the cluster: sandboxes as kopf sees them, all else as our informers do.

For each event kopf copies the object, plans, and starts a task, in a thread of its own: that suits
the few events of a sandbox, and would cost more than all the rest for the dozen of its children.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from typing import Any

from kubernetes.aio.client import ApiClient

from pluginsandbox.controller import explain, kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.informer import Informer
from pluginsandbox.controller.kinds import WATCHED, Key, Kind
from pluginsandbox.controller.kopf_watch import KopfWatch
from pluginsandbox.controller.queue import AsyncQueue
from pluginsandbox.controller.store import Store

SETTLE_SECONDS = 0.1
"""What happens to the children of a sandbox within this time is looked at together: a pod is made,
placed and started by three controllers, one after the other."""
READY_SECONDS = 0.01
"""The same for what a sandbox waits for: a ready pod, and its Deployment, which counts them."""


class Watch:
    """Watches all that there is in `WATCHED`.

    Args:
        store: Takes in what is seen.
        queue: Takes the keys that it concerns.
        cluster: For lists and watches of ours.
        client: Connection and credentials, for kopf.
        namespaces: Namespaces to watch; empty = all.

    """

    def __init__(
        self,
        store: Store,
        queue: AsyncQueue[Key],
        cluster: Cluster,
        client: ApiClient,
        namespaces: tuple[str, ...],
    ) -> None:
        def at_once(keys: set[Key]) -> None:
            for key in keys:
                queue.add(key)

        def soon(kind: Kind, keys: set[Key], body: Mapping[str, Any]) -> None:
            for key in keys:
                queue.add_after(key, READY_SECONDS if _awaited(kind, body) else SETTLE_SECONDS)

        self._sandboxes = KopfWatch(store, cluster, client, namespaces, at_once)
        self._children = [
            Informer(store, cluster, (kind, namespace, selector), functools.partial(soon, kind))
            for kind, selector in WATCHED
            if kind is not kinds.SANDBOX
            for namespace in namespaces or (None,)
        ]
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled, whatever is lost meanwhile."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sandboxes.run())
            for each in self._children:
                group.create_task(each.run())
            group.create_task(self._sync())

    async def _sync(self) -> None:
        for listed in (self._sandboxes.listed, *(each.listed for each in self._children)):
            await listed.wait()
        self.synced.set()


def _awaited(kind: Kind, body: Mapping[str, Any]) -> bool:
    return kind is kinds.DEPLOYMENT or (kind is kinds.POD and explain.is_true(body, "Ready"))
