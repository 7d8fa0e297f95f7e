"""The wall: what host, zygote and worker each give up, and in which order.

Policy is a function of the kind of plugin and the phase: `Wall` is that of Python plugins. It is
built once in the zygote; each worker then passes `detach`, `load_phase` and, once its plugin is
imported, `serve_phase`.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterable

from pluginsandbox.host import filters, kernel, landlock, memory, syscalls
from pluginsandbox.host.seccomp import Installable

FILTERS = 2
"""How many filters a worker has once it serves, on top of the zygote's."""
CHANNEL = 3
"""Descriptor of a worker's socket; 0 to 2 are /dev/null and there are no others."""
_RULESET = 4

_RLIMIT_SIGPENDING = 11  # asm-generic/resource.h; the standard library does not name it
_LIMITS = {
    # A limit of 1 also stops a core pattern that pipes to a program, which 0 does not.
    resource.RLIMIT_CORE: 1,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_MSGQUEUE: 0,
    resource.RLIMIT_NOFILE: 64,
    # The kernel counts queued signals for each user, and all pods of a node may have the same.
    _RLIMIT_SIGPENDING: 0,
    # Beyond RLIMIT_DATA, and where a node sets no limit beyond any.
    resource.RLIMIT_STACK: 8 << 20,
}
# Address space beyond the data limit: mapped libraries, read-only files, segments. It bounds the
# page tables that a plugin can make the kernel keep.
_ADDRESS_SPACE_BYTES = 1 << 30
_NO_PRIORITY = os.sched_param(0)
_OOM_FIRST = b"1000"
# Sixteen plugins, and the directories that an author on a laptop makes anew.
_MOST_RULESETS = 64


class ConfinementError(Exception):
    """A part of the wall cannot be had, and all of it is asked for.

    Args:
        part: Landlock, seccomp or limits.
        error: What the kernel said.

    """

    def __init__(self, part: str, error: OSError) -> None:
        super().__init__(
            f"{part} cannot be had here ({error.strerror or error}); plugins run only behind the "
            "whole wall unless host.confinement is BestEffort"
        )


def guard_host() -> None:
    """Make this process unreadable for others of its user: memory, environment, descriptors."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def enter_zygote(parent: int) -> None:
    """Give up what neither the zygote nor any worker needs.

    Args:
        parent: Process id of the host; when it is gone, so is this process.

    Raises:
        OSError: The kernel refused.

    """
    _die_with(parent)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.drop_capabilities()


def _yield_to_host() -> None:
    """Never push the host off a processor because a frame has come.

    The host then sends all that it has before a worker on the same core runs, which saves a switch
    for nearly every call; and it holds the clock that workers are ended by.
    """
    try:  # noqa: SIM105 - for each fork
        os.sched_setscheduler(0, os.SCHED_BATCH, _NO_PRIORITY)
    except OSError:  # a kernel in user space may know no such policy
        pass


def _die_with(parent: int) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


class Wall:
    """What stands around a Python worker.

    Made in the zygote, so that a worker finds rules and filters ready: each page that it need not
    touch after the fork is a page not copied.

    Args:
        readable: Files and directories that every worker may read.

    """

    def __init__(self, readable: Iterable[str]) -> None:
        self._readable = tuple(readable)
        self._rulesets: dict[tuple[tuple[str, int, int], ...], int] = {}
        self._landlock_abi = landlock.abi()
        self._machine = syscalls.here()
        self._serve = Installable(filters.serve_phase().compiled(self._machine))
        self._load = self._load_filter(asked=False)

    def _load_filter(self, *, asked: bool) -> Installable:
        # It names the address of the serve filter: a plugin may add that one only.
        policy = filters.load_phase(self._serve.address, asked=asked)
        return Installable(policy.compiled(self._machine))

    def listen(self) -> int | None:
        """Have the kernel ask about probing calls of this process and all that it forks.

        Returns:
            The descriptor that tells of them; None where the kernel cannot, and refuses by itself.

        """
        try:
            descriptor = Installable(filters.probing().compiled(self._machine)).listen()
        except OSError:
            return None
        self._load = self._load_filter(asked=True)
        return descriptor

    def ruleset(self, readable: Iterable[str]) -> int | None:
        """Return a descriptor of the Landlock rules for workers of one plugin, made once.

        Args:
            readable: What these workers may read besides.

        Returns:
            The descriptor, or None where the kernel has no Landlock.

        """
        if not self._landlock_abi:
            return None
        # With the inode: a directory made anew under the old name needs new rules.
        key = tuple((path, *_identity(path)) for path in readable)
        descriptor = self._rulesets.get(key)
        if descriptor is None:
            if len(self._rulesets) >= _MOST_RULESETS:
                os.close(self._rulesets.pop(next(iter(self._rulesets))))
            paths = (*self._readable, *(path for path, *_ in key))
            descriptor = self._rulesets[key] = landlock.ruleset(paths, self._landlock_abi)
        return descriptor

    def detach(self, channel: int, ruleset: int | None, parent: int) -> int | None:
        """Right after the fork: lose the zygote's session, descriptors and signal handling.

        Args:
            channel: Descriptor of the worker's socket; it becomes `CHANNEL`.
            ruleset: What `ruleset` returned.
            parent: Process id of the zygote.

        Returns:
            Where the ruleset is now.

        """
        _die_with(parent)
        _yield_to_host()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        # Opened anew: flags and offset of the zygote's own are shared by all that it forks, and one
        # worker could leave a mark there for another.
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for standard in range(3):
            os.dup2(nothing, standard)
        # Both are above what they are copied to: the zygote keeps 3 and 4 for itself.
        os.dup2(channel, CHANNEL)
        if ruleset is not None:
            os.dup2(ruleset, _RULESET)
        os.closerange(_RULESET + (ruleset is not None), _descriptors())
        return None if ruleset is None else _RULESET

    def load_phase(self, ruleset: int | None, memory_bytes: int, *, strict: bool) -> None:
        """Before the plugin's first line: limits, domain, filter.

        Args:
            ruleset: What `detach` returned; it is closed.
            memory_bytes: Growth of its data above what it has now.
            strict: Whether each part must hold; else what cannot be had is left out.

        Raises:
            ConfinementError: A part cannot be had.

        """

        def restrict_files() -> None:
            if ruleset is None:
                raise OSError(errno.ENOSYS, "this kernel has none, or has it switched off")
            landlock.enter(ruleset)
            os.close(ruleset)

        def install_filter() -> None:
            self._load.install(**{filters.OWN_PROCESS: os.getpid()})

        # The host reads the worker's proportional set size; other workers cannot. Without it the
        # worker's own files in /proc belong to root.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        _part("the limits on resources", lambda: _limit(memory_bytes), strict=strict)
        _part("Landlock", restrict_files, strict=strict)
        _part("seccomp", install_filter, strict=strict)

    def serve_phase(self, *, strict: bool) -> None:
        """After the plugin's import: nothing executable comes any more.

        Raises:
            ConfinementError: The filter cannot be had.

        """
        _part("seccomp", self._serve.install, strict=strict)


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - for each fork
    except OSError:
        return (0, 0)
    return found.st_dev, found.st_ino


def _descriptors() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _part(name: str, build: Callable[[], None], *, strict: bool) -> None:
    try:
        build()
    except OSError as error:
        if strict:
            raise ConfinementError(name, error) from error


def _limit(memory_bytes: int) -> None:
    # The kernel's first choice when memory runs out; refused only where it is the highest already.
    descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, _OOM_FIRST)
    finally:
        os.close(descriptor)
    maps = memory.own_maps()
    _lower(resource.RLIMIT_DATA, maps.data + memory_bytes)
    _lower(resource.RLIMIT_AS, maps.total + memory_bytes + _ADDRESS_SPACE_BYTES)
    for limit, value in _LIMITS.items():
        _lower(limit, value)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))
