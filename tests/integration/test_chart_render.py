"""What the chart's values do to what it renders; helm alone, no cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed import shell
from tests.cluster import tools
from tests.manifests import copies

EVERYTHING: dict[str, Any] = {
    "replicaCount": 2,
    "watchNamespaces": ["shop", "billing"],
    "imagePullSecrets": [{"name": "registry"}],
    "image": {"digest": f"sha256:{'a' * 64}"},
    "allow": [
        {
            "fields": ["pod.labels", "plugins[].secrets"],
            "namespaces": {
                "matchLabels": {"team": "shop"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a"]}],
            },
        }
    ],
    "admission": {
        "registries": ["registry.example", "registry.example:5000/shop"],
        "requireDigest": True,
        "requirePerContext": True,
        "runtimeClasses": ["gvisor"],
        "namespaces": {"matchLabels": {"team": "shop"}},
    },
    "metrics": {"tls": {"secretName": "operator-tls"}, "authentication": True},
    "monitoring": {"namespace": "monitoring", "operatorPodMonitor": True},
    "networkPolicy": {"enabled": True},
    "serviceAccount": {"annotations": {"example.com/role": "x"}},
    "podLabels": {"team": "platform", "app.kubernetes.io/name": "not-ours"},
    "podAnnotations": {"example.com/a": "b"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "system-cluster-critical",
    "fullnameOverride": "psb",
    "logLevel": "debug",
}


def helm(*words: str | Path, values: Mapping[str, Any], check: bool = True) -> str:
    program = tools.find("helm")
    done = shell.run(program, *words, "--values", "-", stdin=json.dumps(values), check=check)
    return done.stdout + done.stderr


def render(**values: Any) -> dict[tuple[str, str], Any]:
    text = helm("template", "r", copies.CHART, "--namespace", "sys", values=values)
    objects = [each for each in yaml.safe_load_all(text) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def kinds(objects: dict[tuple[str, str], Any]) -> set[str]:
    return {kind for kind, _ in objects}


def settings_sum(objects: dict[tuple[str, str], Any]) -> str:
    (deployment,) = [each for (kind, _), each in objects.items() if kind == "Deployment"]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    return str(annotations["pluginsandbox.dev/settings"])


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_lint_finds_nothing(values: dict[str, Any]) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", copies.CHART, values=values)


def test_helm_refuses_a_typo_by_name() -> None:
    text = helm("template", "r", copies.CHART, values={"replicaCont": 1}, check=False)
    assert "replicaCont" in text


def test_the_plain_manifests_are_the_chart() -> None:
    text = helm(
        *("template", "pluginsandbox", copies.CHART, "--namespace", "pluginsandbox-system"),
        values={},
    )
    plain = list(yaml.safe_load_all(copies.INSTALL.read_text()))
    assert plain[0]["kind"] == "Namespace"
    assert plain[1:] == [each for each in yaml.safe_load_all(text) if each]


def test_namespaced_mode_has_a_role_in_each_namespace_and_no_cluster_role() -> None:
    objects = render(watchNamespaces=["shop", "billing"], rbac={"aggregate": False})
    roles = [
        each for (kind, name), each in objects.items() if kind == "Role" and name[-5:] != "lease"
    ]
    assert not kinds(objects) & {"ClusterRole", "ClusterRoleBinding"}
    # A dictionary by kind and name holds one of the two: their namespaces tell them apart.
    text = helm("template", "r", copies.CHART, values={"watchNamespaces": ["shop", "billing"]})
    bound = [
        each["metadata"]["namespace"]
        for each in yaml.safe_load_all(text)
        if each and each["kind"] == "RoleBinding" and each["roleRef"]["name"] == "r-pluginsandbox"
    ]
    assert bound == ["shop", "billing"]
    arguments = objects["Deployment", "r-pluginsandbox"]["spec"]["template"]["spec"]["containers"][
        0
    ]
    assert {"--namespace=shop", "--namespace=billing"} <= set(arguments["args"])
    cluster_wide = render()["ClusterRole", "sys:r-pluginsandbox"]
    assert roles[0]["rules"] == cluster_wide["rules"]


def test_namespaces_are_read_only_for_grants_that_need_it() -> None:
    def reads(selector: dict[str, Any]) -> bool:
        objects = render(allow=[{"fields": ["pod.labels"], "namespaces": selector}])
        rules = objects["ClusterRole", "sys:r-pluginsandbox"]["rules"]
        return any("namespaces" in rule["resources"] for rule in rules)

    name = "kubernetes.io/metadata.name"
    assert not reads({})
    assert not reads({"matchLabels": {name: "shop"}})
    assert not reads({"matchExpressions": [{"key": name, "operator": "Exists"}]})
    assert reads({"matchLabels": {name: "shop", "team": "x"}})
    assert reads({"matchExpressions": [{"key": "team", "operator": "Exists"}]})


def test_only_a_change_of_settings_rolls_the_operator() -> None:
    default = settings_sum(render())
    assert settings_sum(render(memory={"maximum": "8Gi"})) != default
    assert settings_sum(render(hostImage={"tag": "2"})) != default
    assert settings_sum(render(metrics={"service": False}, replicaCount=2)) == default


def test_a_single_pod_has_no_disruption_budget() -> None:
    assert "PodDisruptionBudget" not in kinds(render())
    assert "PodDisruptionBudget" in kinds(render(replicaCount=2))
    off = render(replicaCount=2, podDisruptionBudget={"enabled": False})
    assert "PodDisruptionBudget" not in kinds(off)


def test_no_rule_is_enforced_unless_one_is_set() -> None:
    policy = "ValidatingAdmissionPolicy"
    assert policy not in kinds(render(admission={"namespaces": {"matchLabels": {"a": "b"}}}))
    for rule in ("requireDigest", "requirePerContext"):
        assert {policy, f"{policy}Binding"} <= kinds(render(admission={rule: True}))


@pytest.mark.parametrize("registry", ["shop", "shop/team", "registry.example/", "a b.example", ""])
def test_a_registry_without_a_host_or_with_a_stray_slash_is_refused(registry: str) -> None:
    values = {"admission": {"registries": [registry]}}
    text = helm("template", "r", copies.CHART, values=values, check=False)
    assert "/admission/registries/0" in text


def test_with_a_certificate_the_port_is_named_probed_and_scraped_by_https() -> None:
    objects = render(
        metrics={"tls": {"secretName": "operator-tls"}}, monitoring={"operatorPodMonitor": True}
    )
    pod = objects["Deployment", "r-pluginsandbox"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert [each["name"] for each in container["ports"]] == ["https"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
        assert container[probe]["httpGet"]["port"] == "https"
    assert {"name": "tls", "secret": {"secretName": "operator-tls", "defaultMode": 0o444}} in pod[
        "volumes"
    ]
    service = objects["Service", "r-pluginsandbox-metrics"]["spec"]
    assert service["ports"][0]["targetPort"] == "https"
    (scraped,) = objects["PodMonitor", "r-pluginsandbox"]["spec"]["podMetricsEndpoints"]
    assert (scraped["port"], scraped["scheme"]) == ("https", "https")


def test_reviews_are_made_only_where_who_reads_must_say_who_they_are() -> None:
    def roles(**values: Any) -> set[str]:
        return {name.rpartition(":")[2] for kind, name in render(**values) if kind == "ClusterRole"}

    asked = roles(metrics={"authentication": True}, watchNamespaces=["shop"])
    assert asked - roles(watchNamespaces=["shop"]) == {"reviews", "metrics-reader"}


def test_the_kind_can_be_left_out_or_given_up() -> None:
    name = ("CustomResourceDefinition", "pluginsandboxes.pluginsandbox.dev")
    assert name not in render(crds={"install": False})
    assert "annotations" not in render(crds={"keep": False})[name]["metadata"]


def test_everything_can_be_switched_off() -> None:
    objects = render(
        crds={"install": False},
        rbac={"create": False},
        serviceAccount={"create": False},
        metrics={"service": False},
    )
    assert kinds(objects) == {"ConfigMap", "Deployment"}
    pod = objects["Deployment", "r-pluginsandbox"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "default"


def test_the_users_own_labels_never_break_the_selector() -> None:
    deployment = render(**EVERYTHING)["Deployment", "psb"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "platform"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_digest_wins_over_a_tag() -> None:
    pod = render(image={"digest": f"sha256:{'a' * 64}", "tag": "2"})
    (container,) = pod["Deployment", "r-pluginsandbox"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"pluginsandbox/operator@sha256:{'a' * 64}"
