"""Tries to choose where pods run, as whom, under which labels, and whom they talk to."""

from __future__ import annotations

from typing import Any

from tests.deputy.record import GRANT, NOTHING, PRUNED, SCHEMA, Try
from tests.unit.api.cases import SPREAD

NODES = "requiredDuringSchedulingIgnoredDuringExecution"
TERM = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["control-plane"]}]}
RESERVED = "reserved prefix"
FORM = "keys must be a name of at most 63 letters"


def leave(name: str, field: str, value: Any) -> Try:
    """Return a try that needs the administrator's leave."""
    return Try(name, GRANT, {field: value}, field)


PLACEMENT = (
    leave("choose nodes by their labels", "pod.nodeSelector", {"role": "control-plane"}),
    leave(
        "choose a node by its name",
        "pod.affinity",
        {"nodeAffinity": {NODES: {"nodeSelectorTerms": [TERM]}}},
    ),
    leave("put up with the control plane's taint", "pod.tolerations", [{"operator": "Exists"}]),
    leave("go before all others", "pod.priorityClassName", "system-node-critical"),
    leave("choose a weaker runtime", "pod.runtimeClassName", "runc"),
    leave("run as an administrator's account", "pod.serviceAccountName", "admin"),
    leave("go without the whole wall", "host.confinement", "BestEffort"),
    leave("go without a NetworkPolicy", "network.policy", "Unmanaged"),
    Try(
        "hide one field behind another",
        GRANT,
        {
            "pod.tolerations": [{"operator": "Exists"}],
            "pod.priorityClassName": "system-cluster-critical",
        },
        "pod.tolerations",
    ),
    Try(
        "ask for it while suspended",
        GRANT,
        {"pod.serviceAccountName": "admin", "operatingMode": "Suspended"},
        "pod.serviceAccountName",
    ),
    Try(
        "ask for nothing, in the form of a field",
        NOTHING,
        {"pod.nodeSelector": {}, "pod.tolerations": []},
    ),
    Try("ask for nothing, in the form of a null", NOTHING, {"pod.serviceAccountName": None}),
    leave("ask for an affinity that is empty", "pod.affinity", {"nodeAffinity": {}}),
    Try(
        "name an account of another namespace",
        SCHEMA,
        {"pod.serviceAccountName": "vault:admin"},
        "match",
    ),
    Try(
        "choose a node by spreading",
        NOTHING,
        {
            "pod.topologySpreadConstraints": [
                {
                    **SPREAD,
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app": "till"}},
                }
            ]
        },
    ),
    Try(
        "spread over more than the scheduler counts",
        SCHEMA,
        {"pod.topologySpreadConstraints": [{**SPREAD, "maxSkew": 2**31}]},
        "maxSkew",
    ),
    Try("name a class for the pods' devices", PRUNED, {"pod.resourceClaims": [{"name": "gpu"}]}),
)

LABELS = (
    *(
        Try(f"label pods with {what}", SCHEMA, {"pod.labels": {key: "x"}}, RESERVED)
        for what, key in (
            ("another sandbox's name", "pluginsandbox.dev/sandbox"),
            ("another track", "pluginsandbox.dev/track"),
            ("the name of the host", "app.kubernetes.io/name"),
            ("a key of Kubernetes", "kubernetes.io/metadata.name"),
            ("a key of k8s.io", "node.k8s.io/exclude"),
            ("a key below Kubernetes", "pod-security.kubernetes.io/enforce"),
        )
    ),
    *(
        Try(f"annotate pods with {what}", SCHEMA, {"pod.annotations": {key: "x"}}, RESERVED)
        for what, key in (
            ("another AppArmor profile", "container.apparmor.security.beta.kubernetes.io/host"),
            ("another seccomp profile", "seccomp.security.alpha.kubernetes.io/pod"),
            ("a cost of deletion", "controller.kubernetes.io/pod-deletion-cost"),
            ("another template", "pluginsandbox.dev/template"),
        )
    ),
    Try(
        "write a reserved label in capitals",
        SCHEMA,
        {"pod.labels": {"PluginSandbox.dev/sandbox": "x"}},
        FORM,
    ),
    Try(
        "write a reserved label in letters that look like it",
        SCHEMA,
        {"pod.labels": {"plugin\u0455andbox.dev/sandbox": "x"}},
        FORM,
    ),
    Try(
        "write a reserved label with a space before it",
        SCHEMA,
        {"pod.labels": {" pluginsandbox.dev/sandbox": "x"}},
        FORM,
    ),
    Try("give a label two lines", SCHEMA, {"pod.labels": {"a": "x\ny"}}, "match"),
    Try("give a label 64 characters", SCHEMA, {"pod.labels": {"a": "x" * 64}}, "pod.labels"),
    Try("give a label a key of 64 characters", SCHEMA, {"pod.labels": {"a" * 64: "x"}}, FORM),
    Try(
        "give a label a prefix of 254 characters",
        GRANT,
        {"pod.labels": {f"{'a' * 254}/b": "x"}},
        "pod.labels",
    ),
    leave("take calls that are for another Service", "pod.labels", {"app": "till"}),
    leave("join another network", "pod.annotations", {"k8s.v1.cni.cncf.io/networks": "secret-net"}),
    leave(
        "have a sidecar injected, or none", "pod.annotations", {"sidecar.istio.io/inject": "false"}
    ),
    Try("label pods by the object's own labels", NOTHING, {"metadata.labels": {"app": "till"}}),
    Try(
        "annotate pods by the object's own annotations",
        NOTHING,
        {
            "metadata.annotations": {
                "container.apparmor.security.beta.kubernetes.io/host": "unconfined"
            }
        },
    ),
)


def peers(*several: dict[str, Any]) -> dict[str, Any]:
    return {"network.allowFrom": list(several)}


NETWORK = (
    Try("let the whole world call", NOTHING, peers({"ipBlock": {"cidr": "0.0.0.0/0"}})),
    Try("let every pod of the namespace call", NOTHING, peers({"podSelector": {}})),
    Try("let in nobody and everybody at once", SCHEMA, peers({}), "either ipBlock or at least one"),
    Try(
        "let in a range with a selector",
        SCHEMA,
        peers({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}),
        "either ipBlock",
    ),
    Try(
        "let in a range with host bits",
        SCHEMA,
        peers({"ipBlock": {"cidr": "10.0.0.1/8"}}),
        "host bits",
    ),
    Try(
        "let in a range that is none",
        SCHEMA,
        peers({"ipBlock": {"cidr": "10.0.0.0/8 or so"}}),
        "host bits",
    ),
    Try(
        "leave out more than it lets in",
        SCHEMA,
        peers({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["0.0.0.0/0"]}}),
        "must lie within cidr",
    ),
    Try(
        "open the port of its peers", PRUNED, peers({"podSelector": {}, "ports": [{"port": 8082}]})
    ),
    Try("open the port of its metrics", PRUNED, {"network.ports": [9090]}),
    Try(
        "let plugins out",
        PRUNED,
        {"network.egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]},
    ),
    Try(
        "let in seventeen", SCHEMA, peers(*[{"podSelector": {}}] * 17), "must have at most 16 items"
    ),
    Try("put the policy over other pods", PRUNED, {"network.podSelector": {}}),
    Try("open a port of the node", PRUNED, {"network.service": {"type": "NodePort"}}),
    Try("take addresses of others", PRUNED, {"network.externalIPs": ["10.0.0.1"]}),
)
