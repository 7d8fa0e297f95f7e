"""Keeps the store like the cluster: sandboxes as kopf sees them, all else as our informers do.

For each event kopf copies the object, plans, and starts a task, in a thread of its own: that suits
the few events of a sandbox, and would cost more than all the rest for the dozen of its children.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kubernetes.aio.client import ApiClient

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.informer import Informer
from pluginsandbox.controller.kinds import WATCHED, Key
from pluginsandbox.controller.kopf_watch import KopfWatch
from pluginsandbox.controller.queue import AsyncQueue
from pluginsandbox.controller.store import Store

SETTLE_SECONDS = 0.1
"""What happens to the children of a sandbox within this time is looked at together: a pod is made,
placed and started by three controllers, one after the other."""
COUNT_SECONDS = 0.01
"""The same for its Deployment, which counts the ready pods: this is what a sandbox waits for."""


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

        def within(seconds: float) -> Callable[[set[Key]], None]:
            def soon(keys: set[Key]) -> None:
                for key in keys:
                    queue.add_after(key, seconds)

            return soon

        self._sandboxes = KopfWatch(store, cluster, client, namespaces, at_once)
        self._children = [
            Informer(
                store,
                cluster,
                (kind, namespace, selector),
                within(COUNT_SECONDS if kind is kinds.DEPLOYMENT else SETTLE_SECONDS),
            )
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
