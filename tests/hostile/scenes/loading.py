"""Attacks by what a plugin is made of, and by its import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.door import until

if TYPE_CHECKING:
    from tests.hostile.arena import Arena


def _refused(arena: Arena, name: str, *words: str) -> str:
    """Return what is wrong if a plugin of the second host was not refused with these words."""
    door = arena.broken()

    def told() -> dict[str, str]:
        found: list[dict[str, str]] = door.stats()["plugins"]
        return next(each for each in found if each["name"] == name)

    if not until(lambda: told()["state"] == "Failed"):
        return f"it is {told()['state']}"
    if not any(word in told()["message"] for word in words):
        return f"it was refused for another reason: {told()['message']}"
    served = door.call("victim", "add", "early").status
    return "" if served == 200 else f"the victim beside it answers {served}"


def root_that_is_a_link(arena: Arena) -> str:
    """Load a plugin whose directory is a link to the directory of all plugins."""
    return _refused(arena, "linker", "symbolic link")


def link_among_its_files(arena: Arena) -> str:
    """Load a plugin that has a link to a neighbour's secret among its files."""
    return _refused(arena, "linked", "not a plain file below")


def forge_while_imported(arena: Arena) -> str:
    """Load a plugin that says for itself which functions it has."""
    return _refused(arena, "liar", "before it was behind the whole wall")


def endless_import(arena: Arena) -> str:
    """Load a plugin whose import never ends."""
    return _refused(arena, "sleeper", "did not end within")


def die_again_and_again(arena: Arena) -> str:
    """Have warm workers die as soon as they serve: the host must not fork without end."""
    door = arena.broken()

    def deaths() -> float:
        return door.metric("worker_exits_total", plugin="dier")

    if not until(lambda: deaths() >= 4):
        return f"only {deaths()} died: the attack does not work"
    # From here on each wait is longer than the last: 0.2, 0.4, 0.8 s and more.
    before = deaths()
    until(lambda: deaths() > before + 20, seconds=3)
    more = deaths() - before
    return "" if more <= 20 else f"{more:.0f} workers were started for it in 3 s"
