"""Which system calls a Python worker may make, by phase.

Load phase: from the fork to the end of the plugin's import. Extension modules may be mapped, from
files only and never writable at once. Serve phase: nothing executable comes any more. Filters
stack, so the second one states only what it takes away.

A call that plugins and libraries try in good faith is refused with EPERM and raises
PermissionError; one that only an attack makes ends the worker.
"""

from __future__ import annotations

from pluginsandbox.host.seccomp import (
    ALLOW,
    Alternatives,
    Exactly,
    Filter,
    OneOf,
    clear,
    not_all,
)

OWN_PROCESS = "own_process"
"""Hole in the load filter: the worker's process id."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What every CPython program does, with arguments that cannot name another process or a path that
# Landlock would not check.
_ALLOWED = _names(
    """
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2
    close close_range lseek dup dup2 dup3 fstat newfstatat stat lstat statx getdents64
    readlink readlinkat access faccessat faccessat2 getcwd
    munmap mremap brk
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait
    sigaltstack pause restart_syscall
    getrandom nanosleep gettimeofday time times
    getitimer setitimer alarm
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
    epoll_pwait2 eventfd2 recvmsg recvfrom
    exit exit_group rseq set_robust_list set_tid_address
    getpid gettid getppid getuid geteuid getgid getegid getgroups getresuid getresgid
    getpgrp uname sysinfo getrusage getrlimit sched_yield getcpu
    """
)

# No library tries these to see what is there.
_KILLED = _names(
    """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd
    init_module finit_module delete_module kexec_load kexec_file_load reboot
    bpf perf_event_open userfaultfd keyctl add_key request_key
    mount umount2 pivot_root chroot mount_setattr move_mount open_tree fsopen fsconfig fsmount
    fspick unshare setns swapon swapoff acct quotactl quotactl_fd iopl ioperm modify_ldt
    open_by_handle_at fanotify_init fanotify_mark settimeofday clock_settime adjtimex
    clock_adjtime syslog vhangup lookup_dcookie nfsservctl
    """
)

# What an author or a library tries in good faith, or an attacker to see what is there: refused, and
# counted by the host, which the kernel asks about each. Only calls that the zygote itself never
# makes, as it is under that filter too; fork, sendmsg and setrlimit are refused without a count.
PROBING = _names(
    """
    socket connect bind listen accept accept4 getsockopt setsockopt getpeername shutdown
    kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal execve execveat fork vfork
    mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat
    mknod mknodat chmod fchmod fchmodat chown fchown lchown fchownat truncate ftruncate creat
    utime utimes utimensat setxattr chdir fchdir flock sendfile copy_file_range splice vmsplice tee
    memfd_create memfd_secret inotify_init inotify_init1 io_uring_setup io_uring_enter
    io_uring_register personality setpgid setpriority ioprio_set sched_setaffinity sched_setparam
    sched_setattr shmget shmat msgget semget mq_open mlock mlockall mlock2 remap_file_pages
    timer_create timerfd_create signalfd signalfd4 setuid setgid setreuid setregid setresuid
    setresgid setgroups sethostname name_to_handle_at move_pages migrate_pages mbind set_mempolicy
    """
)

# The C library asks for these first and falls back to openat and clone.
_UNKNOWN = frozenset(("openat2", "clone3"))
# First call younger than Linux 6.5 (cachestat): answered as an older kernel would.
_NEWER = 451

# asm-generic values, the same on both machines.
_O_NOT_READ_ONLY = 0x3 | 0x40 | 0x200 | 0x200000 | 0x400000  # ACCMODE CREAT TRUNC PATH TMPFILE
_PROT_WRITE, _PROT_EXEC = 0x2, 0x4
_MAP_SHARED, _MAP_ANONYMOUS = 0x1, 0x20
# A stack, a locked or a huge page is not counted by RLIMIT_DATA.
_MAP_UNCOUNTED = 0x100 | 0x2000 | 0x40000  # GROWSDOWN LOCKED HUGETLB
_PR_SET_NAME = 15
_AF_UNIX = 1
_SOCK_TYPE_MASK, _SOCK_STREAM, _SOCK_SEQPACKET = 0xF, 1, 5
_MSG_OOB = 0x1
# FUTEX WAIT WAKE REQUEUE CMP_REQUEUE WAIT_BITSET WAKE_BITSET; no priority inheritance.
_FUTEX_OPERATIONS = (0, 1, 3, 4, 9, 10)
_FUTEX_FLAGS = 128 | 256  # PRIVATE, CLOCK_REALTIME
# F_DUPFD GETFD SETFD GETFL SETFL DUPFD_CLOEXEC GET_SEALS: nothing that names a signal's receiver.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030, 1034)
_IOCTL_COMMANDS = (
    0x541B,
    0x5421,
    0x5451,
    0x5450,
    0x5401,
)  # FIONREAD FIONBIO FIOCLEX FIONCLEX TCGETS

# NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED FREE HUGEPAGE NOHUGEPAGE DONTDUMP DODUMP: what
# allocators give as advice. Not MERGEABLE, by which pages tell what a neighbour's hold.
_ADVICE = (0, 1, 2, 3, 4, 8, 14, 15, 16, 17)
# CLOCK_REALTIME to CLOCK_TAI; a negative number is another process's CPU time.
_CLOCKS = clear(0, 0xFFFFFFF0)
_OWN = OneOf(0, (0, OWN_PROCESS))

_COUNTED_MAP = (
    clear(3, _MAP_UNCOUNTED),
    # Shared anonymous memory is nobody's data to RLIMIT_DATA.
    not_all(3, _MAP_SHARED | _MAP_ANONYMOUS),
)
_PLAIN_MAP = (clear(2, _PROT_EXEC), *_COUNTED_MAP)
_CODE_FROM_FILE = (clear(2, _PROT_WRITE), clear(3, _MAP_UNCOUNTED | _MAP_ANONYMOUS))

_CHECKED: dict[str, Alternatives] = {
    "clock_gettime": ((_CLOCKS,),),
    "clock_getres": ((_CLOCKS,),),
    "clock_nanosleep": ((_CLOCKS,),),
    "madvise": ((OneOf(2, _ADVICE),),),
    "getpgid": ((_OWN,),),
    "getsid": ((_OWN,),),
    "sched_getaffinity": ((_OWN,),),
    "sendto": ((Exactly(4, 0), clear(3, _MSG_OOB)),),
    "openat": ((clear(2, _O_NOT_READ_ONLY),),),
    "futex": ((OneOf(1, _FUTEX_OPERATIONS, mask=0xFFFFFFFF & ~_FUTEX_FLAGS),),),
    "fcntl": ((OneOf(1, _FCNTL_COMMANDS),),),
    "ioctl": ((OneOf(1, _IOCTL_COMMANDS),),),
    "mmap": (_PLAIN_MAP, _CODE_FROM_FILE),
    "mprotect": ((clear(2, _PROT_EXEC),),),
    "pkey_mprotect": ((clear(2, _PROT_EXEC),),),
    "prctl": ((OneOf(0, (_PR_SET_NAME,)),),),
    "prlimit64": ((OneOf(0, (0,)), Exactly(2, 0)),),
    "socketpair": (
        (OneOf(0, (_AF_UNIX,)), OneOf(1, (_SOCK_STREAM, _SOCK_SEQPACKET), mask=_SOCK_TYPE_MASK)),
    ),
    # abort() and raise() of the C library.
    "tgkill": ((OneOf(0, (OWN_PROCESS,)),),),
}


def probing() -> Filter:
    """Return the filter of the zygote: the host is asked about what only plugins would try."""
    return Filter(asked=PROBING, otherwise=ALLOW)


def load_phase(serve_program: int, *, asked: bool = False) -> Filter:
    """Return the filter under which a plugin is imported.

    Args:
        serve_program: Address of the only filter that may be added: the serve phase's.
        asked: Whether the worker is under `probing` too, which this one must not forestall: of two
            filters' answers the kernel takes the refusal, not the question.

    """
    add_serve_filter = (OneOf(0, (1,)), OneOf(1, (0,)), Exactly(2, serve_program))
    return Filter(
        allowed=_ALLOWED | PROBING if asked else _ALLOWED,
        checked={**_CHECKED, "seccomp": (add_serve_filter,)},
        killed=_KILLED,
        unknown=_UNKNOWN,
        newer=_NEWER,
    )


def serve_phase() -> Filter:
    """Return what is taken away once the plugin is imported."""
    return Filter(
        checked={
            "mmap": ((clear(2, _PROT_EXEC),),),
            "mprotect": ((clear(2, _PROT_EXEC),),),
            "pkey_mprotect": ((clear(2, _PROT_EXEC),),),
            # No alternative: refused.
            "seccomp": (),
        },
        otherwise=ALLOW,
    )
