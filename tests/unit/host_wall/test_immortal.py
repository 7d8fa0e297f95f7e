"""What the zygote made is immortal where the interpreter knows that, and all else lives as ever."""

from __future__ import annotations

import json
import subprocess
import sys

from pluginsandbox.host import immortal

SCRIPT = """
import gc, json, sys, weakref
from pluginsandbox.host import immortal

class Cycle:
    def __init__(self):
        self.own = self

immortal.make()
gc.freeze()
later = weakref.ref(Cycle())
gc.collect()
print(json.dumps([sys.getrefcount(json.dumps) > 1 << 31, later() is None]))
"""


def test_what_is_there_becomes_immortal_and_later_cycles_are_collected() -> None:
    told = subprocess.run((sys.executable, "-c", SCRIPT), capture_output=True, check=True).stdout
    assert json.loads(told) == [immortal.known(), True]
