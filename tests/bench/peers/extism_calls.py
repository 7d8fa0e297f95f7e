"""Extism's Python SDK: what a plugin takes to make and to call. Prints JSON, in microseconds."""

from __future__ import annotations

import json
import time

import extism

# (module (func (export "run") (result i32) i32.const 0))
MODULE = bytes.fromhex("0061736d010000000105016000017f030201000707010372756e00000a0601040041000b")
MAKES = 20
CALLS = 4000
SIZES = (100, 4096)


def timed(plugin: extism.Plugin, size: int) -> list[float]:
    payload = b"x" * size
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        plugin.call("run", payload)
        took.append((time.perf_counter() - began) * 1e6)
    return took


def main() -> None:
    makes = []
    for _ in range(MAKES):
        began = time.perf_counter()
        plugin = extism.Plugin(MODULE)
        makes.append((time.perf_counter() - began) * 1e6)
    calls = {str(size): timed(plugin, size) for size in SIZES}
    print(json.dumps({"makes": makes, "calls": calls}))


if __name__ == "__main__":
    main()
