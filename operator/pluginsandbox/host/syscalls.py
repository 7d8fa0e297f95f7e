"""Numbers of the system calls that the wall names, for each machine it is built for.

The kernel never renumbers a call, so this is data, checked against the kernel's own headers by a
test. A call that a machine does not have is `-`.
"""

from __future__ import annotations

import functools
import os
from typing import NamedTuple


class Machine(NamedTuple):
    """One instruction set as seccomp sees it."""

    name: str
    """As `uname -m` says it."""
    audit_arch: int
    """AUDIT_ARCH_*, linux/audit.h: ELF machine | 64 bit | little endian."""
    first_foreign: int | None
    """Numbers from here on belong to a second table of the same instruction set (x32)."""


X86_64 = Machine("x86_64", 0xC000003E, 0x40000000)
AARCH64 = Machine("aarch64", 0xC00000B7, None)
MACHINES = (X86_64, AARCH64)

# name x86_64 aarch64
_TABLE = """
read 0 63
write 1 64
close 3 57
lseek 8 62
fstat 5 80
newfstatat 262 79
stat 4 -
lstat 6 -
getdents64 217 61
readlink 89 -
readlinkat 267 78
access 21 -
faccessat 269 48
faccessat2 439 439
statx 332 291
getcwd 79 17
mmap 9 222
munmap 11 215
mprotect 10 226
mremap 25 216
madvise 28 233
brk 12 214
pkey_mprotect 329 288
futex 202 98
rt_sigaction 13 134
rt_sigprocmask 14 135
rt_sigreturn 15 139
rt_sigpending 127 136
rt_sigsuspend 130 133
rt_sigtimedwait 128 137
sigaltstack 131 132
pause 34 -
restart_syscall 219 128
getrandom 318 278
clock_gettime 228 113
clock_getres 229 114
clock_nanosleep 230 115
nanosleep 35 101
gettimeofday 96 169
time 201 -
times 100 153
getitimer 36 102
setitimer 38 103
alarm 37 -
poll 7 -
ppoll 271 73
select 23 -
pselect6 270 72
epoll_create 213 -
epoll_create1 291 20
epoll_ctl 233 21
epoll_wait 232 -
epoll_pwait 281 22
epoll_pwait2 441 441
eventfd2 290 19
fcntl 72 25
dup 32 23
dup2 33 -
dup3 292 24
close_range 436 436
recvmsg 47 212
recvfrom 45 207
sendto 44 206
sendmsg 46 211
readv 19 65
writev 20 66
pread64 17 67
pwrite64 18 68
preadv 295 69
pwritev 296 70
preadv2 327 286
pwritev2 328 287
exit 60 93
exit_group 231 94
rseq 334 293
set_robust_list 273 99
set_tid_address 218 96
membarrier 324 283
openat 257 56
openat2 437 437
open 2 -
clone 56 220
clone3 435 435
fork 57 -
vfork 58 -
prlimit64 302 261
getrlimit 97 163
setrlimit 160 164
prctl 157 167
ioctl 16 29
socketpair 53 199
getpid 39 172
gettid 186 178
getppid 110 173
getuid 102 174
geteuid 107 175
getgid 104 176
getegid 108 177
getgroups 115 158
getresuid 118 148
getresgid 120 150
getpgrp 111 -
getpgid 121 155
getsid 124 156
uname 63 160
sysinfo 99 179
getrusage 98 165
sched_yield 24 124
sched_getaffinity 204 123
getcpu 309 168
tgkill 234 131
ptrace 101 117
process_vm_readv 310 270
process_vm_writev 311 271
process_madvise 440 440
process_mrelease 448 448
kcmp 312 272
pidfd_getfd 438 438
pidfd_open 434 434
pidfd_send_signal 424 424
init_module 175 105
finit_module 313 273
delete_module 176 106
kexec_load 246 104
kexec_file_load 320 294
reboot 169 142
bpf 321 280
perf_event_open 298 241
userfaultfd 323 282
keyctl 250 219
add_key 248 217
request_key 249 218
mount 165 40
umount2 166 39
pivot_root 155 41
chroot 161 51
mount_setattr 442 442
move_mount 429 429
open_tree 428 428
fsopen 430 430
fsconfig 431 431
fsmount 432 432
fspick 433 433
unshare 272 97
setns 308 268
swapon 167 224
swapoff 168 225
acct 163 89
quotactl 179 60
quotactl_fd 443 443
iopl 172 -
ioperm 173 -
modify_ldt 154 -
open_by_handle_at 304 265
fanotify_init 300 262
fanotify_mark 301 263
settimeofday 164 170
clock_settime 227 112
adjtimex 159 171
clock_adjtime 305 266
syslog 103 116
vhangup 153 58
lookup_dcookie 212 18
nfsservctl 180 42
io_uring_setup 425 425
io_uring_enter 426 426
io_uring_register 427 427
landlock_create_ruleset 444 444
landlock_add_rule 445 445
landlock_restrict_self 446 446
seccomp 317 277
memfd_create 319 279
memfd_secret 447 447
execve 59 221
execveat 322 281
kill 62 129
tkill 200 130
rt_sigqueueinfo 129 138
rt_tgsigqueueinfo 297 240
sched_setaffinity 203 122
sched_setscheduler 144 119
sched_setparam 142 118
sched_setattr 314 274
setpriority 141 140
ioprio_set 251 30
shmget 29 194
shmat 30 196
msgget 68 186
semget 64 190
mq_open 240 180
socket 41 198
connect 42 203
bind 49 200
listen 50 201
accept 43 202
personality 135 92
setsid 112 157
setpgid 109 154
chmod 90 -
fchmodat 268 53
chown 92 -
fchownat 260 54
mkdirat 258 34
unlinkat 263 35
renameat2 316 276
symlinkat 266 36
linkat 265 37
truncate 76 45
ftruncate 77 46
setxattr 188 5
utimensat 280 88
inotify_init1 294 26
timer_create 222 107
timerfd_create 283 85
signalfd4 289 74
pipe2 293 59
mlock 149 228
mlockall 151 230
mlock2 325 284
remap_file_pages 216 234
splice 275 76
vmsplice 278 75
tee 276 77
sendfile 40 71
copy_file_range 326 285
setuid 105 146
setgid 106 144
setresuid 117 147
setgroups 116 159
capset 126 91
sethostname 170 161
mknodat 259 33
name_to_handle_at 303 264
move_pages 279 239
migrate_pages 256 238
mbind 237 235
set_mempolicy 238 237
mseal 462 462
mkdir 83 -
rmdir 84 -
creat 85 -
unlink 87 -
rename 82 -
renameat 264 38
link 86 -
symlink 88 -
mknod 133 -
fchmod 91 52
fchown 93 55
lchown 94 -
utime 132 -
utimes 235 -
chdir 80 49
fchdir 81 50
flock 73 32
inotify_init 253 -
signalfd 282 -
accept4 288 242
getsockopt 55 209
setsockopt 54 208
getpeername 52 205
shutdown 48 210
setreuid 113 145
setregid 114 143
setresgid 119 149
"""


@functools.cache
def numbers(machine: Machine) -> dict[str, int]:
    """Return name to number of every call in the table that `machine` has."""
    column = 1 + MACHINES.index(machine)
    rows = (line.split() for line in _TABLE.split("\n") if line)
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


@functools.cache
def names() -> frozenset[str]:
    """Return every name in the table, whichever machine has it."""
    return frozenset(line.split()[0] for line in _TABLE.split("\n") if line)


def here() -> Machine:
    """Return the machine this process runs on.

    Raises:
        OSError: There is no table for it, so there is no wall.

    """
    name = os.uname().machine
    for machine in MACHINES:
        if machine.name == name:
            return machine
    known = " or ".join(machine.name for machine in MACHINES)
    raise OSError(f"no system call table for {name}: plugins run confined on {known} only")
