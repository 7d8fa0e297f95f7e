"""Finds and removes what a cluster leaves behind: processes, mounts and files outside its folders.

Used by `down`, so it must work whatever state the cluster is in, and must only touch what is ours:
processes by the mark in their environment or by our control group, mounts by our two folders.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from tests.cluster import cgroups
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.node import CNI_NETWORK
from tests.cluster.process import end, marked
from tests.cluster.system import run, succeeds

# Paths that the kubelet, containerd and its CNI library have built in.
_FOREIGN_FOLDERS = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/run/containerd")
_UNMOUNT_ROUNDS = 5


def remember_folders(layout: Layout) -> None:
    """Note which of the folders outside ours are not there yet, and so will be of our making."""
    note = layout.state / "made.json"
    if not note.exists():
        note.write_text(json.dumps([f for f in _FOREIGN_FOLDERS if not Path(f).exists()]))


def kill_everything(layout: Layout) -> None:
    """Kill components, shims and the pods' processes, until none is left."""
    while pids := set(marked(layout)) | cgroups.processes():
        end(pids, patience=0)


def unmount_everything(layout: Layout) -> None:
    """Unmount all below our folders, innermost first.

    Raises:
        ClusterError: something stays mounted.
    """
    for attempt in range(_UNMOUNT_ROUNDS):
        points = mounts(Path("/proc/self/mountinfo").read_text(), layout)
        if not points:
            return
        lazily = ("--lazy",) if attempt else ()
        for point in reversed(points):
            succeeds("umount", *lazily, point)
    raise ClusterError(f"cannot unmount {', '.join(points)}")


def mounts(mountinfo: str, layout: Layout) -> list[str]:
    """The mount points below our folders, in the order of mounting.

    Args:
        mountinfo: the text of /proc/self/mountinfo.
        layout: the cluster.
    """
    points = (line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines())
    return [p for p in points if any(Path(p).is_relative_to(f) for f in (layout.state, layout.run))]


def remove_groups() -> None:
    """Remove the control groups; the kernel may need a moment after the last process."""
    deadline = time.monotonic() + 10
    while True:
        try:
            cgroups.remove()
        except OSError as error:
            if time.monotonic() > deadline:
                raise ClusterError(f"cannot remove control group {error.filename}") from error
            time.sleep(0.05)
        else:
            return


def remove_files(layout: Layout) -> None:
    """Remove our folders and our traces in those that are not ours.

    Raises:
        ClusterError: something is still mounted below them; removing files then could reach
            what does not belong to the cluster.
    """
    if left := mounts(Path("/proc/self/mountinfo").read_text(), layout):
        raise ClusterError(f"still mounted: {', '.join(left)}")
    note = layout.state / "made.json"
    for folder in json.loads(note.read_text()) if note.exists() else ():
        run("rm", "-rf", "--one-file-system", folder)
    for result in Path("/var/lib/cni/results").glob(f"{CNI_NETWORK}-*"):
        result.unlink()
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.pods_logs):
            link.unlink()
    for folder in (layout.run, layout.state):
        if folder.exists():
            shutil.rmtree(folder)
