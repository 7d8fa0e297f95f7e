"""The immutable ConfigMap that pods are made from: the host's configuration and the plugins' files.

Its name holds the hash of its content, so a pod that is rescheduled gets the code it was made with,
and a change of code is a change of the pod template.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from pluginsandbox.api import host_config
from pluginsandbox.api.host_config import HostConfig
from pluginsandbox.api.plugin import Plugin
from pluginsandbox.api.render import host_config as render
from pluginsandbox.api.sandbox import PluginSandbox
from pluginsandbox.controller import kinds
from pluginsandbox.controller.children import peers_service
from pluginsandbox.controller.children.common import Manifest, manifest, short_hash

MAX_BYTES = 900 << 10
"""Of all copied files; the API server takes 1 MiB in all."""
MAX_KEY = 253
"""Length of a ConfigMap's key, as the API server has it."""
CONFIG_KEY = "host-config"
"""Has no dot, so it is never `<plugin>.<key>`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """What is known of a ConfigMap with a plugin's files.

    Args:
        digest: Of the tree that its keys are.
        keys: Names of the files, sorted.
        size: Bytes that it takes in the API server.

    """

    digest: str
    keys: tuple[str, ...]
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot by its name, and what the pod template needs to know of it.

    Args:
        name: Of the ConfigMap.
        config: The host's configuration, as stored.
        keys: Files of each plugin with a ConfigMap source, by the plugin's name.

    """

    name: str
    config: str
    keys: Mapping[str, tuple[str, ...]]


def data_key(plugin: str, key: str) -> str:
    """Return where the snapshot keeps a plugin's file."""
    return f"{plugin}.{key}"


def config_digest(config: str) -> str:
    """Return the digest by which a live snapshot's configuration is told from a forged one."""
    return hashlib.sha256(config.encode()).hexdigest()


def plan(sandbox: PluginSandbox, files: Mapping[str, Files]) -> Snapshot:
    """Return the snapshot that the spec and the sources ask for.

    Args:
        sandbox: Its spec.
        files: Of each plugin with a ConfigMap source, by the plugin's name.

    """
    rendered = render(sandbox, peers_service=peers_service.address(sandbox))
    config = host_config.encode(_pinned(rendered, files))
    name = f"{sandbox.metadata.name}-{short_hash(config)}"
    return Snapshot(name, config.decode(), {plugin: each.keys for plugin, each in files.items()})


def desired(
    sandbox: PluginSandbox, snapshot: Snapshot, sources: Mapping[str, Mapping[str, Any]]
) -> Manifest:
    """Return the ConfigMap.

    Args:
        sandbox: Its owner.
        snapshot: What `plan` returned.
        sources: Each plugin's ConfigMap as the API server gave it, by the plugin's name.

    """
    text = {CONFIG_KEY: snapshot.config}
    binary: dict[str, str] = {}
    for plugin, source in sources.items():
        text |= {data_key(plugin, key): each for key, each in (source.get("data") or {}).items()}
        binary |= {
            data_key(plugin, key): each for key, each in (source.get("binaryData") or {}).items()
        }
    parts: dict[str, Any] = {"immutable": True, "data": text}
    parts |= {"binaryData": binary} if binary else {}
    body = manifest(kinds.CONFIG_MAP, sandbox, snapshot.name, **parts)
    body["metadata"]["labels"] |= {kinds.SOURCE_LABEL: "snapshot"}
    return body


def problem(plugins: tuple[Plugin, ...], files: Mapping[str, Files]) -> str:
    """Say why the files cannot be copied into one ConfigMap; empty if they can."""
    total = sum(each.size for each in files.values())
    if total > MAX_BYTES:
        return (
            f"the ConfigMap sources are {total >> 10} KiB in all and must be at most "
            f"{MAX_BYTES >> 10} KiB; ship the larger plugins as images (source.image)"
        )
    for plugin in plugins:
        for key in files[plugin.name].keys if plugin.name in files else ():
            if len(data_key(plugin.name, key)) > MAX_KEY:
                return (
                    f"a key of the ConfigMap of plugin {plugin.name} has {len(key)} characters and "
                    f"must have at most {MAX_KEY - len(plugin.name) - 1}: {key[:40]}…"
                )
    return ""


def _pinned(config: HostConfig, files: Mapping[str, Files]) -> HostConfig:
    """Give every plugin from a ConfigMap the digest of its files.

    The host checks that it loads what was copied, and the hash of the configuration covers the
    files.
    """
    plugins = tuple(
        msgspec.structs.replace(plugin, digest=files[plugin.name].digest)
        if plugin.name in files
        else plugin
        for plugin in config.plugins
    )
    return msgspec.structs.replace(config, plugins=plugins)
