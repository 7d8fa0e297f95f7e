"""Objects that the API server and the models must take."""

from __future__ import annotations

from tests.unit.api.cases import IMAGE, NODES, PINNED, SELECTOR, SPREAD, Good, P
from tests.unit.api.objects import DIGEST, PLUGIN

GOOD = (
    Good("least", {}),
    Good("scaling by default", {"scaling": {}}),
    Good("scaling of one number", {"scaling": {"minReplicas": 3, "maxReplicas": 3}}),
    Good(
        "all of scaling",
        {
            "scaling": {
                "minReplicas": 2,
                "maxReplicas": 1000,
                "metrics": [
                    {"type": "Concurrency", "target": 8},
                    {"type": "RequestsPerSecond", "target": 100},
                    {"type": "Contexts", "target": 500},
                ],
                "stableWindowSeconds": 600,
                "panicWindowSeconds": 60,
                "scaleDownDelaySeconds": 0,
                "tolerancePercent": 10,
                "rates": {"upPercent": 100, "downPercent": 10},
                "schedules": [
                    {
                        "name": "sale",
                        "schedule": "0 20 * * *",
                        "durationSeconds": 7200,
                        "timeZone": "Asia/Shanghai",
                        "minReplicas": 40,
                    }
                ],
                "forecast": {},
                "paused": "ScaleDown",
            }
        },
    ),
    Good("name of one letter", {"metadata.name": "a"}),
    Good("longest name", {"metadata.name": "a" * 50}),
    Good("peers within the name", {"metadata.name": "my-peers-2"}),
    Good("sixteen plugins", {"plugins": [PLUGIN | {"name": f"p{n}"} for n in range(16)]}),
    Good("image by digest", {f"{P}.source": PINNED}),
    Good("image and digest", {f"{P}.source": IMAGE, f"{P}.digest": DIGEST}),
    Good("image pulled always", {f"{P}.source": PINNED, f"{P}.source.image.pullPolicy": "Always"}),
    Good("digest of a ConfigMap", {f"{P}.digest": DIGEST}),
    Good("class in a package", {f"{P}.entryPoint": "shop.stock.check:InventoryCheck"}),
    Good(
        "worker for each context", {f"{P}.isolation": "PerContext", f"{P}.limits.maxContexts": 64}
    ),
    Good("largest config", {f"{P}.config": dict.fromkeys("abcd", "v" * 4095)}),
    Good("config of 64 keys", {f"{P}.config": {f"key.{n}": "" for n in range(64)}}),
    Good("config beyond ASCII", {f"{P}.config": {"größe": "大" * 1000}}),
    Good("secrets", {f"{P}.secrets": [{"name": f"s{n}", "secretName": "x.y"} for n in range(8)]}),
    Good(
        "every limit",
        {
            f"{P}.limits": {
                "memory": "1Gi",
                "callTimeoutMilliseconds": 3_600_000,
                "workers": 8,
                "concurrency": 16,
                "maxContexts": 1_000_000,
                "requestBytes": 65536,
                "resultBytes": "64Mi",
                "durableBytes": "16Mi",
                "publishedBytes": "64Mi",
            }
        },
    ),
    Good("contexts", {"contexts": {"idleTimeoutSeconds": 1, "deadlineSeconds": 604_800}}),
    Good(
        "resources",
        {
            "host.resources": {
                "requests": {"cpu": "250m", "memory": "256Mi"},
                "limits": {"cpu": "1.5"},
            }
        },
    ),
    Good("processors as a number", {"host.resources.limits.cpu": 2}),
    Good(
        "as many processors asked for as allowed, written differently",
        {"host.resources.requests.cpu": "500m", "host.resources.limits.cpu": "0.5"},
    ),
    Good("no queue", {"host": {"queueTimeoutMilliseconds": 0, "maxQueuedCalls": 0}}),
    Good("best effort", {"host": {"confinement": "BestEffort", "warmWorkers": 0}}),
    Good("labels", {"pod.labels": {"team": "shop", "shop.example/tier": "", "k8s.iox/a": "b"}}),
    Good("annotations", {"pod.annotations": {"shop.example/note": "any text\n" * 100}}),
    Good("node selector", {"pod.nodeSelector": {"kubernetes.io/arch": "amd64"}}),
    Good(
        "tolerations",
        {
            "pod.tolerations": [
                {"operator": "Exists"},
                {"key": "a/b", "value": "c", "effect": "NoExecute", "tolerationSeconds": 0},
            ]
        },
    ),
    Good(
        "affinity",
        {
            NODES: [
                {
                    "matchExpressions": [
                        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                        {"key": "cores", "operator": "Gt", "values": ["4"]},
                        {"key": "spot", "operator": "DoesNotExist"},
                    ],
                    "matchFields": [
                        {"key": "metadata.name", "operator": "NotIn", "values": ["node-1"]}
                    ],
                }
            ],
            "pod.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": SELECTOR,
                        "namespaces": ["default"],
                        "namespaceSelector": {},
                    },
                }
            ],
        },
    ),
    Good("spread", {"pod.topologySpreadConstraints": [SPREAD | {"minDomains": 2}]}),
    Good(
        "pod names",
        {
            "pod.runtimeClassName": "gvisor",
            "pod.priorityClassName": "high",
            "pod.serviceAccountName": "shop",
            "pod.imagePullSecrets": [{"name": "a"}, {"name": "b"}],
        },
    ),
    Good(
        "callers",
        {
            "network.allowFrom": [
                {"podSelector": {}},
                {"podSelector": SELECTOR, "namespaceSelector": SELECTOR},
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.3.4/32"]}},
                {"ipBlock": {"cidr": "fd00::/8"}},
            ]
        },
    ),
    Good("unmanaged network", {"network.policy": "Unmanaged"}),
    Good("one replica", {"replicas": 1}),
    Good("a thousand replicas", {"replicas": 1000}),
    Good("no replica", {"replicas": 0}),
    Good("suspended", {"operatingMode": "Suspended"}),
    Good("null is absent", {"replicas": None, f"{P}.limits": None, "contexts": None}),
)
