"""Files of the host, of other plugins, of Kubernetes; and writing anything at all."""

from __future__ import annotations

from tests.hostile.record import FATAL, LANDLOCK, LIMITS, NOTHING, PROCESS, SECCOMP, Attack
from tests.hostile.scenes import loading, sharing

GROUP = "files"
GONE = ("PermissionError", "FileNotFoundError")

ATTACKS = (
    Attack("read a file of the system", GROUP, LANDLOCK, "got = open('/etc/passwd').read()"),
    Attack(
        "read a neighbour's secret",
        GROUP,
        LANDLOCK,
        "got = open(target['secret']).read()",
        quick=True,
    ),
    Attack("read a neighbour's code", GROUP, LANDLOCK, "got = open(target['victim_file']).read()"),
    Attack("list a neighbour's files", GROUP, LANDLOCK, "got = os.listdir(target['victim_root'])"),
    Attack("read the host's configuration", GROUP, LANDLOCK, "got = open(target['config']).read()"),
    Attack(
        "read the token of the service account",
        GROUP,
        LANDLOCK,
        "got = open('/var/run/secrets/kubernetes.io/serviceaccount/token').read()",
        GONE,
        control=None,
    ),
    Attack(
        "climb out of its own directory",
        GROUP,
        LANDLOCK,
        "got = open(target['root'] + '/../../../../../../../../etc/passwd').read()",
    ),
    Attack("list the root", GROUP, LANDLOCK, "got = os.listdir('/')"),
    Attack(
        "read what the kernel says of it",
        GROUP,
        LANDLOCK,
        "got = open('/proc/self/status').read()",
    ),
    Attack(
        "find itself through a thread's files",
        GROUP,
        LANDLOCK,
        "got = open('/proc/thread-self/maps').read()",
    ),
    Attack("list processes", GROUP, LANDLOCK, "got = os.listdir('/proc')"),
    Attack("list what the kernel offers", GROUP, LANDLOCK, "got = os.listdir('/sys/kernel')"),
    Attack(
        "read the limits of its cgroup",
        GROUP,
        LANDLOCK,
        "got = os.listdir('/sys/fs/cgroup')",
    ),
    Attack(
        "re-open its socket to the host",
        GROUP,
        LANDLOCK,
        "got = os.open('/proc/self/fd/3', os.O_RDONLY)",
        ("PermissionError", "OSError"),
        control="a = os.open('/etc/passwd', 0); got = os.open(f'/proc/self/fd/{a}', 0)",
    ),
    Attack(
        "re-open a descriptor for writing",
        GROUP,
        SECCOMP,
        "got = os.open('/proc/self/fd/0', os.O_RDWR)",
        control="a = os.open(target['victim_file'], 0); got = os.open(f'/proc/self/fd/{a}', 2)",
    ),
    Attack(
        "use a descriptor that it inherited",
        GROUP,
        PROCESS,
        """
got = []
for number in range(4, 64):
    try:
        got.append((number, os.fstat(number).st_mode))
    except OSError:
        pass
""",
        (NOTHING,),
        control="os.open('/etc/passwd', 0)\ngot = [n for n in range(3, 9) if os.path.exists("
        "f'/proc/self/fd/{n}')]",
    ),
    Attack(
        "leave a mark on a descriptor that workers share",
        GROUP,
        PROCESS,
        drive=sharing.mark_on_shared_descriptor,
        control="""
import fcntl
if os.fork() == 0:
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_APPEND)
    os._exit(0)
os.wait()
got = fcntl.fcntl(0, fcntl.F_GETFL) & os.O_APPEND
""",
    ),
    Attack(
        "write a temporary file",
        GROUP,
        SECCOMP,
        "open('/tmp/pluginsandbox-attack', 'w').write('x'); got = 'written'",
        quick=True,
    ),
    Attack(
        "write shared memory",
        GROUP,
        SECCOMP,
        "open('/dev/shm/pluginsandbox-attack', 'w').write('x'); got = 'written'",
    ),
    Attack(
        "write its own code",
        GROUP,
        SECCOMP,
        "open(target['root'] + '/hostile.py', 'a').write('#'); got = 'written'",
    ),
    Attack(
        "write byte code beside a library",
        GROUP,
        SECCOMP,
        "import json; os.open(os.path.dirname(json.__file__) + '/x.pyc', os.O_RDWR | os.O_CREAT)",
        control="got = os.open(target['root'] + '/x.pyc', os.O_RDWR | os.O_CREAT)",
    ),
    Attack(
        "empty a file while it opens it",
        GROUP,
        SECCOMP,
        "got = os.open(target['root'] + '/hostile.py', os.O_RDONLY | os.O_TRUNC)",
    ),
    Attack(
        "open a device for writing",
        GROUP,
        SECCOMP,
        "got = os.open('/dev/null', os.O_WRONLY)",
    ),
    Attack(
        "open without touching",
        GROUP,
        SECCOMP,
        "got = os.open('/etc/shadow', os.O_PATH)",
    ),
    Attack(
        "make a nameless file",
        GROUP,
        SECCOMP,
        "got = os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
        ("PermissionError",),
    ),
    Attack("make a file in memory", GROUP, SECCOMP, "got = os.memfd_create('x')"),
    Attack("make a directory", GROUP, SECCOMP, "os.mkdir('/tmp/attack-made'); got = 'made'"),
    Attack(
        "make a device",
        GROUP,
        SECCOMP,
        "os.mknod('/tmp/attack-device', 0o020666, os.makedev(1, 3)); got = 'made'",
    ),
    Attack(
        "make a pipe with a name",
        GROUP,
        SECCOMP,
        "os.mkfifo('/tmp/attack-fifo'); got = 'made'",
    ),
    Attack(
        "remove its own code",
        GROUP,
        SECCOMP,
        "os.unlink(target['root'] + '/hostile.py'); got = 'removed'",
    ),
    Attack(
        "rename its own directory",
        GROUP,
        SECCOMP,
        "os.rename(target['root'], target['root'] + '-away'); got = 'renamed'",
    ),
    Attack(
        "link a file of the system into its directory",
        GROUP,
        SECCOMP,
        "os.link(target['secret'], target['root'] + '/own'); got = 'linked'",
    ),
    Attack(
        "link symbolically to a neighbour's secret",
        GROUP,
        SECCOMP,
        "own = target['root'] + '/own'; os.symlink(target['secret'], own); got = open(own).read()",
    ),
    Attack("change a mode", GROUP, SECCOMP, "os.chmod(target['root'], 0o777); got = 'changed'"),
    Attack("change an owner", GROUP, SECCOMP, "os.chown(target['root'], 0, 0); got = 'changed'"),
    Attack("change times", GROUP, SECCOMP, "os.utime(target['root']); got = 'changed'"),
    Attack(
        "set an attribute",
        GROUP,
        SECCOMP,
        "os.setxattr(target['root'], 'user.a', b''); got = 'set'",
        control=None,
    ),
    Attack(
        "truncate a file", GROUP, SECCOMP, "os.truncate(target['root'] + '/hostile.py', 0); got=1"
    ),
    Attack("change its directory", GROUP, SECCOMP, "os.chdir('/'); got = os.getcwd()"),
    Attack("change its root", GROUP, SECCOMP, "os.chroot('/'); got = 'changed'", FATAL),
    Attack(
        "open a file by its handle",
        GROUP,
        SECCOMP,
        "got = reached(304, 265, -1, 0, 0)",
        FATAL,
    ),
    Attack(
        "ask for the handle of a file",
        GROUP,
        SECCOMP,
        "got = reached(303, 264, -100, 0, 0, 0, 0)",
    ),
    Attack(
        "copy between files past its own memory",
        GROUP,
        SECCOMP,
        "got = os.sendfile(3, 0, 0, 1)",
        control="""
source = os.open('/etc/passwd', os.O_RDONLY)
got = os.sendfile(os.open('/tmp/attack-copy', os.O_RDWR | os.O_CREAT), source, 0, 4)
""",
    ),
    Attack(
        "grow a file that it may write",
        GROUP,
        LIMITS,
        "import resource; got = resource.getrlimit(resource.RLIMIT_FSIZE)[1]",
        (NOTHING,),
    ),
    Attack(
        "make the path to its files a link to a neighbour's",
        GROUP,
        "the check before loading",
        drive=loading.root_that_is_a_link,
        pods=False,
        control="os.symlink(target['victim_root'], '/tmp/attack-root'); "
        "got = os.listdir('/tmp/attack-root')",
    ),
    Attack(
        "ship a link to a neighbour's secret",
        GROUP,
        "the check before loading",
        drive=loading.link_among_its_files,
        pods=False,
        control="os.symlink(target['secret'], '/tmp/attack-link'); got = open('/tmp/attack-link')",
    ),
)
