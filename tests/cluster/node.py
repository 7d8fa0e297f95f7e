"""Command lines and files of containerd, the kubelet and kube-proxy.

Pure, as `control_plane` is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import render_flags
from tests.cluster.layout import (
    BRIDGE,
    CGROUP,
    DNS_ADDRESS,
    DNS_DOMAIN,
    NODE_ADDRESS,
    NODE_NAME,
    POD_RANGE,
    Layout,
)
from tests.cluster.process import Component

CNI_NETWORK = "pluginsandbox"
# A handful of pods belongs to the cluster itself; the rest is for tests.
_MAX_PODS = 250


def containerd(layout: Layout, program: Path, config: str) -> Component:
    """The container runtime; `config` is the text of its configuration file."""
    path = layout.config / "containerd.toml"
    return Component("containerd", [str(program), "--config", str(path)], config)


def containerd_config(layout: Layout, shim: Path, cni_plugins: Path, pause_image: str) -> str:
    """Settings of containerd: every path of ours, nothing of another containerd touched.

    Args:
        layout: the cluster's folders.
        shim: the program that looks after one pod's containers.
        cni_plugins: the folder of the bridge and host-local plugins.
        pause_image: what holds a pod's namespaces; never collected.
    """
    return f"""version = 3
root = "{layout.state / "containerd"}"
state = "{layout.run / "containerd"}"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs",
]

[grpc]
  address = "{layout.containerd_socket}"

[plugins."io.containerd.shim.v1.manager"]
  socket_dir = "{layout.run / "s"}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{pause_image}"

[plugins."io.containerd.cri.v1.runtime"]
  netns_mounts_under_state_dir = true
  # Root of a virtual machine or container often may not lower it.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{cni_plugins}"]
    conf_dir = "{layout.config / "cni"}"
    use_internal_loopback = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      runtime_path = "{shim}"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        Root = "{layout.run / "runc"}"
        SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
"""


def cni_config(layout: Layout) -> dict[str, Any]:
    """A pod's link: a port of our bridge, and an address that a restart of the machine frees.

    The bridge is no gateway in the plugin's sense: being one, the plugin would switch on
    forwarding for the whole machine.
    """
    return {
        "cniVersion": "1.0.0",
        "name": CNI_NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": False,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(layout.run / "cni"),
                    "ranges": [[{"subnet": str(POD_RANGE), "gateway": str(NODE_ADDRESS)}]],
                    "routes": [{"dst": "0.0.0.0/0", "gw": str(NODE_ADDRESS)}],
                },
            }
        ],
    }


def kubelet(layout: Layout, program: Path, pki: str) -> Component:
    """The kubelet."""
    flags: dict[str, object] = {
        "config": layout.config / "kubelet.json",
        "kubeconfig": layout.pki / "kubelet.kubeconfig",
        "root-dir": layout.state / "kubelet",
        "cert-dir": layout.pki,
        "hostname-override": NODE_NAME,
        "node-ip": NODE_ADDRESS,
    }
    salt = pki + json.dumps(kubelet_config(layout))
    return Component("kubelet", [str(program), *render_flags(flags)], salt)


def kubelet_config(layout: Layout) -> dict[str, Any]:
    """The kubelet's configuration file.

    No eviction and no image collection: how full the machine's disk is, is not our business.
    """
    never = dict.fromkeys(
        ("imagefs.available", "imagefs.inodesFree", "nodefs.available", "nodefs.inodesFree"), "0%"
    )
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(NODE_ADDRESS),
        "healthzBindAddress": "127.0.0.1",
        "readOnlyPort": 0,
        "tlsCertFile": str(layout.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet-server.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "podLogsDir": str(layout.pods_logs),
        "volumePluginDir": str(layout.state / "kubelet-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "protectKernelDefaults": False,
        "makeIPTablesUtilChains": False,
        "resolvConf": "",
        "clusterDNS": [str(DNS_ADDRESS)],
        "clusterDomain": DNS_DOMAIN,
        "maxPods": _MAX_PODS,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
    }


def kube_proxy(layout: Layout, program: Path, pki: str) -> Component:
    """kube-proxy: Services as rules in nft tables of its own."""
    flags: dict[str, object] = {"config": layout.config / "kube-proxy.json"}
    salt = pki + json.dumps(kube_proxy_config(layout))
    return Component("kube-proxy", [str(program), *render_flags(flags)], salt)


def kube_proxy_config(layout: Layout) -> dict[str, Any]:
    """kube-proxy's configuration file; the zeros leave the machine's conntrack settings alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": str(NODE_ADDRESS),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": [f"{NODE_ADDRESS}/32"],
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": str(POD_RANGE),
        "detectLocalMode": "ClusterCIDR",
        "clientConnection": {
            "kubeconfig": str(layout.pki / "proxy.kubeconfig"),
            "qps": 200,
            "burst": 400,
        },
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def policy_agent(pki: str) -> Component:
    """Our own enforcement of NetworkPolicies, restarted when its source changes."""
    package = Path(__file__).with_name("policy")
    source = "".join(path.read_text() for path in sorted(package.glob("*.py")))
    root = f"PYTHONPATH={package.parents[2]}"
    command = ["env", root, sys.executable, "-m", "tests.cluster.policy.agent"]
    return Component("policy-agent", command, pki + source)
