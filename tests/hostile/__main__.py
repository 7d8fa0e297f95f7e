"""`make hostile`: every attack once, one line of result at the end, 1 if any got through."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.hostile import ears
from tests.hostile.arena import Arena
from tests.hostile.attacks import ATTACKS
from tests.hostile.record import GROUPS, Attack

FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of one attack."""

    name: str
    group: str
    through: str
    """What got through; empty if the attack was stopped."""
    control: str
    """What the same act did where there is no wall; empty if it was not tried."""
    controlled: bool
    """Whether it succeeded there, or was not to be tried."""
    seconds: float

    @property
    def held(self) -> bool:
        """Whether it was stopped, and could have succeeded."""
        return not self.through and self.controlled


class Controls:
    """Runs the same acts where there is no wall."""

    def __init__(self) -> None:
        words = (sys.executable, "-I", "-S", str(FOLDER / "control.py"), str(FOLDER / "prelude.py"))
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def succeeds(self, code: str, target: dict[str, object]) -> str:
        """Return what an act got; it begins with `got` if that is something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "target": target}) + "\n")
        self._process.stdin.flush()
        told: str = json.loads(self._process.stdout.readline())
        return told

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def verdicts(arena: Arena, attacks: list[Attack], controls: Controls | None) -> Iterator[Verdict]:
    """Make each attack and look at the damage."""
    for attack in attacks:
        started = time.monotonic()
        try:
            through = arena.attack(attack) or arena.damage()
        except Exception as error:  # noqa: BLE001 - whatever an attack does to us, it did it
            through = f"the suite was hurt: {type(error).__name__}: {error}"
        told = ""
        if controls is not None and attack.controlled:
            told = controls.succeeds(attack.controlled, arena.target)
            arena.heard()
        if through:
            with contextlib.suppress(Exception):
                arena.begin()
        yield Verdict(
            attack.name,
            attack.group,
            through,
            told,
            controlled=not told or told.startswith("got"),
            seconds=time.monotonic() - started,
        )


def main() -> int:
    """Run the attacks; return the exit status."""
    options = _options()
    attacks = [
        each
        for each in ATTACKS
        if options.only in f"{each.group}: {each.name}"
        and (each.quick or not options.quick)
        and (each.pods or options.where == "laptop")
    ]
    if options.where == "laptop":
        ears.enter_closed_network()
    # Not below /tmp, which the controls see empty.
    place = os.environ.get("XDG_RUNTIME_DIR", "/run")
    with tempfile.TemporaryDirectory(prefix="hostile-", dir=place) as folder:
        found = (_laptop if options.where == "laptop" else _pods)(Path(folder), attacks)
    if options.report:
        options.report.write_text(json.dumps([dataclasses.asdict(each) for each in found]))
    held = sum(each.held for each in found)
    print(f"attacks={len(found)} held={held} failed={len(found) - held}")
    return int(held < len(found))


def _laptop(folder: Path, attacks: list[Attack]) -> list[Verdict]:
    from tests.hostile import laptop  # noqa: PLC0415

    controls = Controls()
    try:
        with ears.listening(folder) as listening, laptop.besieged(folder, listening) as arena:
            return _told(arena, attacks, controls)
    finally:
        controls.close()


def _pods(folder: Path, attacks: list[Attack]) -> list[Verdict]:
    """Attack on pods; that the acts succeed without the wall is shown on the laptop."""
    from tests.hostile import pods  # noqa: PLC0415

    with pods.besieged(folder) as arena:
        return _told(arena, attacks, None)


def _told(arena: Arena, attacks: list[Attack], controls: Controls | None) -> list[Verdict]:
    """Print each verdict as it comes, and one more if all together did what none did alone."""
    found = []
    for verdict in verdicts(arena, attacks, controls):
        found.append(verdict)
        _tell(len(found), len(attacks), verdict)
    # Of some groups none is of a kind that is counted.
    if len({attack.group for attack in attacks}) == len(GROUPS) and (through := arena.end()):
        found.append(Verdict("all together", "", through, "", controlled=True, seconds=0))
        _tell(len(found), len(attacks), found[-1])
    return found


def _tell(number: int, of: int, verdict: Verdict) -> None:
    word = "held" if verdict.held else "FAILED"
    print(f"[{number}/{of}] {word} {verdict.group}: {verdict.name} ({verdict.seconds:.2f} s)")
    if verdict.through:
        print(f"    got through: {verdict.through}")
    if not verdict.controlled:
        print(f"    proves nothing: without the wall the act ends as well: {verdict.control}")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--where", choices=("laptop", "pods"), default="laptop")
    parser.add_argument("--only", default="", help="attacks whose group or name has this text")
    parser.add_argument("--quick", action="store_true", help="the few that stand for the rest")
    parser.add_argument("--report", type=Path, help="where to write the verdicts as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
