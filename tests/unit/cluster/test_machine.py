"""What is read off the machine before anything of it is touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import build, process
from tests.cluster.cgroups import hierarchies
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.network import conflicts, guard_rules
from tests.cluster.process import Component
from tests.cluster.sweep import mounts
from tests.cluster.versions import ALL, ARGOCD, ETCD, KWOK, METRICS_SERVER, PROBE, Module

MOUNTINFO = """\
20 1 254:0 / / rw - ext4 /dev/vda rw
30 20 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 20 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
32 20 0:31 / /srv/jail/sys/fs/cgroup rw - cgroup2 cgroup2 rw
40 20 0:40 / /run/cluster/shm\\040one rw - tmpfs tmpfs rw
41 20 0:41 / /run/cluster-of-another rw - tmpfs tmpfs rw
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "state").mkdir()
    return Layout(state=tmp_path / "state", run=tmp_path / "run")


def test_control_groups_are_looked_for_in_their_place_only() -> None:
    assert hierarchies(MOUNTINFO) == [
        (Path("/sys/fs/cgroup/memory"), False),
        (Path("/sys/fs/cgroup/unified"), True),
    ]


def test_only_mounts_below_our_folders_are_ours() -> None:
    layout = Layout(state=Path("/var/lib/cluster"), run=Path("/run/cluster"))

    assert mounts(MOUNTINFO, layout) == ["/run/cluster/shm one"]


def test_routes_in_our_ranges_are_conflicts() -> None:
    routes: list[dict[str, Any]] = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": "10.96.3.0/24", "dev": "tun0"},
        {"dst": "10.0.0.0/8", "dev": "tun1"},
        {"dst": "10.244.7.7", "dev": "tun2"},
        {"type": "blackhole", "dst": "10.96.0.0/16", "metric": 32000},
    ]

    assert conflicts(routes) == ["10.96.3.0/24", "10.0.0.0/8", "10.244.7.7"]


def test_the_guard_lets_nothing_pass_between_pods_and_other_links() -> None:
    rules = guard_rules()

    assert 'iifname "psb-pods" oifname "psb-pods" accept' in rules
    assert 'iifname { "psb-pods", "psb-sink" } drop' in rules
    assert 'oifname { "psb-pods", "psb-sink" } drop' in rules


@pytest.mark.parametrize(
    "module", [*ALL, KWOK, PROBE, ARGOCD, METRICS_SERVER], ids=lambda module: module.name
)
def test_the_modules_require_the_versions_that_we_name(module: Module) -> None:
    build.check_version(module, module.source)


def test_a_changed_module_is_another_build(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x\n")
    before = build.fingerprint(ETCD, tmp_path)

    (tmp_path / "go.mod").write_text("module y\n")

    assert build.fingerprint(ETCD, tmp_path) != before


def test_an_unknown_program_names_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"no program 'nope'; there are: .*kubectl"):
        build.program("nope")


def _sleeper(name: str, seconds: int = 60) -> Component:
    return Component(name, [sys.executable, "-c", f"import time; time.sleep({seconds})"])


def test_a_process_is_started_once_and_replaced_when_it_should_differ(layout: Layout) -> None:
    try:
        assert process.start(layout, _sleeper("one"))
        first = process.running(layout, "one")
        assert not process.start(layout, _sleeper("one"))
        assert process.running(layout, "one") == first

        assert process.start(layout, _sleeper("one", 61))
        second = process.running(layout, "one")
        assert second not in (None, first)
        assert set(process.marked(layout)) == {second}
    finally:
        process.stop(layout, ["one"])
    assert process.running(layout, "one") is None
    assert set(process.marked(layout)) == set()


def test_a_reused_process_id_is_not_ours(layout: Layout) -> None:
    process.start(layout, _sleeper("one"))
    record = layout.processes / "one.json"
    true = record.read_text()
    pid = process.running(layout, "one")
    try:
        record.write_text(true.replace(str(pid), str(os.getpid())))
        assert process.running(layout, "one") is None
    finally:
        record.write_text(true)
        process.stop(layout, ["one"])


def test_a_process_that_dies_early_leaves_its_words(layout: Layout) -> None:
    words = Component("one", [sys.executable, "-c", "raise SystemExit('no such door')"])
    process.start(layout, words)

    with pytest.raises(ClusterError, match=r"the door: one died.*\n.*no such door"):
        process.wait_for("the door", lambda: False, layout, "one", 20)
