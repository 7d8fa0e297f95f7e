"""A plugin with state and secrets that its neighbours want; it answers as long as it is whole."""

from __future__ import annotations

import ctypes
import fcntl
import os

from pluginsandbox.sdk import Plugin, function, slot

SECRET = ctypes.create_string_buffer(b"precious", 8)


class Victim(Plugin):
    """Counts in each context, and knows what a neighbour should not."""

    total = slot(int, default=0)
    token = slot(str, default="")

    def on_start(self) -> None:
        self.token.set(self.config["token"])

    @function
    def add(self) -> int:
        self.total.set(self.total.get() + 1)
        return self.total.get()

    @function
    def know(self) -> str:
        """Say what it keeps, from its slot and from its secret."""
        return f"{self.token.get()} {self.secret('keys').decode()}"

    @function
    def where(self) -> dict[str, int]:
        """Say where its process and its secret are: what an attacker might find out."""
        found = {"sibling": os.getpid(), "zygote": os.getppid()}
        return {**found, "address": ctypes.addressof(SECRET)}

    @function
    def flags(self) -> int:
        """Return the flags of its standard input."""
        return fcntl.fcntl(0, fcntl.F_GETFL)

    @function
    def size(self, text: str) -> int:
        return len(text)
