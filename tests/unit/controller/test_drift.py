"""Whether an apply would change anything, told without asking the server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.controller.drift import covers, differences, said

SCALARS = st.one_of(st.text(max_size=5), st.integers(1, 9), st.just(True))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=4), inner)
    ),
    max_leaves=12,
)
MANIFEST: dict[str, Any] = {
    "metadata": {"labels": {"a": "b"}, "ownerReferences": [{"uid": "u", "controller": True}]},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "host",
                        "image": "i",
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                        "resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}},
                        "command": ["a", "b"],
                    }
                ],
                "volumes": [{"name": "v", "configMap": {"name": "c", "items": []}}],
            }
        },
    },
}


def live() -> dict[str, Any]:
    """Return the manifest as a server keeps it: defaults filled in, quantities in its own words."""
    body = copy.deepcopy(MANIFEST)
    body["spec"]["revisionHistoryLimit"] = 10
    body["metadata"]["labels"]["theirs"] = "x"
    pod = body["spec"]["template"]["spec"]
    pod["dnsPolicy"] = "ClusterFirst"
    pod["containers"][0]["resources"]["limits"] = {"memory": "1Gi", "cpu": "500m"}
    pod["containers"].insert(0, {"name": "sidecar", "image": "s"})
    pod["containers"][1]["ports"].append({"containerPort": 1, "protocol": "TCP"})
    del pod["volumes"][0]["configMap"]["items"]
    return body


@given(TREES)
def test_everything_covers_itself(tree: Any) -> None:
    assert covers(copy.deepcopy(tree), tree)


@given(st.dictionaries(st.text(min_size=1, max_size=4), TREES), st.text(min_size=5, max_size=6))
def test_what_others_add_is_no_difference(tree: dict[str, Any], name: str) -> None:
    assert covers({**tree, name: "theirs"}, tree)


@given(st.dictionaries(st.text(min_size=1, max_size=4), SCALARS.filter(bool), min_size=1))
def test_whatever_is_taken_away_is_found(tree: dict[str, Any]) -> None:
    for name in tree:
        rest = {key: value for key, value in tree.items() if key != name}
        assert list(differences(rest, tree)) == [name]


def test_defaults_quantities_sidecars_and_foreign_labels_are_no_drift() -> None:
    assert list(differences(live(), MANIFEST)) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda body: body["spec"].update(replicas=3), "spec.replicas"),
        (
            lambda body: body["spec"]["template"]["spec"]["containers"][1].update(image="evil"),
            "spec.template.spec.containers[host].image",
        ),
        (
            lambda body: body["spec"]["template"]["spec"]["containers"][1]["command"].append("c"),
            "spec.template.spec.containers[host].command",
        ),
        (lambda body: body["metadata"]["labels"].pop("a"), "metadata.labels.a"),
        (
            lambda body: body["spec"]["template"]["spec"].update(volumes=[]),
            "spec.template.spec.volumes[v]",
        ),
        (lambda body: body["metadata"].pop("ownerReferences"), "metadata.ownerReferences[u]"),
    ],
)
def test_drift_is_named_by_its_path(change: Any, path: str) -> None:
    body = live()
    change(body)
    assert list(differences(body, MANIFEST)) == [path]


def test_a_plain_list_must_be_the_same() -> None:
    rules = {"spec": {"ingress": [{"ports": [{"port": 1}]}]}}
    more = {"spec": {"ingress": [{"ports": [{"port": 1}, {"port": 2}]}]}}
    assert list(differences(more, rules)) == ["spec.ingress[0].ports"]


def test_what_was_compared_is_what_a_manifest_can_say_and_no_status() -> None:
    first = live()
    second = {**live(), "status": {"replicas": 3}}
    assert said(first) == said(second)
    second["spec"]["replicas"] = 2
    assert said(first) != said(second)


def test_an_entry_added_to_a_selector_is_drift_and_one_added_to_labels_is_not() -> None:
    ours = {"spec": {"selector": {"a": "1"}}, "metadata": {"labels": {"a": "1"}}}
    theirs = {"spec": {"selector": {"a": "1"}}, "metadata": {"labels": {"a": "1", "b": "2"}}}
    assert covers(theirs, ours)
    theirs["spec"]["selector"]["b"] = "2"
    assert list(differences(theirs, ours)) == ["spec.selector.b"]
