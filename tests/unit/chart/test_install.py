"""The plain manifests, which are the chart with its defaults: what they grant and how they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pluginsandbox.controller import settings
from tests.manifests import copies
from tests.manifests.__main__ import check

GOLDEN = Path(__file__).with_name("rbac.yaml")
OBJECTS: list[dict[str, Any]] = [
    each for each in yaml.safe_load_all(copies.INSTALL.read_text()) if each
]


def find(kind: str, name: str = "pluginsandbox") -> dict[str, Any]:
    (found,) = [o for o in OBJECTS if o["kind"] == kind and o["metadata"]["name"].endswith(name)]
    return found


def pod() -> dict[str, Any]:
    template: dict[str, Any] = find("Deployment")["spec"]["template"]
    return template


def test_generated_files_are_as_generated() -> None:
    assert check() == [], "run `make generate` and commit"


def test_the_kind_is_the_one_of_the_models_and_is_kept() -> None:
    kind = find("CustomResourceDefinition", "pluginsandboxes.pluginsandbox.dev")
    source = yaml.safe_load(copies.CRD.read_text())
    assert kind["spec"] == source["spec"]
    assert kind["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_operator_may_do_this_and_nothing_else() -> None:
    granted = {
        f"{each['kind']} {each['metadata']['name']}": each["rules"]
        for each in OBJECTS
        if each["kind"] in {"ClusterRole", "Role"}
    }
    assert granted == yaml.safe_load(GOLDEN.read_text())


def test_no_rule_has_a_wildcard_or_reads_secrets() -> None:
    rules = [rule for o in OBJECTS for rule in o.get("rules", ())]
    words = {word for rule in rules for part in rule.values() for word in part}
    assert rules
    assert not words & {"*", "impersonate", "bind", "escalate", "roles", "pods/exec"}
    on_secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert on_secrets == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]


def test_all_objects_name_the_namespace_that_comes_first() -> None:
    assert (OBJECTS[0]["kind"], OBJECTS[0]["metadata"]["name"]) == (
        "Namespace",
        "pluginsandbox-system",
    )
    cluster_wide = {"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    assert all(
        each["metadata"].get("namespace") == "pluginsandbox-system"
        for each in OBJECTS
        if each["kind"] not in cluster_wide
    )


def test_the_pod_passes_pod_security_restricted() -> None:
    spec = pod()["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    allowed = {"configMap", "emptyDir", "projected", "secret", "downwardAPI"}
    assert all(volume.keys() - {"name"} <= allowed for volume in spec["volumes"])
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not any("hostPort" in port for port in container["ports"])


def test_only_the_operators_own_pod_gets_a_token() -> None:
    assert find("ServiceAccount")["automountServiceAccountToken"] is False
    assert pod()["spec"]["automountServiceAccountToken"] is True


def test_the_operator_reads_the_settings_that_the_chart_writes(tmp_path: Path) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text(find("ConfigMap")["data"]["operator.yaml"])
    read = settings.load(path)
    assert read.host_image == "pluginsandbox/host:0.1.0"
    assert read.allow == []
    assert read.operator.namespace == "pluginsandbox-system"
    assert read.operator.pod_labels.items() <= pod()["metadata"]["labels"].items()
    (lease,) = [
        rule["resourceNames"]
        for rule in find("Role", "-lease")["rules"]
        if rule.get("resourceNames")
    ]
    assert lease == [read.operator.lease_name]


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_selectors_match_the_pods(kind: str) -> None:
    name = "pluginsandbox-metrics" if kind == "Service" else "pluginsandbox"
    selector = find(kind, name)["spec"]["selector"]
    assert selector.get("matchLabels", selector).items() <= pod()["metadata"]["labels"].items()
