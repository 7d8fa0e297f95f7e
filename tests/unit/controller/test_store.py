"""The store: never older than what it knew, and never bigger than it must be."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.controller import kinds
from pluginsandbox.controller.kinds import Key, Kind
from pluginsandbox.controller.store import Store, object_key
from pluginsandbox.controller.trim import files, stored_bytes, trim
from pluginsandbox.verify.digest import tree_digest

SHOP = Key("team", "shop")


def body(
    name: str = "shop", version: int = 1, uid: str = "u", owner: str = "", **parts: Any
) -> dict[str, Any]:
    labels = {kinds.SANDBOX_LABEL: owner} if owner else {}
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels | parts.pop("labels", {}),
        "managedFields": [{"manager": "x" * 1000}],
        "annotations": {"pluginsandbox.dev/applied": "h", "theirs": "x"},
    }
    return {"metadata": metadata, **parts}


def uses(*sources: str) -> dict[str, Any]:
    plugins = [{"name": name, "source": {"configMap": {"name": name}}} for name in sources]
    return {"plugins": plugins}


def test_a_change_concerns_its_sandbox_and_the_same_again_nobody() -> None:
    store = Store()
    assert store.put(kinds.SANDBOX, body()) == {SHOP}
    assert store.put(kinds.SANDBOX, body()) == set()
    assert store.put(kinds.SANDBOX, body(version=2)) == set(), "nothing we look at changed"
    assert store.put(kinds.DEPLOYMENT, body("shop", owner="shop")) == {SHOP}


def test_an_older_state_is_not_taken() -> None:
    store = Store()
    store.put(kinds.SERVICE, body(version=5, owner="shop", spec={"a": 2}))
    assert store.put(kinds.SERVICE, body(version=4, owner="shop", spec={"a": 1})) == set()
    known = store.get(kinds.SERVICE, "team", "shop")
    assert known is not None
    assert known["spec"] == {"a": 2}


def test_a_late_deletion_of_a_predecessor_does_not_remove_its_successor() -> None:
    store = Store()
    store.put(kinds.SERVICE, body(version=9, uid="new", owner="shop"))
    assert store.remove(kinds.SERVICE, body(version=7, uid="old", owner="shop")) == set()
    assert store.get(kinds.SERVICE, "team", "shop")
    assert store.remove(kinds.SERVICE, body(version=10, uid="new", owner="shop")) == {SHOP}
    assert not len(store)


def test_a_source_concerns_all_that_use_it() -> None:
    store = Store()
    store.put(kinds.SANDBOX, body("one", spec=uses("a", "b")))
    store.put(kinds.SANDBOX, body("two", spec=uses("b")))
    assert store.put(kinds.CONFIG_MAP, body("b", data={"k": "v"})) == {
        Key("team", "one"),
        Key("team", "two"),
    }
    store.put(kinds.SANDBOX, body("two", version=2, spec=uses("a")))
    assert store.put(kinds.CONFIG_MAP, body("b", version=2, data={"k": "w"})) == {
        Key("team", "one")
    }
    assert store.remove(kinds.CONFIG_MAP, body("a")) == set()


@pytest.mark.parametrize("spec", [None, 7, {"plugins": 3}, {"plugins": [3, {"source": 4}]}])
def test_a_spec_of_any_shape_is_stored(spec: Any) -> None:
    assert Store().put(kinds.SANDBOX, body(spec=spec)) == {SHOP}


def test_a_full_list_ends_ghosts_but_not_what_is_newer() -> None:
    store = Store()
    store.put(kinds.POD, body("ghost", version=3, owner="shop"))
    store.put(kinds.POD, body("fresh", version=8, owner="shop"))
    store.put(kinds.POD, body("same", version=2, owner="shop"))
    listed = {object_key(kinds.POD, body("same"))}
    concerned = store.end(kinds.POD, None, listed, "5")
    assert concerned == {SHOP}
    names = [each["metadata"]["name"] for each in store.owned(kinds.POD, SHOP)]
    assert names == ["fresh", "same"]


def test_a_list_of_one_namespace_leaves_the_others_alone() -> None:
    store = Store()
    store.put(kinds.POD, body("a", owner="shop"))
    store.end(kinds.POD, "elsewhere", (), "9")
    assert len(store) == 1


@given(st.permutations(range(1, 7)))
def test_in_any_order_of_events_the_newest_state_wins(order: list[int]) -> None:
    store = Store()
    for version in order:
        store.put(kinds.SERVICE, body(version=version, owner="shop", spec={"v": version}))
    known = store.get(kinds.SERVICE, "team", "shop")
    assert known is not None
    assert known["spec"] == {"v": 6}


@pytest.mark.parametrize(
    "kind", [kinds.SANDBOX, kinds.DEPLOYMENT, kinds.SERVICE, kinds.POD, kinds.CONFIG_MAP]
)
def test_what_nobody_reads_is_cut(kind: Kind) -> None:
    trimmed = trim(kind, body(data={"k": "v" * 5000}, status={"hostIP": "x"}))
    assert "managedFields" not in trimmed["metadata"]
    assert trimmed["metadata"]["annotations"] == {"pluginsandbox.dev/applied": "h"}
    assert "data" not in trimmed
    assert trim(kind, trimmed) == trimmed


def test_a_source_is_kept_as_its_digest() -> None:
    content = {"a.py": "a = 1\n"}
    binary = {"b.bin": base64.b64encode(b"\x00\x01").decode()}
    source = body("src", data=content, binaryData=binary)
    told = trim(kinds.CONFIG_MAP, source)["files"]
    assert told["digest"] == tree_digest({"a.py": b"a = 1\n", "b.bin": b"\x00\x01"})
    assert told["keys"] == ["a.py", "b.bin"]
    assert files(source)["b.bin"] == b"\x00\x01"
    assert told["bytes"] == stored_bytes(source) == len("a.pya = 1\nb.binAAE=")


def test_a_snapshot_is_kept_without_its_content() -> None:
    snapshot = body("copy", owner="shop", immutable=True, data={"k": "v" * 5000})
    trimmed = trim(kinds.CONFIG_MAP, snapshot)
    assert trimmed["immutable"] is True
    assert "files" not in trimmed


def test_an_answer_from_before_a_deletion_does_not_bring_the_object_back() -> None:
    store = Store()
    store.put(kinds.SANDBOX, body(version=3))
    assert store.remove(kinds.SANDBOX, body(version=7)) == {SHOP}
    assert store.put(kinds.SANDBOX, body(version=6)) == set()
    listed = {object_key(kinds.SANDBOX, body())}
    assert store.end(kinds.SANDBOX, None, listed, "6") == set()
    assert store.get(kinds.SANDBOX, "team", "shop") is None


def test_what_lost_its_label_may_come_back() -> None:
    store = Store()
    store.put(kinds.CONFIG_MAP, body("counter", 3))
    store.remove(kinds.CONFIG_MAP, body("counter", 7))
    store.put(kinds.CONFIG_MAP, body("counter", 8))
    assert store.get(kinds.CONFIG_MAP, "team", "counter") is not None


def test_a_ghost_that_a_list_ended_stays_dead() -> None:
    store = Store()
    store.put(kinds.SERVICE, body(version=3, owner="shop"))
    store.end(kinds.SERVICE, None, (), "9")
    assert store.put(kinds.SERVICE, body(version=8, owner="shop")) == set()
    assert store.put(kinds.SERVICE, body(version=10, uid="new", owner="shop")) == {SHOP}


def test_an_event_that_is_faster_than_the_answer_to_our_own_write_concerns_nobody() -> None:
    store = Store()
    with store.making(kinds.SERVICE, "team", "shop", "h"):
        assert store.put(kinds.SERVICE, body(version=3, owner="shop")) == set()
        changed = body(version=4, owner="shop", spec={"a": 1})
        assert store.put(kinds.SERVICE, changed) == {SHOP}, "somebody else's change does"
    assert store.owned(kinds.SERVICE, SHOP)


def test_what_somebody_else_makes_meanwhile_concerns_the_sandbox() -> None:
    store = Store()
    with store.making(kinds.SERVICE, "team", "shop", "another"):
        assert store.put(kinds.SERVICE, body(version=3, owner="shop")) == {SHOP}


def test_a_part_that_did_not_change_stays_the_same_object() -> None:
    store = Store()
    store.put(kinds.DEPLOYMENT, body(version=1, owner="shop", spec={"a": [1]}, status={}))
    before = store.get(kinds.DEPLOYMENT, "team", "shop")
    later = body(version=2, owner="shop", spec={"a": [1]}, status={"replicas": 1})
    assert store.put(kinds.DEPLOYMENT, later) == {SHOP}
    after = store.get(kinds.DEPLOYMENT, "team", "shop")
    assert before is not None
    assert after is not None
    assert after["spec"] is before["spec"]
    assert after["status"]["replicas"] == 1
