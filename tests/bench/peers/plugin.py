"""The plugin under load: as little as a plugin can do."""

from __future__ import annotations

from pluginsandbox.sdk import Plugin, function


class Echo(Plugin):
    @function
    def echo(self, text: str) -> str:
        return text
