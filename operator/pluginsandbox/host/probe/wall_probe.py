"""The plugin that proves the wall; what it tries is in `pluginsandbox.host.acts`."""

# ruff: noqa: INP001 - loaded from its directory, as any plugin is
from pluginsandbox.host.acts import Probe

__all__ = ["Probe"]
