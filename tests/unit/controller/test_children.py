"""The child objects: what pods are made of, and what never changes them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pluginsandbox.api import host_config
from pluginsandbox.controller.children import (
    config_snapshot,
    deployment,
    disruption_budget,
    network_policy,
    peers_secret,
    peers_service,
    pod_monitor,
    service,
)
from pluginsandbox.controller.children.common import Manifest, hash_of
from pluginsandbox.controller.kinds import APPLIED_ANNOTATION
from pluginsandbox.controller.memory import budget
from pluginsandbox.controller.settings import Settings
from tests.unit.controller.worlds import DIGEST, KEY, SETTINGS, UID, files, plugin, sandbox

IMAGE = "registry.example/shop/inventory@sha256:" + "b" * 64


def made(*plugins: dict[str, Any], settings: Settings = SETTINGS, **spec: Any) -> Manifest:
    """Return the Deployment of a sandbox."""
    body = sandbox(*plugins, **spec)
    known = {each.name: files() for each in body.spec.plugins if each.source.config_map}
    snapshot = config_snapshot.plan(body, known)
    return deployment.desired(body, settings, snapshot, budget(body.spec, settings.memory), 1)


def pod_of(manifest: Manifest) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def every_child() -> list[Manifest]:
    body = sandbox()
    snapshot = config_snapshot.plan(body, {"counter": files()})
    policy = network_policy.desired(body, SETTINGS)
    assert policy is not None
    contents = {"counter": {"data": {"counter.py": "a"}}}
    copy = config_snapshot.desired(body, snapshot, contents)
    first = [made(), service.desired(body), policy, pod_monitor.desired(body), copy]
    several = [disruption_budget.desired(body), peers_service.desired(body)]
    return [*first, *several, peers_secret.desired(body)]


@pytest.mark.parametrize(
    "child", every_child(), ids=lambda child: f"{child['kind']} {child['metadata']['name']}"
)
def test_every_child_is_owned_labelled_and_says_what_was_applied(child: Manifest) -> None:
    metadata = child["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (UID, True)
    assert metadata["namespace"] == KEY.namespace
    assert metadata["labels"]["pluginsandbox.dev/sandbox"] == KEY.name
    assert len(metadata["annotations"][APPLIED_ANNOTATION]) == 10
    json.dumps(child)


def test_pods_pass_pod_security_restricted_and_carry_no_token() -> None:
    pod = pod_of(made())
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    allowed = {"configMap", "image", "projected", "secret"}
    assert all(len(volume.keys() & allowed) == 1 for volume in pod["volumes"])


def test_a_host_runs_with_its_configuration_and_the_operators_image() -> None:
    settings = Settings.model_validate({"hostImage": "h:1", "hostImagePullPolicy": "Never"})
    (container,) = pod_of(made(settings=settings))["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("h:1", "Never")
    assert container["command"][:2] == ["pluginsandbox", "host"]
    assert container["command"][-1] == "/etc/pluginsandbox/config.json"
    assert {port["containerPort"] for port in container["ports"]} == {8080, 8082, 9090}


def test_sources_are_mounted_where_the_host_looks() -> None:
    image = {"image": {"reference": IMAGE, "path": "/plugin"}}
    secrets = [{"name": "hmac", "secretName": "merchant-keys"}]
    pod = pod_of(made(plugin(secrets=secrets), plugin("inventory", source=image)))
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {each["mountPath"]: each["name"] for each in pod["containers"][0]["volumeMounts"]}
    config = volumes[mounts["/etc/pluginsandbox"]]["configMap"]
    assert config["items"] == [{"key": "host-config", "path": "config.json"}]
    files_of = volumes[mounts["/plugins/counter"]]["configMap"]
    assert files_of["items"] == [{"key": "counter.counter.py", "path": "counter.py"}]
    assert config["name"] == files_of["name"]
    assert volumes[mounts["/plugins/inventory"]]["image"]["reference"] == IMAGE
    assert volumes[mounts["/secrets/counter/hmac"]]["secret"]["secretName"] == "merchant-keys"


def test_a_host_is_told_where_its_peers_are_and_gets_their_key_if_there_is_one() -> None:
    pod = pod_of(made())
    (container,) = pod["containers"]
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    name = mounts["/etc/pluginsandbox/peers"]["name"]
    (volume,) = [each["projected"] for each in pod["volumes"] if each["name"] == name]
    secrets = [each["secret"] for each in volume["sources"]]
    # Of files with one name the last one counts: an administrator's key replaces ours.
    assert [each["name"] for each in secrets] == [f"{KEY.name}-peers", f"{KEY.name}-peers-rotation"]
    assert all(each["optional"] for each in secrets)
    assert container["env"][0]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    snapshot = config_snapshot.plan(sandbox(), {"counter": files()})
    config = host_config.decode(snapshot.config.encode())
    assert config.peers_service == f"{KEY.name}-peers"
    (port,) = [each for each in container["ports"] if each["name"] == "peers"]
    assert port["containerPort"] == config.peers_port


def test_pods_find_each_other_ready_or_not() -> None:
    service = peers_service.desired(sandbox())
    assert service["metadata"]["name"] == f"{KEY.name}-peers"
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8082, "peers")


def test_the_key_is_as_given_and_nobody_changes_it() -> None:
    secret = peers_secret.with_key(peers_secret.desired(sandbox()), bytes(range(32)))
    assert secret["immutable"] is True
    assert base64.b64decode(secret["data"]["key"]) == bytes(range(32))


def test_evictions_take_a_few_pods_at_a_time_and_never_block_a_drain() -> None:
    spec = disruption_budget.desired(sandbox())["spec"]
    assert "minAvailable" not in spec
    assert spec["maxUnavailable"].endswith("%"), "Kubernetes rounds up: at least one"
    assert spec["selector"] == {"matchLabels": {"pluginsandbox.dev/sandbox": KEY.name}}


def test_a_pod_is_given_the_time_that_its_host_takes_to_leave() -> None:
    pod = pod_of(made(host={"terminationGraceSeconds": 7}))
    assert pod["terminationGracePeriodSeconds"] == 5 + 7 + 5


@given(
    names=st.lists(st.from_regex(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", fullmatch=True), max_size=8),
    plugin_name=st.from_regex(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", fullmatch=True),
)
def test_volume_names_fit_and_differ_whatever_the_names(names: list[str], plugin_name: str) -> None:
    secrets = [{"name": name, "secretName": "s"} for name in dict.fromkeys(names)]
    pod = pod_of(made(plugin(plugin_name, secrets=secrets)))
    volumes = [volume["name"] for volume in pod["volumes"]]
    assert len(set(volumes)) == len(volumes) == 3 + len(secrets)
    assert all(len(name) <= 63 for name in volumes)


def test_placement_is_passed_on_and_spreading_counts_the_sandboxs_own_pods() -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    settings = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccountName": "shop",
        "topologySpreadConstraints": [spread],
        "labels": {"team": "shop", "pluginsandbox.test/x": "y"},
        "annotations": {"note": "hello"},
    }
    template = made(pod=settings)["spec"]["template"]
    pod = template["spec"]
    for name in ("nodeSelector", "tolerations", "priorityClassName", "runtimeClassName"):
        assert pod[name] == settings[name]
    assert pod["serviceAccount"] == pod["serviceAccountName"] == "shop", "both go when one goes"
    own = {"matchLabels": {"pluginsandbox.dev/sandbox": KEY.name}}
    assert pod["topologySpreadConstraints"] == [{"labelSelector": own, **spread}]
    assert template["metadata"]["labels"]["team"] == "shop"
    assert template["metadata"]["annotations"]["note"] == "hello"


def test_what_is_not_the_pods_business_changes_no_pod() -> None:
    first = made()
    changes: tuple[dict[str, Any], ...] = (
        {"replicas": 0},
        {"replicas": 100},
        {"operatingMode": "Suspended"},
        {"network": {"allowFrom": [{"podSelector": {}}]}},
    )
    for change in changes:
        again = made(**change)
        assert again["spec"]["template"] == first["spec"]["template"], change


@pytest.mark.parametrize(
    "change",
    [
        {"plugins": [plugin(config={"a": "b"})]},
        {"host": {"terminationGraceSeconds": 7}},
        {"host": {"resources": {"requests": {"cpu": "50m"}}}},
        {"contexts": {"idleTimeoutSeconds": 5}},
        {"pod": {"nodeSelector": {"disk": "fast"}}},
    ],
)
def test_what_is_the_pods_business_is_a_new_template(change: dict[str, Any]) -> None:
    assert deployment.template_hash(made(**change)) != deployment.template_hash(made())


def test_a_stopped_deployment_keeps_its_template() -> None:
    first = made()
    stopped = deployment.stopped(sandbox(), first)
    assert stopped["spec"]["replicas"] == 0
    assert stopped["spec"]["template"] == first["spec"]["template"]


def test_the_snapshot_names_its_content() -> None:
    body = sandbox()
    first = config_snapshot.plan(body, {"counter": files()})
    assert first == config_snapshot.plan(body, {"counter": files(size=7)}), "the digest counts"
    changed = config_snapshot.plan(body, {"counter": files(digest="sha256:" + "c" * 64)})
    assert first.name != changed.name
    assert first.name.startswith(f"{KEY.name}-")
    assert len(first.name) == len(KEY.name) + 11


def test_the_host_gets_the_digest_of_what_was_copied() -> None:
    snapshot = config_snapshot.plan(sandbox(), {"counter": files()})
    config = host_config.decode(snapshot.config.encode())
    assert config.plugins[0].digest == DIGEST
    assert config.plugins[0].root == "/plugins/counter"


def test_the_copy_holds_text_and_binary_files_and_cannot_clash_with_the_configuration() -> None:
    body = sandbox(plugin("host"), plugin("other"))
    known = {"host": files("config"), "other": files("config.json")}
    snapshot = config_snapshot.plan(body, known)
    contents = {
        "host": {"data": {"config": "text"}},
        "other": {"binaryData": {"config.json": "AAE="}},
    }
    copy = config_snapshot.desired(body, snapshot, contents)
    assert copy["immutable"] is True
    assert copy["data"] == {"host-config": snapshot.config, "host.config": "text"}
    assert copy["binaryData"] == {"other.config.json": "AAE="}
    assert copy["metadata"]["labels"]["pluginsandbox.dev/source"] == "snapshot"


def test_what_does_not_fit_is_said() -> None:
    plugins = sandbox(plugin("a"), plugin("b")).spec.plugins
    half = files(size=500 << 10)
    assert "source.image" in config_snapshot.problem(plugins, {"a": half, "b": half})
    assert not config_snapshot.problem(plugins, {"a": half})
    long = files("k" * 252)
    assert "at most 251" in config_snapshot.problem(plugins, {"a": long})


def test_callers_peers_and_readers_get_in_and_only_to_names_and_peers_pods_get_out() -> None:
    settings = Settings.model_validate(
        {
            "operator": {"namespace": "ops", "podLabels": {"app": "operator"}},
            "monitoring": {"namespace": "monitoring"},
        }
    )
    policy = network_policy.desired(sandbox(), settings)
    assert policy is not None
    spec = policy["spec"]
    callers, peers, readers = spec["ingress"]
    assert callers == {
        "from": [{"podSelector": {}}],
        "ports": [{"port": 8080, "protocol": "TCP"}],
    }
    assert [port["port"] for port in readers["ports"]] == [9090]
    names = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peer in readers["from"]
    ]
    assert names == ["ops", "monitoring"]
    assert readers["from"][0]["podSelector"] == {"matchLabels": {"app": "operator"}}
    own = [{"podSelector": {"matchLabels": {"pluginsandbox.dev/sandbox": KEY.name}}}]
    door = [{"port": 8082, "protocol": "TCP"}]
    assert peers == {"from": own, "ports": door}
    names_out, peers_out = spec["egress"]
    assert {(port["port"], port["protocol"]) for port in names_out["ports"]} == {
        (53, "UDP"),
        (53, "TCP"),
    }
    assert peers_out == {"to": own, "ports": door}


def test_named_callers_replace_the_neighbours() -> None:
    peers = [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"namespaceSelector": {}}]
    policy = network_policy.desired(sandbox(network={"allowFrom": peers}), SETTINGS)
    assert policy is not None
    callers, _ = policy["spec"]["ingress"]
    assert callers["from"] == peers


def test_an_unmanaged_network_has_no_policy() -> None:
    assert network_policy.desired(sandbox(network={"policy": "Unmanaged"}), SETTINGS) is None


def test_hashes_do_not_depend_on_the_order_of_keys() -> None:
    assert hash_of({"a": 1, "b": [{"c": 2, "d": 3}]}) == hash_of({"b": [{"d": 3, "c": 2}], "a": 1})


def test_a_pod_asks_for_no_more_processors_than_its_author_lets_it_use() -> None:
    generous = Settings.model_validate({"cpuRequest": "250m"})
    few = made(settings=generous, host={"resources": {"limits": {"cpu": "0.01"}}})
    for manifest, asked in ((few, "0.01"), (made(settings=generous), "250m")):
        (container,) = pod_of(manifest)["containers"]
        assert container["resources"]["requests"]["cpu"] == asked
