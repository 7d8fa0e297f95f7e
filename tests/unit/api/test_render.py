"""The host's configuration: all that the host needs, nothing that the host must not hear of."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.api import host_config as host
from pluginsandbox.api import paths
from pluginsandbox.api.render import host_config
from pluginsandbox.api.sandbox import PluginSandbox
from tests.unit.api.cases import PINNED
from tests.unit.api.objects import DIGEST, sandbox


def render(**changes: Any) -> host.HostConfig:
    """Render the small object, changed."""
    return host_config(PluginSandbox.read(sandbox(**changes)))


def test_the_least_object_gives_the_defaults() -> None:
    assert render() == host.HostConfig(
        namespace="default",
        sandbox="shop",
        plugins=(
            host.PluginConfig(
                name="inventory-check",
                root="/plugins/inventory-check",
                entry_point="inventory:InventoryCheck",
            ),
        ),
    )


def test_every_field_arrives_in_the_units_of_the_host() -> None:
    plugin = {
        "name": "inventory-check",
        "runtime": "Python",
        "source": PINNED,
        "digest": DIGEST,
        "entryPoint": "shop.stock:Stock",
        "isolation": "PerContext",
        "config": {"b": "2", "a": "1"},
        "secrets": [{"name": "hmac", "secretName": "merchant-keys"}],
        "limits": {
            "memory": "32Mi",
            "callTimeoutMilliseconds": 50,
            "concurrency": 3,
            "maxContexts": 8,
            "requestBytes": 4096,
            "resultBytes": "2k",
            "durableBytes": "3k",
            "publishedBytes": "4k",
        },
    }
    spec = {
        "plugins": [plugin],
        "contexts": {"idleTimeoutSeconds": 5, "deadlineSeconds": 6},
        "host": {
            "warmWorkers": 1,
            "confinement": "BestEffort",
            "queueTimeoutMilliseconds": 7,
            "maxQueuedCalls": 8,
            "terminationGraceSeconds": 9,
        },
    }
    assert render(**spec) == host.HostConfig(
        namespace="default",
        sandbox="shop",
        plugins=(
            host.PluginConfig(
                name="inventory-check",
                root="/plugins/inventory-check/plugin",
                entry_point="shop.stock:Stock",
                isolation="PerContext",
                digest=DIGEST,
                config={"a": "1", "b": "2"},
                secrets={"hmac": "/secrets/inventory-check/hmac"},
                limits=host.PluginLimits(
                    memory_bytes=32 << 20,
                    call_timeout_milliseconds=50,
                    workers=1,
                    concurrency=3,
                    max_contexts=8,
                    request_bytes=4096,
                    result_bytes=2000,
                    durable_bytes=3000,
                    published_bytes=4000,
                ),
            ),
        ),
        idle_timeout_seconds=5,
        deadline_seconds=6,
        warm_workers=1,
        confinement="BestEffort",
        queue_timeout_milliseconds=7,
        max_queued_calls=8,
        termination_grace_seconds=9,
    )


@pytest.mark.parametrize(
    ("isolation", "contexts"), [("PerPlugin", 1000), ("PerContext", 16)], ids=lambda value: value
)
def test_contexts_default_by_isolation(isolation: str, contexts: int) -> None:
    (plugin,) = render(**{"plugins.0.isolation": isolation}).plugins
    assert plugin.limits.max_contexts == contexts


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 0},
        {"operatingMode": "Suspended"},
        {"network.allowFrom": [{"podSelector": {}}]},
        {"pod.labels": {"team": "shop"}},
        {"host.resources.requests.cpu": "1"},
        {"metadata.annotations": {"pluginsandbox.dev/revision": "1"}},
    ],
    ids=str,
)
def test_what_is_not_the_hosts_business_never_reaches_it(change: dict[str, Any]) -> None:
    assert host.encode(render(**change)) == host.encode(render())


def test_the_order_of_settings_changes_no_byte() -> None:
    one = render(**{"plugins.0.config": {"a": "1", "b": "2"}})
    other = render(**{"plugins.0.config": {"b": "2", "a": "1"}})
    assert host.encode(one) == host.encode(other)


def test_the_host_reads_what_is_rendered() -> None:
    assert host.decode(host.encode(render())) == render()


def test_a_laptop_has_no_peers() -> None:
    assert render().peers_service is None
    read = PluginSandbox.read(sandbox())
    assert host_config(read, peers_service="shop-peers.team.svc").peers_port == 8082


def test_a_laptop_keeps_its_files_where_it_likes() -> None:
    read = PluginSandbox.read(
        sandbox(**{"plugins.0.secrets": [{"name": "hmac", "secretName": "keys"}]})
    )
    (plugin,) = host_config(
        read,
        plugin_root=lambda plugin: f"/tmp/p/{plugin.name}",  # noqa: S108
        secret_root=lambda plugin, secret: f"/tmp/s/{plugin.name}/{secret.secret_name}",  # noqa: S108
    ).plugins
    assert plugin.root == "/tmp/p/inventory-check"  # noqa: S108
    assert plugin.secrets == {"hmac": "/tmp/s/inventory-check/keys"}  # noqa: S108


@pytest.mark.parametrize(("path", "below"), [("/", ""), ("/a", "/a"), ("/a/b.c", "/a/b.c")])
def test_the_root_of_an_image_is_below_its_mount(path: str, below: str) -> None:
    source = {"image": PINNED["image"] | {"path": path}}
    (plugin,) = PluginSandbox.read(sandbox(**{"plugins.0.source": source})).spec.plugins
    assert paths.plugin_mount(plugin) == "/plugins/inventory-check"
    assert paths.plugin_root(plugin) == f"/plugins/inventory-check{below}"


def test_the_configuration_is_where_the_host_looks() -> None:
    assert paths.CONFIG_PATH == "/etc/pluginsandbox/config.json"
