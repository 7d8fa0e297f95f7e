"""What the zygote made stays for as long as any worker, so nobody need count who refers to it.

Each reference that comes or goes is written into the object, and after a fork the first write to a
page copies it. Since Python 3.12 an object whose count says that it is immortal is left alone
(PEP 683): that spares each worker 220 pages and 0.6 ms of its start. Until an interpreter offers
to say so by a function, the count itself is written.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_KNOWN = ((3, 12), (3, 15))
"""From the first version with immortal objects to the first that is not looked at yet."""
# Include/object.h of 3.12 and 3.13, Include/refcount.h of 3.14: in the lower half of the count all
# that has its highest bit; in 3.14 the upper half holds flags.
_IMMORTAL = 0xFFFFFFFF


def known() -> bool:
    """Whether this interpreter is known to have immortal objects, counted in the usual way."""
    ordinary = sys.implementation.name == "cpython" and not sys.abiflags
    return ordinary and sys.byteorder == "little" and _KNOWN[0] <= sys.version_info < _KNOWN[1]


def make() -> None:
    """Make all objects immortal that the collector knows: functions, classes, modules, tables.

    Those that it does not know, such as strings, are many times as many and seldom the only thing
    on a page. To be called where nothing is to be given back any more.
    """
    if known():
        count = ctypes.c_uint32.from_address
        for each in gc.get_objects():
            count(id(each)).value = _IMMORTAL
