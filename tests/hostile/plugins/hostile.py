"""A plugin that does whatever it is told to, with all that Python gives it."""

from __future__ import annotations

import sys
import time
from typing import Any

import prelude  # type: ignore[import-not-found]  # shipped beside it

from pluginsandbox.sdk import Plugin, function, slot

LONG = 1 << 20


class Hostile(Plugin):
    """Has state to lose, hooks that never end, and a door for any code."""

    total = slot(int, default=0)
    farewell = slot(str, default="")

    def on_start(self) -> None:
        while self.context.id.startswith("endless-start"):
            time.sleep(1)

    def on_panic(self, error: BaseException) -> None:
        del error
        while self.context.id.startswith("endless-panic"):
            pass

    def on_exit(self, cause: str) -> None:
        del cause
        exec(self.farewell.get(), {**vars(prelude), "self": self})  # noqa: S102

    @function
    def add(self) -> int:
        self.total.set(self.total.get() + 1)
        return self.total.get()

    @function
    def size(self, text: str) -> int:
        return len(text)

    @function
    def run(self, code: str, target: dict[str, Any]) -> str:
        """Run some code; return what it got."""
        scope = {**vars(prelude), "self": self, "target": target}
        exec(code, scope)  # noqa: S102
        got = scope.get("got")
        if isinstance(got, str) and len(got) > LONG:
            return got
        return repr(got)[:400] if got else ""

    def number(self) -> int:
        """Return the host's number of the running call, from the frames above."""
        frame = sys._getframe()
        while "channel" not in frame.f_locals:
            frame = frame.f_back  # type: ignore[assignment]
        return int(frame.f_locals["channel"].call)
