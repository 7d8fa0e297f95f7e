"""Where attacks happen: a real host with a victim, bystanders and hostile plugins in it.

`laptop` and `pods` say how such a host comes to be; what is done with it is the same.
"""

from __future__ import annotations

import abc
import itertools
from pathlib import Path
from typing import Any

from tests.hostile.door import Answer, Door
from tests.hostile.record import NOTHING, TIMEOUT, Attack

VICTIMS = ("a", "b", "c")
"""Contexts of the victim, which has one process for all."""
BYSTANDERS = ("left", "right")
"""Contexts of the hostile plugin that is attacked from; each has a process of its own."""
_SHORT_MILLISECONDS = "300"


class Arena(abc.ABC):
    """One host under attack."""

    where: str
    """laptop or pods."""

    def __init__(self) -> None:
        self.door: Door
        self.target: dict[str, Any] = {}
        """What the attackers are told."""
        self._numbers = itertools.count(1)
        self._counts: dict[tuple[str, str], int] = {}
        self._generation = 0

    @abc.abstractmethod
    def identity(self) -> object:
        """Return what changes when the host is not the same process any more."""

    @abc.abstractmethod
    def heard(self) -> list[str]:
        """Return which stand-ins heard something since the last time."""

    @abc.abstractmethod
    def host_descriptors(self) -> int:
        """Return how many descriptors the host has open."""

    @abc.abstractmethod
    def shared_memory(self, process: int) -> int:
        """Return how many bytes of shared memory a process has mapped."""

    @abc.abstractmethod
    def log(self) -> list[str]:
        """Return the lines of the host's log."""

    @abc.abstractmethod
    def alive(self, process: int) -> bool:
        """Whether there is a process of this number where the host runs."""

    @abc.abstractmethod
    def broken(self) -> Door:
        """Return a second host, one whose plugins attack while they are loaded."""

    @abc.abstractmethod
    def end(self) -> str:
        """Return what all attacks together did to the host, or nothing."""

    # --- before the first attack -----------------------------------------------------------------

    def begin(self) -> None:
        """Give everybody state that can be lost, and learn what attackers are told."""
        self._born = self.identity()
        self._generation = int(self.door.stats()["generation"])
        self.target |= self.door.call("victim", "where", "a").body
        self._counts = {}
        for plugin, context in self._neighbours():
            answer = self.door.call(plugin, "add", context)
            assert answer.status == 200, answer
            self._counts[plugin, context] = int(answer.body)
        self.known = self.door.call("victim", "know", "a").body

    def _neighbours(self) -> list[tuple[str, str]]:
        return [("victim", each) for each in VICTIMS] + [("hostile", each) for each in BYSTANDERS]

    # --- during one ------------------------------------------------------------------------------

    def context(self, prefix: str = "attack") -> str:
        """Return a context that nobody has used."""
        return f"{prefix}-{next(self._numbers)}"

    def run(self, code: str, context: str, plugin: str = "hostile", **headers: str) -> Answer:
        """Have a hostile plugin run some code."""
        named = {"Sandbox-Context": context, **headers}
        return self.door.send(plugin, "run", named, {"code": code, "target": self.target})

    def attack(self, attack: Attack) -> str:
        """Make one attack; return what got through, or nothing."""
        if attack.drive is not None:
            return attack.drive(self)
        context = self.context()
        try:
            # Bound first, so that what follows is the attack's own time.
            self.door.call("hostile", "add", context)
            short = {"Sandbox-Timeout-Ms": _SHORT_MILLISECONDS}
            return _judged(
                attack, self.run(attack.code, context, **(short if TIMEOUT in attack.ends else {}))
            )
        finally:
            self.door.release(context)

    # --- after one -------------------------------------------------------------------------------

    def uncounted(self) -> str:
        """Return which sort of denial the host has not counted, or nothing."""
        kinds = [each for each in ("kill", "notify") if not self._denied(each)]
        return f"no denial of kind {', '.join(kinds)} was counted" if kinds else ""

    def _denied(self, kind: str) -> float:
        return self.door.metric("denials_total", plugin="hostile", kind=kind)

    def damage(self) -> str:
        """Return what an attack has done to others, or nothing."""
        heard = self.heard()
        if heard:
            return f"heard by {', '.join(heard)}"
        if self.identity() != self._born or self.door.stats()["generation"] != self._generation:
            return "the host is not the same process any more"
        for (plugin, context), count in self._counts.items():
            named = {"Sandbox-Context": context, "Sandbox-Bind": "existing"}
            answer = self.door.send(plugin, "add", named, {})
            if answer.status != 200 or answer.body != count + 1:
                return f"{plugin} in context {context} answers {answer.status} {answer.body}"
            self._counts[plugin, context] = count + 1
        if self.door.call("victim", "know", "a").body != self.known:
            return "the victim does not know what it knew"
        return ""


def shared_memory(process: Path) -> int:
    """Return the bytes of shared memory that a process of this machine has mapped."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith("RssShmem:"):
            return int(line.split()[1]) << 10
    return 0


def _judged(attack: Attack, answer: Answer) -> str:
    if answer.status == 200 and answer.body:
        return f"it got {str(answer.body)[:200]}"
    if answer.end in attack.ends:
        return ""
    if answer.end == NOTHING:
        return f"it ran to its end; expected: {', '.join(attack.ends)}"
    detail = (
        answer.body.get("detail", answer.body) if isinstance(answer.body, dict) else answer.body
    )
    return f"it ended by {answer.end!r}, not {', '.join(attack.ends)}: {str(detail)[:200]}"
