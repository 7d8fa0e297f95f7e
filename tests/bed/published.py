"""What readers of a published segment try against it, on the laptop as on real pods."""

from __future__ import annotations

CODE = """
    from pluginsandbox.sdk import Plugin, function


    class Obedient(Plugin):
        @function
        def run(self, code: str) -> str:
            scope = {"self": self}
            exec(code, scope)
            return str(scope.get("out"))

        def on_exit(self, cause):
            try:
                self.publish("late", b"x")
            except Exception as error:
                print("on_exit:", type(error).__name__, error)
"""
SIZE = 100_000
"""How often the word is published."""
HONEST = f"self.publish('prices', b'honest' * {SIZE})"
READ = "v = self.published('source', 'prices'); out = (len(v), bytes(v[:6]), v.readonly)"
SEEN = f"({6 * SIZE}, b'honest', True)"

FIND = """
import contextlib, ctypes, fcntl, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

class Buffer(ctypes.Structure):
    _fields_ = [('address', ctypes.c_void_p), ('rest', ctypes.c_byte * 200)]

view, found = self.published('source', 'prices'), Buffer()
ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(found), 0)
start = found.address
assert ctypes.string_at(start, 6) == b'honest'

def is_open(number):
    with contextlib.suppress(OSError):
        return os.fstat(number).st_size >= len(view)

# The map keeps a descriptor of its own.
memfd = next(number for number in range(4, 64) if is_open(number))
"""
REFUSED = {
    "write to the view": ("view[0] = 1", "TypeError"),
    "write to the map below": ("view.obj[0] = 1", "TypeError"),
    "open it anew for writing": ("os.open(f'/proc/self/fd/{memfd}', os.O_RDWR)", "PermissionError"),
    "open its map for writing": ("os.open('/proc/self/map_files', os.O_RDWR)", "PermissionError"),
    "open the own memory": ("os.open('/proc/self/mem', os.O_RDWR)", "PermissionError"),
    "map it for writing": ("mmap.mmap(memfd, 4096)", "PermissionError"),
    "write to its descriptor": ("os.pwrite(memfd, b'evil', 0)", "OSError"),
    "shorten it": ("os.ftruncate(memfd, 0)", "PermissionError"),
    "add a seal": ("fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, 1)", "PermissionError"),
    "allow writing to its map": (
        "if libc.mprotect(start, 4096, 3): raise PermissionError",
        "PermissionError",
    ),
}
TRY = """
try:
    {attempt}
except Exception as error:
    out = type(error).__name__
else:
    out = 'it succeeded'
"""
FATAL = {
    "writes behind Python's back": "ctypes.memset(start, 0x65, 4)",
    "writes after an mprotect that failed": """
libc.mprotect(start, 4096, mmap.PROT_READ | mmap.PROT_WRITE)
ctypes.memset(start, 0x65, 4)
""",
}
