"""One look at one sandbox from outside the operator, with the rights of whoever looks."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

from kubernetes.aio.client import ApiClient
from typing_extensions import override

from pluginsandbox.api.host_stats import HostStats
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.hosts import Hosts
from pluginsandbox.controller.kinds import WATCHED, Key
from pluginsandbox.controller.observe import Observer
from pluginsandbox.controller.observed import Observed
from pluginsandbox.controller.settings import Monitoring, Settings
from pluginsandbox.controller.store import Store
from pluginsandbox.controller.trim import Body
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics


class _Unasked(Hosts):
    """Pods cannot be reached from everywhere, and the status says what they told."""

    @override
    async def read(self, key: Key, pods: Sequence[tuple[Body, bool]]) -> dict[str, HostStats]:
        return {}


async def look(client: ApiClient, key: Key) -> Observed | None:
    """Return what there is of a sandbox, or None if there is none of that name.

    Raises:
        ControllerError: Something could not be read.
        pydantic.ValidationError: Its spec is of another version of the kind.

    """
    cluster = Cluster(client, OperatorMetrics())
    try:
        return await _look(cluster, key)
    finally:
        await cluster.close()


async def _look(cluster: Cluster, key: Key) -> Observed | None:
    body = await cluster.get(kinds.SANDBOX, key.namespace, key.name)
    if body is None:
        return None
    store = Store()
    for kind, selector in WATCHED[1:]:
        for found in await cluster.list(kind, key.namespace, selector):
            store.put(kind, found)
    store.put(kinds.SANDBOX, body)
    settings = Settings(monitoring=Monitoring(pod_monitor=False))
    hosts = _Unasked(time.monotonic)
    observer = Observer(store, cluster, hosts, settings, time.monotonic, lambda _: None)
    envelope = {"apiVersion": kinds.SANDBOX.api_version, "kind": kinds.SANDBOX.name}
    sandbox = PluginSandbox.read({**body, **envelope})
    return await observer.listen(await observer.observe(key, sandbox, dt.datetime.now(dt.UTC)))
