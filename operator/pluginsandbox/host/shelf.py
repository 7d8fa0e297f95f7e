"""What plugins publish for the other plugins of their sandbox, and how long each version lives.

The host copies in what a plugin published and seals it against writing, so nobody can change what
others read, its publisher included. Shared memory is nobody's data to RLIMIT_DATA, so a reader that
kept old versions could hold any amount: a version that was replaced is emptied by the host once no
running call has borrowed it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable

from pluginsandbox.api.host_config import PluginConfig
from pluginsandbox.host import segments

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAMES = 16
"""Of one plugin."""


class Version:
    """What had a name for a while.

    Args:
        plugin: Who published it.
        data: What.

    Raises:
        OSError: No memory or no descriptor is left.

    """

    __slots__ = ("borrowed", "descriptor", "plugin", "replaced", "size", "source")

    def __init__(self, plugin: str, data: bytes) -> None:
        self.plugin = plugin
        self.size = len(data)
        self.source = segments.holding(data)
        """To be emptied one day."""
        try:
            # A kernel before 6.7 maps what is sealed only where it was opened for reading.
            self.descriptor = os.open(f"/proc/self/fd/{self.source}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            segments.give_back(self.source)
            raise
        self.borrowed = 0
        """Running calls that have it."""
        self.replaced = False


class Shelf:
    """All that is published in one host.

    Args:
        plugins: Who may publish how much.

    """

    def __init__(self, plugins: Iterable[PluginConfig]) -> None:
        self._limits = {plugin.name: plugin.limits.published_bytes for plugin in plugins}
        self._current: dict[tuple[str, str], Version] = {}
        self._living: Counter[str] = Counter()
        """Bytes of each plugin, replaced versions that are still borrowed included."""

    def refusal(self, plugin: str, name: str, size: int) -> str:
        """Return why a plugin may not publish so many bytes under a name; empty if it may."""
        limit = self._limits.get(plugin, 0)
        if not limit:
            return "this plugin may publish nothing: limits.publishedBytes is not set"
        if NAME.fullmatch(name) is None:
            rule = "must be 1 to 63 of A-Z a-z 0-9 . _ - and begin with a letter or a digit"
            return f"name {name[:80]!r} {rule}"
        others = [
            version.size
            for (owner, other), version in self._current.items()
            if owner == plugin and other != name
        ]
        if size and len(others) >= NAMES:
            return f"{NAMES} names are published already; publish no bytes to take one away"
        if sum(others) + size > limit:
            return (
                f"{size} bytes and the {sum(others)} that are published under other names are over "
                f"limits.publishedBytes ({limit})"
            )
        if self._living[plugin] + size > 2 * limit:
            return "earlier versions are still in use by running calls; publish again later"
        return ""

    def put(self, plugin: str, name: str, data: bytes) -> None:
        """Publish.

        Args:
            plugin: Who.
            name: As what; the version that had the name is replaced.
            data: A copy of the host's own; none takes the name away.

        Raises:
            OSError: No memory or no descriptor is left.

        """
        version = Version(plugin, data) if data else None
        before = self._current.pop((plugin, name), None)
        if version is not None:
            self._current[plugin, name] = version
            self._living[plugin] += version.size
        if before is not None:
            before.replaced = True
            self._let_go(before)

    def find(self, plugin: str, name: str) -> Version | None:
        """Return what is published; None if nothing is. Who lends it counts it as borrowed."""
        return self._current.get((plugin, name))

    def give_back(self, version: Version) -> None:
        """Note that a call is over that had borrowed a version."""
        version.borrowed -= 1
        self._let_go(version)

    def _let_go(self, version: Version) -> None:
        if version.replaced and not version.borrowed:
            self._living[version.plugin] -= version.size
            os.close(version.descriptor)
            segments.give_back(version.source)

    def close(self) -> None:
        """Take everything away; calls that still run keep what they have until they end."""
        for key in tuple(self._current):
            self.put(*key, b"")
