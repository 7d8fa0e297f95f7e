from __future__ import annotations

import pathlib

import pytest

from pluginsandbox.controller.settings import FIELDS, Settings, SettingsError, load


def write(tmp_path: pathlib.Path, text: str) -> pathlib.Path:
    path = tmp_path / "operator.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_means_defaults_that_grant_nothing() -> None:
    assert load(None) == Settings()
    assert load(None).allowed({"team": "shop"}) == frozenset()


def test_an_empty_file_means_defaults(tmp_path: pathlib.Path) -> None:
    assert load(write(tmp_path, "")) == Settings()


def test_the_documented_shape_is_read(tmp_path: pathlib.Path) -> None:
    settings = load(
        write(
            tmp_path,
            """
            hostImage: registry.example/host:1
            hostImagePullPolicy: Never
            memory: {reserve: 96Mi, maximum: 2Gi}
            operator: {namespace: ops, podLabels: {app: operator}, leaseName: one}
            monitoring: {namespace: monitoring, podMonitor: false}
            dns: {namespace: dns, podLabels: {k8s-app: coredns}}
            allow:
            - fields: [pod.nodeSelector, "plugins[].secrets"]
              namespaces:
                matchLabels: {team: shop}
                matchExpressions: [{key: stage, operator: NotIn, values: [dev]}]
            - fields: [pod.labels]
            """,
        )
    )
    assert settings.host_image == "registry.example/host:1"
    assert settings.operator.pod_labels == {"app": "operator"}
    assert settings.namespace_labels_matter
    shop = {"team": "shop", "stage": "production"}
    assert settings.allowed(shop) == {"pod.nodeSelector", "plugins[].secrets", "pod.labels"}
    assert settings.allowed(shop | {"stage": "dev"}) == {"pod.labels"}
    assert settings.allowed({}) == {"pod.labels"}


def test_a_grant_by_the_namespaces_own_name_needs_no_other_labels() -> None:
    name = "kubernetes.io/metadata.name"
    settings = Settings.model_validate(
        {"allow": [{"fields": list(FIELDS), "namespaces": {"matchLabels": {name: "shop"}}}]}
    )
    assert not settings.namespace_labels_matter
    assert settings.allowed({name: "shop"}) == frozenset(FIELDS)


@pytest.mark.parametrize(
    ("operator", "labels", "expected"),
    [
        ("In", {"a": "x"}, True),
        ("In", {}, False),
        ("NotIn", {"a": "x"}, False),
        ("NotIn", {}, True),
        ("Exists", {"a": ""}, True),
        ("Exists", {}, False),
        ("DoesNotExist", {}, True),
        ("DoesNotExist", {"a": ""}, False),
    ],
)
def test_selector_operators_mean_what_kubernetes_means(
    operator: str, labels: dict[str, str], *, expected: bool
) -> None:
    grant = {
        "fields": ["pod.labels"],
        "namespaces": {"matchExpressions": [{"key": "a", "operator": operator, "values": ["x"]}]},
    }
    settings = Settings.model_validate({"allow": [grant]})
    assert bool(settings.allowed(labels)) is expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hostimage: x", ["hostimage", "not permitted"]),
        ("hostImagePullPolicy: Sometimes", ["hostImagePullPolicy", "'Always'"]),
        ("memory: {reserve: lots}", ["memory.reserve", "number of bytes"]),
        ("allow: [{fields: [pod.hostPath]}]", ["allow[0].fields[0]", "pod.nodeSelector"]),
        ("allow: [{fields: []}]", ["allow[0].fields"]),
        ("- a", ["the document"]),
        ("a: [", ["not YAML"]),
    ],
)
def test_a_wrong_file_names_the_field(tmp_path: pathlib.Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert all(word in str(caught.value) for word in ["operator.yaml", *words])


def test_a_missing_file_names_the_option(tmp_path: pathlib.Path) -> None:
    with pytest.raises(SettingsError, match="--config"):
        load(tmp_path / "none.yaml")
