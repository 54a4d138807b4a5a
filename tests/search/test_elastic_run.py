"""A run on a cluster whose nodes come and go: it waits for the first and outlives one."""

import threading
from collections.abc import Iterator

import pytest

import raysearch
from raysearch.search import lane_demand, ray_cluster, session

import ray  # isort: skip  # after ray_cluster, which sets Ray's variables
from ray.cluster_utils import Cluster  # isort: skip

pytestmark = pytest.mark.ray


class Watcher(session.NullProgress):
    """Keeps the lines of a run, and lets a test act when trials end."""

    def __init__(self, act):
        self.lines, self.act, self.ended = [], act, 0

    def __call__(self, queue, lanes):
        self.queue = queue
        return self

    def note(self, line):
        self.lines.append(line)
        self.act(self)

    def change(self, record):
        self.ended += record.is_over
        self.act(self)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without cores and without a lane."""
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


def test_lanes_come_and_go_with_nodes_and_all_planned_trials_end(cluster, tmp_path, monkeypatch):
    nodes = []

    def act(watcher):
        if threading.current_thread() is not threading.main_thread():
            return  # the preparation's; Ray starts nodes in the main thread only
        if not nodes and any("waiting for nodes" in line for line in watcher.lines):
            nodes.extend(cluster.add_node(num_cpus=1) for _ in range(2))
        if len(nodes) == 2 and watcher.ended == 1:
            cluster.remove_node(nodes.pop())

    study = raysearch.parse(
        {
            "tasks": ["toy/grammar"],
            "model": "scratch:2x64",
            "space": {"LR": {"log": [5e-4, 2e-3]}},
            "fixed": {"BSZ": 32, "EPOCH": 3, "max_length": 32, "evaluations": 2},
            "search": {"trials": 5, "sampler": "random"},
            "confirm": {"seeds": []},
        },
        name="toy",
    )
    asked, request = [], ray_cluster.RayCluster.request

    def note_request(self, bundles):
        asked.append(len(bundles))
        return request(self, bundles)

    monkeypatch.setattr(ray_cluster.RayCluster, "request", note_request)
    for module in (lane_demand, session):
        monkeypatch.setattr(module, "RECOUNT", 1.0)  # the trials are short
    watcher = Watcher(act)
    run = raysearch.search.run(
        study, storage=tmp_path, address=cluster.address, lanes=8, wait_for_nodes=60, watch=watcher
    )
    assert len(run.records.trials) == 5
    assert {record.status for record in run.records.trials.values()} <= {"finished", "degenerate"}
    assert [line for line in watcher.lines if not line.startswith("toy/grammar")] == [
        "waiting for nodes, 0 of 60 s: a lane needs 1 CPU, the cluster has 0 CPU on 1 node",
        "starting 2 lanes; the first trials begin when they are up",
        "the cluster holds 1 lane now, 2 lanes before",
    ]
    assert (asked[0], asked[-1]) == (5, 0)
    assert asked == sorted(asked, reverse=True)
    assert not ray.is_initialized()
