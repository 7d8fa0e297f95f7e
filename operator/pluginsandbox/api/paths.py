"""Where things are in a sandbox's pod: the operator mounts them there, the host reads them there.

Nothing of these paths appears to callers.
"""

from __future__ import annotations

from pluginsandbox.api import host_config
from pluginsandbox.api.host_config import CONFIG_FILE
from pluginsandbox.api.plugin import Plugin, PluginSecret

CONFIG_DIRECTORY = "/etc/pluginsandbox"
CONFIG_PATH = f"{CONFIG_DIRECTORY}/{CONFIG_FILE}"
PEERS_DIRECTORY = host_config.PEERS_DIRECTORY
PLUGINS = "/plugins"
SECRETS = "/secrets"


def plugin_mount(plugin: Plugin) -> str:
    """Return where the plugin's source is mounted: a ConfigMap's files, or the whole image."""
    return f"{PLUGINS}/{plugin.name}"


def plugin_root(plugin: Plugin) -> str:
    """Return the directory that holds the plugin's files, below its mount."""
    image = plugin.source.image
    below = image.path.rstrip("/") if image else ""
    return plugin_mount(plugin) + below


def secret_mount(plugin: Plugin, secret: PluginSecret) -> str:
    """Return where a Secret of the plugin is mounted."""
    return f"{SECRETS}/{plugin.name}/{secret.name}"
