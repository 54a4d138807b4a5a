"""How many lanes a cluster holds now, and what its autoscaler is asked for.

It is apart from the session because it knows nothing of trials but their number, and from Ray
because its cluster is an object that a test replaces.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from ..errors import InputError, Problem
from ..preflight import Lanes
from ..preflight.resources import count_lanes, describe_lane, hint, total

RECOUNT = 5.0  # seconds between two looks at the cluster's nodes
PROGRESS_INTERVAL = 30.0  # seconds between lines of progress while nodes are waited for
WAITING = 20.0  # seconds without room for a lane before the log says so
WAITING_INTERVAL = 60.0  # seconds until the log says so again
MAX_ANNOUNCED = 1000  # lanes in a request to the autoscaler; it packs them one by one


class Cluster(Protocol):
    """What is asked of a cluster; `ray_cluster.RayCluster` is the one of Ray."""

    def nodes(self) -> list[dict[str, float]]:
        """Return the resources of each node that is there."""

    def node_types(self) -> Mapping[str, float]:
        """Return the most of each resource that an autoscaler may add; empty without one."""

    def free(self) -> Mapping[str, float]:
        """Return the resources that nothing uses, of all nodes together."""

    def request(self, bundles: list[dict[str, float]]) -> str:
        """Ask the autoscaler for room for all of these workers; return why it cannot be asked."""


class LaneDemand:
    """The lanes that a run asks its cluster for, and those that the cluster holds.

    Args:
        lanes: what the user asks for.
        cluster: the cluster.
        wait: seconds to wait for the nodes of a first lane; None for a cluster of this machine,
            whose size is fixed.
        note: shows a line in the log.
        clock: returns the time in seconds.
        sleep: waits some seconds.

    Attributes:
        lanes: what the user asks for; after `wait_for_lane` it says how many GPUs a worker has.
    """

    def __init__(
        self,
        lanes: Lanes,
        cluster: Cluster,
        wait: float | None,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lanes, self.cluster, self.wait, self.note = lanes, cluster, wait, note
        self._clock, self._sleep = clock, sleep
        self._counted_at, self._capacity = -math.inf, 0
        self._announced: list[dict[str, float]] = []
        self._waiting_since: float | None = None  # lanes whose workers have no room
        self._told_at = 0.0  # when the log last said so

    @property
    def needs(self) -> dict[str, float]:
        """The resources of a worker. Without a number of GPUs: one, if a node or type has any."""
        if self.lanes.gpus is not None:
            return self.lanes.needs({})
        return self.lanes.needs(total([*self.cluster.nodes(), self.cluster.node_types()]))

    def _sized(self) -> Lanes:
        """Return the lanes with the number of GPUs that a worker has now."""
        return replace(self.lanes, gpus=self.needs.get("GPU", 0.0))

    def limit(self) -> int:
        """Return how many lanes there may be now: more as nodes join, fewer as they leave."""
        if self.wait is None and self.lanes.count is not None:
            return self.lanes.count
        wanted = math.inf if self.lanes.count is None else self.lanes.count
        return int(max(1, min(wanted, self._count())))

    def wait_for_lane(self, trials: int, check: Callable[[], None] = lambda: None) -> None:
        """Wait until the cluster holds a lane; from then on the resources of a worker are fixed.

        Args:
            trials: the number of trials that have not ended.
            check: called between two looks; it may raise what stands in the way.

        Raises:
            InputError: the nodes of a lane have not come in time.
        """
        begin = self._clock()
        shown = -math.inf
        while True:
            check()
            self._counted_at = -math.inf
            if self._count():
                self.lanes = self._sized()
                self._note_empty_devices()
                return
            waited, wait = self._clock() - begin, self.wait or 0.0
            if waited >= wait:
                raise InputError("the cluster", [Problem(location="lanes", text=self._lacking())])
            self.announce(trials)
            if self._clock() - shown >= PROGRESS_INTERVAL:
                shown = self._clock()
                self.note(f"waiting for nodes, {waited:.0f} of {wait:g} s: {self._shortage()}")
            self._sleep(min(RECOUNT / 5, wait - waited))

    def _note_empty_devices(self) -> None:
        """Say that some devices stay empty, as Ray fills one before it takes the next."""
        each, count = self.lanes.per_gpu, self.limit()
        if not isinstance(each, int):
            return
        devices = sum(int(node.get("GPU", 0)) for node in self.cluster.nodes())
        if (used := math.ceil(count / each)) < devices:
            self.note(
                f"{count_lanes(count)}, {each} on a GPU, leave {devices - used} of {devices} GPUs"
                " empty; a smaller --lanes-per-gpu uses more of them"
            )

    def announce(self, trials: int) -> None:
        """Ask the autoscaler for the lanes that so many trials can use.

        Args:
            trials: the number of trials that have not ended.
        """
        if self.wait is None:
            return
        count = min(trials, MAX_ANNOUNCED, self.lanes.count or MAX_ANNOUNCED)
        bundles = [self.needs] * (count * self.lanes.workers)
        if bundles != self._announced:
            self._request(bundles)

    def clear(self) -> None:
        """Take back what was asked for, so that nodes without work can go."""
        if self._announced:
            self._request([])

    def _request(self, bundles: list[dict[str, float]]) -> None:
        self._announced = bundles
        if failure := self.cluster.request(bundles):
            self.note(f"the autoscaler cannot be asked for nodes: {failure}")

    def _count(self) -> int:
        """Return the number of lanes that the nodes hold, counted a few seconds ago at most."""
        if self._clock() - self._counted_at > RECOUNT:
            before, self._counted_at = self._counted_at, self._clock()
            nodes = self.cluster.nodes()
            capacity = self._sized().fit(*nodes)
            if self.wait is not None and before > -math.inf and capacity != self._capacity:
                self.note(
                    f"the cluster holds {count_lanes(capacity)} now,"
                    f" {count_lanes(self._capacity)} before"
                )
            self._capacity = capacity
        return self._capacity

    def note_waiting(self, count: int) -> None:
        """Say from time to time what lanes wait for, as other programs may hold a cluster's room.

        Args:
            count: the number of lanes whose workers wait for room now.
        """
        now = self._clock()
        if not count:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since, self._told_at = now, now + WAITING - WAITING_INTERVAL
        elif now - self._told_at >= WAITING_INTERVAL:
            self._told_at = now
            needs, there, free = self.needs, total(self.cluster.nodes()), self.cluster.free()
            amounts = " and ".join(
                f"{free.get(name, 0):g} of {there.get(name, 0):g} {name}" for name in needs
            )
            self.note(
                f"waiting for {count_lanes(count)} of {describe_lane(self.lanes, needs)},"
                f" {now - self._waiting_since:.0f} s so far: {amounts} are free in the cluster;"
                " other programs may hold the rest"
            )

    def _shortage(self) -> str:
        """Return what a lane needs and what is there."""
        nodes = self.cluster.nodes()
        there, needs = total(nodes), self.needs
        available = ", ".join(f"{there.get(name, 0):g} {name}" for name in needs)
        lane = describe_lane(self.lanes, needs)
        count = f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}"
        return f"a lane needs {lane}, the cluster has {available} on {count}"

    def _lacking(self) -> str:
        """Return what is lacking and what would do."""
        there = total(self.cluster.nodes())
        advice = hint(self._sized(), there)
        if self.wait:
            came = f"no node that holds one came in {self.wait:g} s"
            return (
                f"{self._shortage()}, and {came}; more time (--wait-for-nodes), other node types"
                f" or {advice} would do"
            )
        return f"{self._shortage()}; {advice} would do, or waiting for nodes (--wait-for-nodes)"
