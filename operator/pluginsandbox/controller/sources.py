"""Reads the ConfigMaps that plugins name: mostly summaries, files only for a new snapshot."""

from __future__ import annotations

from collections import OrderedDict

from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children import config_snapshot
from pluginsandbox.controller.children.config_snapshot import Files
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.kinds import SOURCE_LABEL, Key
from pluginsandbox.controller.observed import Source
from pluginsandbox.controller.store import Store
from pluginsandbox.controller.trim import Body, stored_bytes, summary

KEPT_BYTES = 2 << 20
"""Of the files that were read last: sandboxes that are made together often share their plugins."""


class _Kept:
    """ConfigMaps in full, as they were read last."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[tuple[str, str], Body] = OrderedDict()
        self._bytes = 0

    def get(self, stored: Body) -> Body | None:
        """Return a ConfigMap in full if it was read in the state that the store has it in."""
        at = _at(stored)
        body = self._bodies.get(at)
        if body is None or _state(body) != _state(stored):
            return None
        self._bodies.move_to_end(at)
        return body

    def put(self, body: Body) -> None:
        """Keep a ConfigMap, and let go of what was not used for longest."""
        at = _at(body)
        self._bytes -= stored_bytes(self._bodies.pop(at, {}))
        self._bodies[at] = body
        self._bytes += stored_bytes(body)
        while self._bytes > KEPT_BYTES:
            self._bytes -= stored_bytes(self._bodies.popitem(last=False)[1])


class Sources:
    """What plugins are made of.

    Only a ConfigMap that its owner labelled as a source is ever copied: the label is the owner's
    consent, as the author of a sandbox may not be allowed to read it.

    Args:
        store: Holds summaries of the labelled ConfigMaps.
        cluster: Where the others are looked for.

    """

    def __init__(self, store: Store, cluster: Cluster) -> None:
        self._store = store
        self._cluster = cluster
        self._kept = _Kept()

    async def look(
        self, key: Key, sandbox: PluginSandbox
    ) -> tuple[dict[str, Source], dict[str, Body]]:
        """Return the sources by plugin, and the full ConfigMaps if a snapshot must be made.

        Raises:
            ControllerError: A ConfigMap could not be read.

        """
        names = {
            plugin.name: plugin.source.config_map.name
            for plugin in sandbox.spec.plugins
            if plugin.source.config_map is not None
        }
        found = {name: await self._look(key.namespace, name) for name in set(names.values())}
        sources = {plugin: found[name] for plugin, name in names.items()}
        if not self._snapshot_missing(key, sandbox, sources):
            return sources, {}
        bodies = {name: await self._full(key.namespace, name) for name in found}
        fresh = {name: _source(name, body) for name, body in bodies.items()}
        return (
            {plugin: fresh[name] for plugin, name in names.items()},
            {plugin: body for plugin, name in names.items() if (body := bodies[name]) is not None},
        )

    def _snapshot_missing(
        self, key: Key, sandbox: PluginSandbox, sources: dict[str, Source]
    ) -> bool:
        files = {name: each.files for name, each in sources.items() if each.files is not None}
        if len(files) < len(sources):
            return False
        name = config_snapshot.plan(sandbox, files).name
        return self._store.get(kinds.CONFIG_MAP, key.namespace, name) is None

    async def _look(self, namespace: str, name: str) -> Source:
        stored = self._store.get(kinds.CONFIG_MAP, namespace, name)
        if stored is not None and "files" in stored and _labelled(stored):
            return _source(name, stored)
        metadata = await self._cluster.get_metadata(kinds.CONFIG_MAP, namespace, name)
        if metadata is None or not _labelled(metadata):
            return Source(name, exists=metadata is not None, files=None)
        return _source(name, await self._read(namespace, name))

    async def _full(self, namespace: str, name: str) -> Body | None:
        """Return a ConfigMap in full, as the store knows it or newer."""
        stored = self._store.get(kinds.CONFIG_MAP, namespace, name)
        kept = None if stored is None else self._kept.get(stored)
        return kept if kept is not None else await self._read(namespace, name)

    async def _read(self, namespace: str, name: str) -> Body | None:
        body = await self._cluster.get(kinds.CONFIG_MAP, namespace, name)
        if body is not None and _labelled(body):
            self._store.put(kinds.CONFIG_MAP, body)
            self._kept.put(body)
        return body


def _source(name: str, body: Body | None) -> Source:
    """Return what a ConfigMap is as a source, from its full or its stored form."""
    if body is None or not _labelled(body):
        return Source(name, exists=body is not None, files=None)
    told = body["files"] if "files" in body else summary(body)
    files = Files(told["digest"], tuple(told["keys"]), told["bytes"])
    return Source(name, exists=True, files=files)


def _labelled(body: Body) -> bool:
    return (body["metadata"].get("labels") or {}).get(SOURCE_LABEL) == "true"


def _at(body: Body) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _state(body: Body) -> tuple[str, str]:
    return body["metadata"]["uid"], body["metadata"]["resourceVersion"]
