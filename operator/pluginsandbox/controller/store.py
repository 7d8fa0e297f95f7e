"""What was last seen of every object that the controller watches: our informer cache.

`watch` puts events in, `cluster`'s answers to our own writes are put in as well, so that the next
reconcile never acts on a state from before its own last write. Bodies are trimmed and must not be
changed by readers.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from pluginsandbox.controller import kinds
from pluginsandbox.controller.kinds import Key, Kind
from pluginsandbox.controller.shelf import Shelf
from pluginsandbox.controller.trim import Body, trim

ObjectKey = tuple[Kind, str, str]

REMEMBERED_DEAD = 10_000


class Life(NamedTuple):
    """Which sandbox has a name now, and in what state of its spec.

    Args:
        uid: Tells it from its namesakes.
        generation: Of its spec.
        leaving: Whether it is being deleted.

    """

    uid: str
    generation: int
    leaving: bool


class Store:
    """Trimmed bodies by kind, namespace and name, with two ways to look them up."""

    def __init__(self) -> None:
        self._bodies: Shelf[ObjectKey] = Shelf()
        self._sandboxes: dict[Key, Life] = {}
        self._owned: dict[tuple[Kind, Key], set[str]] = defaultdict(set)
        self._users: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._dead: OrderedDict[str, int] = OrderedDict()
        self._making: dict[ObjectKey, str] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """Return the object as last seen."""
        return self._bodies.get((kind, namespace, name))

    def owned(self, kind: Kind, key: Key) -> list[Body]:
        """Return the objects of a kind that carry the sandbox's label, by name."""
        names = self._owned.get((kind, key), ())
        return [self._bodies[kind, key.namespace, name] for name in sorted(names)]

    def sandboxes(self) -> Mapping[Key, Life]:
        """Return all sandboxes, each by its key."""
        return self._sandboxes

    def put(self, kind: Kind, body: Mapping[str, Any]) -> set[Key]:
        """Take in an object as the API server gave it.

        Returns:
            The sandboxes that this concerns; none if it is older than what is known, of an object
            that is known to be gone, or if nothing changed that the controller looks at.

        """
        new = trim(kind, body)
        at = object_key(kind, new)
        old = self._bodies.get(at)
        gone_at = self._dead.get(_uid(new), -1)
        if _number(new) <= gone_at or (old is not None and _older(new, old)):
            return set()
        self._bodies[at] = new
        if old is None:
            concerned = self._link(at, new)
            return set() if self._making.get(at) == applied(new) else concerned
        if _share(old, new):
            return set()
        return self._unlink(at, old) | self._link(at, new)

    @contextlib.contextmanager
    def making(self, kind: Kind, namespace: str, name: str, mark: str) -> Iterator[None]:
        """Make an object within the block: an event that is faster than the answer concerns nobody.

        Args:
            kind: Of the object.
            namespace: Its own.
            name: Its own.
            mark: What `applied` tells of it.

        """
        at = kind, namespace, name
        self._making[at] = mark
        try:
            yield
        finally:
            del self._making[at]

    def remove(self, kind: Kind, body: Mapping[str, Any]) -> set[Key]:
        """Take in that an object is gone; return the sandboxes that this concerns."""
        gone = {"metadata": body["metadata"]}
        at = object_key(kind, gone)
        self._bury(_uid(gone), _number(gone))
        old = self._bodies.get(at)
        if old is None or (_uid(old) != _uid(gone) and _older(gone, old)):
            return set()
        del self._bodies[at]
        return self._unlink(at, old)

    def end(
        self, kind: Kind, namespace: str | None, listed: Container[ObjectKey], version: str
    ) -> set[Key]:
        """Take in the end of a full list: what is not on it and is not newer than it is gone.

        So what a broken watch never told is known, too.

        Args:
            kind: Of the objects.
            namespace: Namespace that was listed; None = all.
            listed: What was on it.
            version: resourceVersion of the list.

        Returns:
            The sandboxes that a difference concerns.

        """
        concerned: set[Key] = set()
        known = [at for at in self._bodies if at[0] is kind and namespace in (None, at[1])]
        for at in known:
            if at in listed or _number(old := self._bodies[at]) > int(version):
                continue
            self._bury(_uid(old), int(version))
            concerned |= self.remove(kind, old)
        return concerned

    def _bury(self, uid: str, version: int) -> None:
        """Remember when an object went: an older answer, list or event does not bring it back.

        A newer one may: what lost its label has only left the watch.
        """
        self._dead[uid] = max(version, self._dead.pop(uid, -1))
        while len(self._dead) > REMEMBERED_DEAD:
            self._dead.popitem(last=False)

    def _link(self, at: ObjectKey, body: Body) -> set[Key]:
        kind, namespace, name = at
        if kind is kinds.SANDBOX:
            self._sandboxes[Key(namespace, name)] = _life(body)
            for source in _sources(body):
                self._users[namespace, source].add(Key(namespace, name))
        elif owner := _owner(body):
            self._owned[kind, Key(namespace, owner)].add(name)
        return self._concerned(at, body)

    def _unlink(self, at: ObjectKey, body: Body) -> set[Key]:
        kind, namespace, name = at
        if kind is kinds.SANDBOX:
            self._sandboxes.pop(Key(namespace, name), None)
            for source in _sources(body):
                _discard(self._users, (namespace, source), Key(namespace, name))
        elif owner := _owner(body):
            _discard(self._owned, (kind, Key(namespace, owner)), name)
        return self._concerned(at, body)

    def _concerned(self, at: ObjectKey, body: Body) -> set[Key]:
        kind, namespace, name = at
        if kind is kinds.SANDBOX:
            return {Key(namespace, name)}
        owner = _owner(body)
        users = self._users.get((namespace, name), ()) if kind is kinds.CONFIG_MAP else ()
        return {*users, *([Key(namespace, owner)] if owner else [])}


def _discard(index: dict[Any, set[Any]], key: Any, value: Any) -> None:
    index[key].discard(value)
    if not index[key]:
        del index[key]


def object_key(kind: Kind, body: Mapping[str, Any]) -> ObjectKey:
    """Return what tells an object from all others."""
    metadata = body["metadata"]
    return kind, metadata.get("namespace", ""), metadata["name"]


def _uid(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("uid", ""))


def _life(body: Body) -> Life:
    metadata = body["metadata"]
    return Life(_uid(body), int(metadata.get("generation", 0)), "deletionTimestamp" in metadata)


def _owner(body: Body) -> str:
    return str((body["metadata"].get("labels") or {}).get(kinds.SANDBOX_LABEL, ""))


def _sources(body: Body) -> list[str]:
    """Return the ConfigMaps that a sandbox names; tolerant, as its spec was not checked yet."""
    names = []
    spec = body.get("spec")
    plugins = spec.get("plugins") if isinstance(spec, dict) else None
    for plugin in plugins if isinstance(plugins, list) else ():
        source = plugin.get("source") if isinstance(plugin, dict) else None
        config_map = source.get("configMap") if isinstance(source, dict) else None
        if isinstance(config_map, dict) and isinstance(config_map.get("name"), str):
            names.append(config_map["name"])
    return names


def _number(body: Mapping[str, Any]) -> int:
    return int(body["metadata"].get("resourceVersion") or 0)


def _older(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Tell the order of two states by resourceVersion, which is comparable (KEP-5504)."""
    return _number(new) < _number(old)


def _share(old: Body, new: Body) -> bool:
    """Put the parts that did not change into the new body, and tell whether none did.

    So what is compared again and again is one object, and takes the memory of one.
    """
    changed = old.keys() != new.keys()
    for part, value in new.items():
        if part == "metadata":
            changed |= {**old[part], "resourceVersion": ""} != {**value, "resourceVersion": ""}
            new[part] = {name: _kept(old[part].get(name), each) for name, each in value.items()}
        else:
            new[part] = _kept(old.get(part), value)
            changed |= new[part] is not old.get(part)
    return not changed


def _kept(old: Any, new: Any) -> Any:
    return old if old == new else new


def applied(body: Mapping[str, Any]) -> str:
    """Return the hash of the manifest that an object was made from last; empty if not by us."""
    annotations = body["metadata"].get("annotations") or {}
    return str(annotations.get(kinds.APPLIED_ANNOTATION, ""))
