"""Objects that must be refused for what they say of contexts, host, pods and network."""

from __future__ import annotations

from tests.unit.api.bad_plugins import BAD_PLUGINS
from tests.unit.api.cases import NODES, SPREAD, Bad

LABEL_KEYS = "label keys must be a name of at most 63 letters"
RESERVED_LABEL = "label keys must not begin with a reserved prefix"
PEER = "a peer of allowFrom must have either ipBlock or at least one of podSelector"
RANGE = "cidr and except must hold ranges such as 10.0.0.0/8"
VALUES = "values must be set with operator In or NotIn"

BAD = (
    *BAD_PLUGINS,
    Bad(
        "more pods at least than at most",
        {"scaling": {"minReplicas": 3, "maxReplicas": 2}},
        "maxReplicas must be at least minReplicas",
    ),
    Bad(
        "a thousand pods and one",
        {"scaling": {"maxReplicas": 1001}},
        "less than or equal to 1000",
    ),
    Bad(
        "a pod that carries nothing",
        {"scaling": {"metrics": [{"type": "Concurrency", "target": 0}]}},
        "greater than or equal to 1",
    ),
    Bad(
        "windows the wrong way round",
        {"scaling": {"stableWindowSeconds": 10, "panicWindowSeconds": 11}},
        "panicWindowSeconds must be at most stableWindowSeconds",
    ),
    Bad(
        "idle for ever",
        {"contexts.idleTimeoutSeconds": 604_801},
        "less than or equal to 604800",
    ),
    Bad(
        "deadline before the start",
        {"contexts.deadlineSeconds": -1},
        "greater than or equal to 1",
    ),
    Bad("cpu in words", {"host.resources.requests.cpu": "two"}, "should match", "must match"),
    Bad("too little cpu", {"host.resources.limits.cpu": "1m"}, "cpu must be from 10m to 256"),
    Bad(
        "more cpu asked for than allowed",
        {"host.resources.requests.cpu": 1, "host.resources.limits.cpu": "500m"},
        "requests.cpu must be at most limits.cpu",
    ),
    Bad(
        "memory request too small",
        {"host.resources.requests.memory": "1k"},
        "memory must be from 1Mi to 4096Gi",
    ),
    Bad("too many warm workers", {"host.warmWorkers": 65}, "less than or equal to 64"),
    Bad(
        "true as a number",
        {"host.warmWorkers": True},
        "must be of type int32",
        "must be a valid integer",
    ),
    Bad(
        "confinement off",
        {"host.confinement": "None"},
        'supported values: "Strict", "BestEffort"',
        "must be 'Strict' or 'BestEffort'",
    ),
    Bad(
        "queue for ever",
        {"host.queueTimeoutMilliseconds": 600_001},
        "less than or equal to 600000",
    ),
    Bad(
        "queue without end",
        {"host.maxQueuedCalls": 100_001},
        "less than or equal to 100000",
    ),
    Bad(
        "no grace",
        {"host.terminationGraceSeconds": 0},
        "greater than or equal to 1",
    ),
    Bad(
        "our own label",
        {"pod.labels": {"pluginsandbox.dev/sandbox": "other"}},
        RESERVED_LABEL,
    ),
    Bad("label of an app", {"pod.labels": {"app.kubernetes.io/name": "x"}}, RESERVED_LABEL),
    Bad(
        "label of Kubernetes", {"pod.labels": {"topology.kubernetes.io/zone": "x"}}, RESERVED_LABEL
    ),
    Bad("label of k8s.io", {"pod.labels": {"batch.k8s.io/x": "x"}}, RESERVED_LABEL),
    Bad(
        "annotation of Kubernetes",
        {"pod.annotations": {"container.apparmor.security.beta.kubernetes.io/host": "unconfined"}},
        "annotation keys must not begin with a reserved prefix",
    ),
    Bad("label key with a space", {"pod.labels": {"my label": "x"}}, LABEL_KEYS),
    Bad("label key too long", {"pod.labels": {"a" * 64: "x"}}, LABEL_KEYS),
    Bad("label value", {"pod.labels": {"a": "two words"}}, "should match", "must match"),
    Bad(
        "label value too long", {"pod.labels": {"a": "b" * 64}}, "Too long", "at most 63 characters"
    ),
    Bad(
        "too many labels",
        {"pod.labels": {f"l{n}": "" for n in range(33)}},
        "must have at most 32 items",
    ),
    Bad(
        "annotation too long",
        {"pod.annotations": {"a": "b" * 4097}},
        "Too long: may not be more than 4096",
        "at most 4096 characters",
    ),
    Bad("node selector key", {"pod.nodeSelector": {"a b": "c"}}, LABEL_KEYS),
    Bad(
        "toleration of nothing",
        {"pod.tolerations": [{"effect": "NoSchedule"}]},
        "operator must be Exists where key is absent",
    ),
    Bad(
        "toleration with a value too many",
        {"pod.tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        "value must be absent with operator Exists",
    ),
    Bad(
        "toleration for a time",
        {"pod.tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}]},
        "effect must be NoExecute where tolerationSeconds is set",
    ),
    Bad(
        "node affinity without terms",
        {NODES: []},
        "should have at least 1 items",
        "must have at least 1 item",
    ),
    Bad(
        "node requirement",
        {NODES: [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["x"]}]}]},
        "values must be set with operator In or NotIn, be one whole number with Gt or Lt",
    ),
    Bad(
        "spread twice",
        {"pod.topologySpreadConstraints": [SPREAD, SPREAD]},
        'Duplicate value: {"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"}',
        "topologyKey and whenUnsatisfiable must be unique: zone DoNotSchedule",
    ),
    Bad(
        "spread with domains",
        {
            "pod.topologySpreadConstraints": [
                SPREAD | {"whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}
            ]
        },
        "whenUnsatisfiable must be DoNotSchedule where minDomains is set",
    ),
    Bad(
        "runtime class with a path",
        {"pod.runtimeClassName": "../gvisor"},
        "should match",
        "must match",
    ),
    Bad(
        "policy misspelt",
        {"network.policy": "None"},
        'supported values: "Managed", "Unmanaged"',
        "must be 'Managed' or 'Unmanaged'",
    ),
    Bad("peer of nothing", {"network.allowFrom": [{}]}, PEER),
    Bad(
        "peer of both kinds",
        {"network.allowFrom": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]},
        PEER,
    ),
    Bad("an address, no range", {"network.allowFrom": [{"ipBlock": {"cidr": "10.0.0.1"}}]}, RANGE),
    Bad(
        "range with host bits", {"network.allowFrom": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}, RANGE
    ),
    Bad(
        "exception outside",
        {"network.allowFrom": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]},
        "except must lie within cidr and be smaller",
    ),
    Bad(
        "selector without values",
        {
            "network.allowFrom": [
                {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}
            ]
        },
        VALUES,
    ),
    Bad(
        "seventeen peers",
        {"network.allowFrom": [{"podSelector": {}}] * 17},
        "must have at most 16 items",
    ),
    Bad("minus one replica", {"replicas": -1}, "greater than or equal to 0"),
    Bad(
        "very many replicas",
        {"replicas": 1001},
        "less than or equal to 1000",
        "less than or equal to 1000",
    ),
    Bad(
        "operating mode misspelt",
        {"operatingMode": "Paused"},
        'supported values: "Running", "Suspended"',
        "must be 'Running' or 'Suspended'",
    ),
    Bad(
        "field of another day",
        {"rollout.strategy": "Canary"},
        'unknown field "spec.rollout"',
        "spec.rollout: no such field; there are: contexts, host,",
    ),
    Bad(
        "memory limit of the pod",
        {"host.resources.limits.memory": "1Gi"},
        'unknown field "spec.host.resources.limits.memory"',
        "spec.host.resources.limits.memory: no such field; there are: cpu",
    ),
)
