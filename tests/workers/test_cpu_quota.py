"""How many cores this process may use, read from made-up trees of control groups."""

import math
import os

import pytest

from raysearch.workers import machine
from raysearch.workers.cpu_quota import cpu_quota, usable_cores

V2 = "0::/kubepods/pod1/box\n"
V1 = "9:name=systemd:/\n4:cpu,cpuacct:/docker/abc\n1:cpuset:/docker/abc\n"


def tree(root, groups, **files):
    """Write proc/self/cgroup and the files of control groups, by their paths."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        (V2, {"kubepods/pod1/box/cpu.max": "250000 100000"}, 2.5),
        (V2, {"kubepods/pod1/box/cpu.max": "max 100000"}, math.inf),
        # A group above limits those below it.
        (V2, {"kubepods/pod1/box/cpu.max": "max 100000",
              "kubepods/pod1/cpu.max": "100000 100000",
              "kubepods/cpu.max": "800000 100000"}, 1.0),
        # In a container with a namespace of its own the group is the root of what it sees.
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/../outside\n", {"cpu.max": "300000 100000"}, 3.0),
        (V1, {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "50000",
              "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000"}, 0.5),
        (V1, {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4.0),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        (V2, {"kubepods/pod1/box/cpu.max": "rubbish"}, math.inf),
        ("", {}, math.inf),
    ],
)  # fmt: skip
def test_the_quota_of_the_process_is_the_smallest_of_its_groups(tmp_path, groups, files, quota):
    assert cpu_quota(tree(tmp_path, groups, **files)) == quota


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert cpu_quota(tmp_path) == math.inf


@pytest.mark.parametrize(
    ("affinity", "limit", "cores"),
    [(64, "200000 100000", 2), (64, "250000 100000", 2), (64, "10000 100000", 1),
     (2, "800000 100000", 2), (3, "max 100000", 3), (64, "30000 10000", 3)],
)  # fmt: skip
def test_affinity_and_quota_both_limit_the_cores(tmp_path, monkeypatch, affinity, limit, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(affinity)))
    assert usable_cores(tree(tmp_path, "0::/\n", **{"cpu.max": limit})) == cores


def test_a_cluster_of_this_machine_has_the_cores_that_the_quota_leaves(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 3)
    assert machine.local_resources()["CPU"] == 3.0
