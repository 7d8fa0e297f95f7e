"""The Python worker's filters, asked call by call on both machines."""

from __future__ import annotations

import itertools

import pytest

from pluginsandbox.host import filters
from pluginsandbox.host.seccomp import ALLOW, ASK, KILL, REFUSE, UNKNOWN
from pluginsandbox.host.syscalls import AARCH64, MACHINES, X86_64, Machine, numbers
from tests.unit.host_wall.interpreter import answer, fill

OWN = 4711
SERVE_PROGRAM = 0x7F12_3456_7890
MACHINE = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)

READ, WRITE, EXEC = 1, 2, 4
SHARED, PRIVATE, FIXED, ANONYMOUS = 0x1, 0x2, 0x10, 0x20
GROWSDOWN, LOCKED, HUGETLB = 0x100, 0x2000, 0x40000


def load_phase(machine: Machine, name: str, *arguments: int) -> int:
    program = filters.load_phase(SERVE_PROGRAM).compiled(machine)
    code = fill(program, **{filters.OWN_PROCESS: OWN})
    return answer(code, machine, numbers(machine)[name], *arguments)


def asked(machine: Machine, name: str, *arguments: int) -> int:
    """Where the zygote listens: its filter and the load phase's, which leaves the question open."""
    program = filters.load_phase(SERVE_PROGRAM, asked=True).compiled(machine)
    load = answer(
        fill(program, **{filters.OWN_PROCESS: OWN}), machine, numbers(machine)[name], *arguments
    )
    zygote = filters.probing().compiled(machine).code
    inherited = answer(zygote, machine, numbers(machine)[name], *arguments)
    return min(load, inherited, key=lambda action: action ^ 1 << 31)


def serve_phase(machine: Machine, name: str, *arguments: int) -> int:
    """Both filters hold; the stricter answer wins, as in the kernel (lower value)."""
    code = filters.serve_phase().compiled(machine).code
    added = answer(code, machine, numbers(machine)[name], *arguments)
    return min(added, load_phase(machine, name, *arguments), key=lambda action: action ^ 1 << 31)


@MACHINE
@pytest.mark.parametrize(
    "name",
    """
    read write close fstat newfstatat getdents64 munmap brk rt_sigaction rt_sigreturn getrandom
    clock_gettime ppoll epoll_pwait recvmsg recvfrom setitimer exit_group getpid
    """.split(),  # noqa: SIM905 - a list of words reads best as words
)
def test_what_every_program_does_passes(machine: Machine, name: str) -> None:
    assert serve_phase(machine, name) == ALLOW


@MACHINE
@pytest.mark.parametrize(
    "name",
    """
    ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd init_module kexec_load bpf
    perf_event_open userfaultfd keyctl add_key mount umount2 pivot_root chroot unshare setns
    open_by_handle_at settimeofday
    """.split(),  # noqa: SIM905
)
def test_what_only_an_attack_does_kills(machine: Machine, name: str) -> None:
    assert load_phase(machine, name) == serve_phase(machine, name) == KILL


@MACHINE
@pytest.mark.parametrize(
    "name",
    """
    kill tkill rt_sigqueueinfo pidfd_open pidfd_send_signal sched_setaffinity sched_setscheduler
    setpriority ioprio_set shmget shmat msgget semget mq_open memfd_create memfd_secret execve
    execveat fchmodat fchownat utimensat setxattr socket connect bind listen accept sendmsg
    landlock_create_ruleset landlock_restrict_self io_uring_setup io_uring_enter inotify_init1
    personality setrlimit clone mkdirat unlinkat renameat2 symlinkat linkat truncate ftruncate
    pipe2 splice remap_file_pages mlock mlockall setresuid setgroups capset timer_create
    signalfd4 move_pages mbind membarrier prctl socketpair tgkill
    """.split(),  # noqa: SIM905
)
def test_what_a_library_may_probe_is_refused(machine: Machine, name: str) -> None:
    assert load_phase(machine, name) == serve_phase(machine, name) == REFUSE


@MACHINE
def test_what_is_asked_about_is_refused_where_nobody_listens(machine: Machine) -> None:
    """And the other way round: what the load phase lets pass, because it is asked, is asked."""
    for name in numbers(machine):
        alone, together = load_phase(machine, name), asked(machine, name)
        if name in filters.PROBING:
            assert (alone, together) == (REFUSE, ASK), name
        else:
            assert together == alone, name


@MACHINE
def test_the_zygote_does_what_it_must_under_the_filter_that_asks(machine: Machine) -> None:
    code = filters.probing().compiled(machine).code
    for name in (
        *("clone", "wait4", "pidfd_open", "sendmsg", "recvmsg", "openat", "prctl", "prlimit64"),
        *("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"),
        *("setsid", "sched_setscheduler", "close_range", "dup3", "rt_sigaction"),
    ):
        if name in numbers(machine):
            assert answer(code, machine, numbers(machine)[name]) == ALLOW


@pytest.mark.parametrize("name", ["fork", "vfork", "open", "chmod", "chown"])
def test_the_old_calls_of_x86_are_refused(name: str) -> None:
    assert load_phase(X86_64, name) == REFUSE


@MACHINE
@pytest.mark.parametrize("name", ["clone3", "openat2", "mseal"])
def test_what_the_c_library_tries_first_is_unknown(machine: Machine, name: str) -> None:
    assert load_phase(machine, name) == UNKNOWN


@MACHINE
@pytest.mark.parametrize(
    ("flags", "verdict"),
    [
        (0, ALLOW),
        (0x80000 | 0x800, ALLOW),  # CLOEXEC, NONBLOCK
        (1, REFUSE),  # WRONLY
        (2, REFUSE),  # RDWR
        (3, REFUSE),
        (0x40, REFUSE),  # CREAT
        (0x200, REFUSE),  # TRUNC
        (0x400000, REFUSE),  # TMPFILE
        (0x200000, REFUSE),  # PATH: Landlock does not look at it
        (1 << 32, ALLOW),  # the kernel itself takes 32 bits
    ],
)
def test_files_open_for_reading_only(machine: Machine, flags: int, verdict: int) -> None:
    assert load_phase(machine, "openat", 0, 0, flags) == verdict


@MACHINE
def test_code_comes_from_files_and_only_while_loading(machine: Machine) -> None:
    def mapped(protection: int, flags: int) -> tuple[bool, bool]:
        arguments = (0, 4096, protection, flags, 3, 0)
        load, serve = load_phase, serve_phase
        return (
            load(machine, "mmap", *arguments) == ALLOW,
            serve(machine, "mmap", *arguments) == ALLOW,
        )

    assert mapped(READ | WRITE, PRIVATE | ANONYMOUS) == (True, True)
    assert mapped(READ | WRITE, SHARED) == (True, True)
    assert mapped(READ | EXEC, PRIVATE) == (True, False)
    assert mapped(READ | EXEC, PRIVATE | FIXED) == (True, False)
    assert mapped(READ | WRITE | EXEC, PRIVATE) == (False, False)
    assert mapped(READ | EXEC, PRIVATE | ANONYMOUS) == (False, False)
    for name in ("mprotect", "pkey_mprotect"):
        assert load_phase(machine, name, 0, 4096, READ) == ALLOW
        assert load_phase(machine, name, 0, 4096, READ | EXEC) == REFUSE


@MACHINE
@pytest.mark.parametrize("protection", [READ, READ | WRITE, READ | EXEC])
@pytest.mark.parametrize("flag", [GROWSDOWN, LOCKED, HUGETLB])
def test_memory_that_no_limit_counts_is_refused(
    machine: Machine, protection: int, flag: int
) -> None:
    for sort in (PRIVATE | ANONYMOUS, PRIVATE, SHARED):
        assert load_phase(machine, "mmap", 0, 4096, protection, sort | flag) == REFUSE
    assert load_phase(machine, "mmap", 0, 4096, protection, SHARED | ANONYMOUS) == REFUSE
    # MAP_SHARED_VALIDATE is no way around.
    assert load_phase(machine, "mmap", 0, 4096, protection, 3 | ANONYMOUS) == REFUSE


@MACHINE
def test_limits_are_read_and_only_the_own_ones(machine: Machine) -> None:
    assert load_phase(machine, "prlimit64", 0, 7, 0, 0x1000) == ALLOW
    assert load_phase(machine, "prlimit64", 0, 7, 0x1000, 0) == REFUSE
    assert load_phase(machine, "prlimit64", 0, 7, 1 << 32, 0) == REFUSE
    assert load_phase(machine, "prlimit64", 1, 7, 0, 0x1000) == REFUSE


@MACHINE
@pytest.mark.parametrize("name", ["clock_gettime", "clock_getres", "clock_nanosleep"])
def test_clocks_are_the_machines_or_its_own_and_no_other_process(
    machine: Machine, name: str
) -> None:
    for clock in (0, 1, 2, 3, 4, 7, 11):
        assert load_phase(machine, name, clock) == ALLOW
    for process in (1, OWN, OWN + 1):
        for kind in (0, 1, 2, 3):  # PROF, VIRT, SCHED, and a clock behind a descriptor
            assert load_phase(machine, name, ~process << 3 | kind) == REFUSE
            assert load_phase(machine, name, ~process << 3 | 4 | kind) == REFUSE  # a thread's


@MACHINE
@pytest.mark.parametrize("name", ["getpgid", "getsid", "sched_getaffinity"])
def test_only_the_own_process_is_asked_about(machine: Machine, name: str) -> None:
    assert load_phase(machine, name, 0) == load_phase(machine, name, OWN) == ALLOW
    assert load_phase(machine, name, 1) == load_phase(machine, name, OWN + 1) == REFUSE


@MACHINE
def test_advice_on_memory_is_an_allocators(machine: Machine) -> None:
    for advice in (0, 3, 4, 8, 14, 15):
        assert load_phase(machine, "madvise", 0, 4096, advice) == ALLOW
    for advice in (9, 10, 12, 13, 100, 101):  # REMOVE, DONTFORK, MERGEABLE, HWPOISON ...
        assert load_phase(machine, "madvise", 0, 4096, advice) == REFUSE


@MACHINE
def test_nothing_is_sent_to_an_address(machine: Machine) -> None:
    assert load_phase(machine, "sendto", 3, 0x1000, 1, 0, 0, 0) == ALLOW
    assert load_phase(machine, "sendto", 3, 0x1000, 1, 0, 0x1000, 16) == REFUSE
    assert load_phase(machine, "sendto", 3, 0x1000, 1, 0, 1 << 32, 16) == REFUSE
    assert load_phase(machine, "sendto", 3, 0x1000, 1, 0x1, 0, 0) == REFUSE  # MSG_OOB


@MACHINE
def test_socket_pairs_have_no_addresses(machine: Machine) -> None:
    cloexec = 0x80000
    for kind, domain in itertools.product(range(8), (1, 2, 10, 16, 40)):
        expected = ALLOW if domain == 1 and kind in (1, 5) else REFUSE
        assert load_phase(machine, "socketpair", domain, kind | cloexec, 0) == expected


@MACHINE
def test_descriptors_get_no_signal_receiver(machine: Machine) -> None:
    for command in (0, 1, 2, 3, 4, 1030):
        assert load_phase(machine, "fcntl", 3, command) == ALLOW
    for command in (8, 10, 15, 1024, 1026, 1031, 1033):  # SETOWN SETSIG SETOWN_EX LEASE ...
        assert load_phase(machine, "fcntl", 3, command) == REFUSE
    for request in (0x541B, 0x5421, 0x5451, 0x5450, 0x5401):
        assert load_phase(machine, "ioctl", 3, request) == ALLOW
    for request in (0x5412, 0x8901, 0x8902, 0x40086602):  # TIOCSTI FIOSETOWN SIOCSPGRP ...
        assert load_phase(machine, "ioctl", 3, request) == REFUSE


@MACHINE
def test_futex_has_no_priority_inheritance(machine: Machine) -> None:
    private, realtime = 128, 256
    for operation in (0, 1, 3, 4, 9, 10):
        assert load_phase(machine, "futex", 0, operation | private | realtime) == ALLOW
    for operation in (2, 5, 6, 7, 8, 11, 12, 13):
        assert load_phase(machine, "futex", 0, operation | private) == REFUSE


@MACHINE
def test_signals_reach_the_own_process_only(machine: Machine) -> None:
    assert load_phase(machine, "tgkill", OWN, OWN, 6) == ALLOW
    assert load_phase(machine, "tgkill", OWN + 1, OWN + 1, 6) == REFUSE
    assert load_phase(machine, "kill", OWN, 6) == REFUSE


@MACHINE
def test_only_the_name_of_the_process_is_changed(machine: Machine) -> None:
    assert load_phase(machine, "prctl", 15) == ALLOW
    for option in (1, 4, 22, 38, 41, 47, 0x53564D41):
        assert load_phase(machine, "prctl", option) == REFUSE


@MACHINE
def test_only_the_serve_filter_can_be_added_and_only_while_loading(machine: Machine) -> None:
    assert load_phase(machine, "seccomp", 1, 0, SERVE_PROGRAM) == ALLOW
    assert load_phase(machine, "seccomp", 1, 0, SERVE_PROGRAM + 8) == REFUSE
    assert load_phase(machine, "seccomp", 1, 0, SERVE_PROGRAM ^ 1 << 40) == REFUSE
    assert load_phase(machine, "seccomp", 1, 8, SERVE_PROGRAM) == REFUSE  # NEW_LISTENER
    assert load_phase(machine, "seccomp", 0, 0, SERVE_PROGRAM) == REFUSE
    assert serve_phase(machine, "seccomp", 1, 0, SERVE_PROGRAM) == REFUSE


def test_the_filters_are_short_enough_to_install_quickly() -> None:
    for machine in (X86_64, AARCH64):
        assert len(filters.load_phase(SERVE_PROGRAM).compiled(machine).code) // 8 < 500
        assert len(filters.serve_phase().compiled(machine).code) // 8 < 40
