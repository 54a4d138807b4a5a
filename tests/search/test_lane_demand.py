"""How many lanes there may be, and what an autoscaler is asked for: a toy cluster and clock."""

import pytest

from raysearch.errors import InputError
from raysearch.preflight import Lanes
from raysearch.preflight.resources import total
from raysearch.search.lane_demand import LaneDemand

HEAD = {"CPU": 0.0, "memory": 8e9}
CPU_NODE = {"CPU": 2.0, "memory": 8e9}
GPU_NODE = {"CPU": 8.0, "GPU": 2.0}


class ToyCluster:
    """A cluster whose nodes join and leave at given seconds of a clock that `sleep` moves.

    Args:
        nodes: (resources, second of joining, second of leaving) of each node.
        types: the most that an autoscaler may add.
        failure: what the autoscaler answers a request with.
        held: the resources that other programs hold.
    """

    def __init__(self, *nodes, types=(), failure="", held=()):
        self._nodes, self.types, self.failure = nodes, dict(types), failure
        self.held = dict(held)
        self.now, self.requests, self.lines = 0.0, [], []

    def nodes(self):
        return [node for node, joins, leaves in self._nodes if joins <= self.now < leaves]

    def node_types(self):
        return self.types

    def free(self):
        there = total(self.nodes())
        return {name: there[name] - self.held.get(name, 0) for name in there}

    def request(self, bundles):
        self.requests.append(bundles)
        return self.failure

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds

    def demand(self, lanes, wait=60.0):
        return LaneDemand(lanes, self, wait, self.lines.append, lambda: self.now, self.sleep)


def stays(node, joins=0.0):
    return (node, joins, float("inf"))


@pytest.mark.parametrize(
    ("lanes", "notes"),
    [
        (Lanes(count=3, per_gpu=4), ["3 lanes, 4 on a GPU, leave 1 of 2 GPUs empty"]),
        (Lanes(per_gpu=8), ["8 lanes, 8 on a GPU, leave 1 of 2 GPUs empty"]),  # of eight cores
        (Lanes(per_gpu=4), []),
        (Lanes(count=5, per_gpu=4), []),
        (Lanes(count=1), []),
        (Lanes(count=1, per_gpu="auto"), []),
    ],
)
def test_gpus_that_stay_empty_are_told(lanes, notes):
    cluster = ToyCluster(stays(GPU_NODE))
    cluster.demand(lanes, wait=None).wait_for_lane(trials=20)
    assert [line.partition(";")[0] for line in cluster.lines] == notes


def test_a_run_waits_for_the_first_lane_and_says_so_and_asks_for_what_its_trials_can_use():
    cluster = ToyCluster(stays(HEAD), stays(CPU_NODE, joins=45))
    demand = cluster.demand(Lanes(count=8))
    demand.wait_for_lane(trials=5)
    assert 45 <= cluster.now <= 46
    assert cluster.requests == [[{"CPU": 1}] * 5]
    shortage = "a lane needs 1 CPU, the cluster has 0 CPU on 1 node"
    assert cluster.lines == [f"waiting for nodes, 0 of 60 s: {shortage}",
                             f"waiting for nodes, 30 of 60 s: {shortage}"]  # fmt: skip
    assert demand.limit() == 2


def test_nodes_that_do_not_come_in_time_end_the_run_with_what_was_asked_and_what_is_there():
    cluster = ToyCluster(stays(HEAD), stays(CPU_NODE, joins=61))
    demand = cluster.demand(Lanes(gpus=1, workers=2))
    with pytest.raises(InputError) as error:
        demand.wait_for_lane(trials=1)
    ((problem),) = error.value.problems
    assert problem.text == (
        "a lane needs 2 CPU, 2 GPU, the cluster has 0 CPU, 0 GPU on 1 node, and no node that holds"
        " one came in 60 s; more time (--wait-for-nodes), other node types or fewer cores"
        " (--cpus-per-worker) and GPUs for a worker (--gpus-per-worker), 0 where there is none,"
        " would do"
    )
    assert cluster.requests == [[{"CPU": 1, "GPU": 1}] * 2]
    demand.clear()
    assert cluster.requests[1:] == [[]]


def test_without_time_to_wait_a_cluster_too_small_is_refused_at_once():
    cluster = ToyCluster(stays(HEAD))
    with pytest.raises(InputError, match=r"the cluster has 0 CPU on 1 node; .*--wait-for-nodes"):
        cluster.demand(Lanes(), wait=0).wait_for_lane(trials=1)
    assert (cluster.now, cluster.requests) == (0, [])


@pytest.mark.parametrize("wait", [None, 0.0, 60.0])
def test_where_a_lane_fits_nothing_is_waited_for(wait):
    cluster = ToyCluster(stays(CPU_NODE))
    cluster.demand(Lanes(count=2), wait).wait_for_lane(trials=9)
    assert (cluster.now, cluster.requests, cluster.lines) == (0, [], [])


def test_what_stands_in_the_way_ends_the_wait():
    def check():
        raise RuntimeError("no data")

    with pytest.raises(RuntimeError, match="no data"):
        ToyCluster(stays(HEAD)).demand(Lanes()).wait_for_lane(1, check)


def test_lanes_follow_the_nodes_up_to_the_number_asked_for_and_never_below_one():
    cluster = ToyCluster((CPU_NODE, 0, 40), (CPU_NODE, 10, 20), (CPU_NODE, 10, 40))
    demand = cluster.demand(Lanes(count=5))
    limits = []
    for now in (0, 3, 11, 21, 41):
        cluster.now = now
        limits.append(demand.limit())
    assert limits == [2, 2, 5, 4, 1]
    assert cluster.lines == ["the cluster holds 6 lanes now, 2 lanes before",
                             "the cluster holds 4 lanes now, 6 lanes before",
                             "the cluster holds 0 lanes now, 4 lanes before"]  # fmt: skip


def test_the_nodes_are_counted_every_few_seconds_only():
    cluster = ToyCluster(stays(CPU_NODE), stays(CPU_NODE, joins=1))
    demand = cluster.demand(Lanes())
    assert demand.limit() == 2
    cluster.now = 4.9
    assert demand.limit() == 2
    cluster.now = 5.1
    assert demand.limit() == 4


def test_lanes_of_this_machine_are_as_many_as_asked_for_and_no_autoscaler_is_asked():
    cluster = ToyCluster(stays(CPU_NODE))
    demand = cluster.demand(Lanes(count=1), wait=None)
    demand.announce(5)
    demand.clear()
    assert (demand.limit(), cluster.requests) == (1, [])


def test_the_demand_falls_with_the_trials_and_is_taken_back_at_the_end():
    cluster = ToyCluster(stays(CPU_NODE))
    demand = cluster.demand(Lanes(count=3, workers=2))
    for trials in (9, 8, 2, 2, 1):
        demand.announce(trials)
    demand.clear()
    demand.clear()
    assert [len(bundles) for bundles in cluster.requests] == [6, 4, 2, 0]


def test_without_a_number_of_lanes_each_trial_is_asked_room_for_up_to_a_limit():
    cluster = ToyCluster(stays(CPU_NODE))
    demand = cluster.demand(Lanes())
    demand.announce(10_000)
    demand.announce(40)
    assert [len(bundles) for bundles in cluster.requests] == [1000, 40]


def test_an_autoscaler_that_cannot_be_asked_is_told():
    cluster = ToyCluster(stays(CPU_NODE), failure="RpcError: gone")
    cluster.demand(Lanes()).announce(1)
    assert cluster.lines == ["the autoscaler cannot be asked for nodes: RpcError: gone"]


@pytest.mark.parametrize(
    ("nodes", "types", "gpus"),
    [
        ([CPU_NODE], {}, 0),
        ([CPU_NODE, GPU_NODE], {}, 1),
        ([CPU_NODE], {"CPU": 16, "GPU": 0}, 0),
        ([HEAD], {"CPU": 16}, 0),
    ],
)
def test_a_worker_has_a_gpu_where_a_node_or_a_type_of_nodes_has_one(nodes, types, gpus):
    cluster = ToyCluster(*map(stays, nodes), stays(CPU_NODE, joins=10), types=types)
    demand = cluster.demand(Lanes())
    demand.wait_for_lane(trials=1)
    assert demand.lanes.gpus == gpus


def test_where_node_types_have_gpus_a_run_waits_for_one_beside_cpu_nodes():
    cluster = ToyCluster(stays(CPU_NODE), stays(GPU_NODE, joins=30), types={"CPU": 8, "GPU": 4})
    demand = cluster.demand(Lanes())
    demand.wait_for_lane(trials=4)
    assert 30 <= cluster.now <= 31
    assert (demand.needs, demand.limit()) == ({"CPU": 1, "GPU": 1}, 2)
    assert cluster.requests == [[{"CPU": 1, "GPU": 1}] * 4]


def test_a_gpu_that_comes_to_cpu_lanes_changes_nothing():
    cluster = ToyCluster(stays(CPU_NODE), stays(GPU_NODE, joins=30))
    demand = cluster.demand(Lanes())
    demand.wait_for_lane(trials=4)
    cluster.now = 40
    assert (demand.needs, demand.limit()) == ({"CPU": 1}, 10)


def test_lanes_without_room_are_told_after_20_seconds_and_then_every_minute():
    cluster = ToyCluster(stays(CPU_NODE), stays(GPU_NODE), held={"CPU": 9, "GPU": 1})
    demand = cluster.demand(Lanes(workers=2))
    demand.wait_for_lane(trials=5)
    for second in range(0, 120, 5):
        if second == 60:
            demand.note_waiting(0)  # both have begun
        demand.note_waiting(2 if second < 60 else 1)
        cluster.sleep(5)
    rest = "1 of 10 CPU and 1 of 2 GPU are free in the cluster; other programs may hold the rest"
    assert cluster.lines == [
        f"waiting for 2 lanes of 2 CPU, 2 GPU, 20 s so far: {rest}",
        f"waiting for 1 lane of 2 CPU, 2 GPU, 20 s so far: {rest}",
    ]
    for _ in range(100):
        demand.note_waiting(1)
        cluster.sleep(1)
    assert [line.split(", ")[2][:8] for line in cluster.lines[2:]] == ["80 s so ", "140 s so"]


def test_lanes_that_start_at_once_are_not_told():
    cluster = ToyCluster(stays(CPU_NODE))
    demand = cluster.demand(Lanes(count=2), wait=None)
    for waiting in [2, 2, 1, 0, 1, 0] * 5:
        demand.note_waiting(waiting)
        cluster.sleep(5)
    assert cluster.lines == []
