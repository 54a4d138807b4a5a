"""Everything in which raysearch relies on private parts of Ray, each with its reason.

It is apart so that a new version of Ray can be checked in one place:
tests/workers/test_ray_internals.py fails where Ray has renamed one of these parts or calls it in
another way.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Any

import ray
from ray.train import Result
from ray.train.v2._internal.execution.failure_handling import FailureDecision
from ray.train.v2.torch.torch_trainer import TorchTrainer
from ray.util.placement_group import (
    PlacementGroup,
    placement_group_table,
    remove_placement_group,
)

from .memory_kills import death_reason

# A resource that every cluster's head node has, and only the head node. A lane that asks for a
# little of it stays there: Ray has no public way to ask for the head node.
HEAD_NODE_RESOURCE = "node:__internal_head__"

# Callbacks that start one process each. The first distributes Ray Data sets, which no lane uses.
# The second removes placement groups with the help of the dashboard, which does not run here:
# `remove_worker_groups` does its work.
UNUSED_CALLBACKS = ("DatasetsCallback", "PlacementGroupCleanerCallback")

# Methods of a scaling policy that announce the resources of a worker group to a coordinator, an
# actor that this would start. The worker group's placement group asks for the same resources.
RESOURCE_REQUESTS = (
    "_send_resource_request",
    "_maybe_send_resource_request",
    "_cancel_resource_request",
)

# The resource whose bytes in a placement group's bundles are the number of a lane. Ray removes a
# placement group when its job ends, not when the actor that created it dies, and the table of
# placement groups does not name that actor.
LANE_TAG = "memory"


class LaneTrainer(TorchTrainer):
    """A TorchTrainer without four processes that would start for each lane and that none needs.

    Two belong to callbacks, see UNUSED_CALLBACKS. One is the controller's actor: the controller
    runs in the thread that calls `fit`. One is the coordinator, see RESOURCE_REQUESTS.
    Where Ray renames one of these parts, its process starts as in a TorchTrainer.
    """

    failure_policy: Any = None  # replaces Ray's if it is set: has a method `make_decision`

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [c for c in callbacks if type(c).__name__ not in UNUSED_CALLBACKS]

    def _initialize_and_run_controller(self, **arguments: Any) -> Result:
        try:
            from ray.train.v2._internal.execution.controller import TrainController
        except ImportError:
            return super()._initialize_and_run_controller(**arguments)
        if self.failure_policy is not None:
            arguments["failure_policy"] = self.failure_policy
        for method in RESOURCE_REQUESTS:
            setattr(arguments["scaling_policy"], method, lambda: None)
        controller: Any = TrainController(**arguments)  # its methods have no types
        asyncio.run(controller.run())
        result: Result = controller.get_result()
        return result


class GroupRestarts:
    """Ray Train's failure policy of a lane: its workers start again, but not forever in vain.

    Args:
        count_attempts: returns how many attempts have begun in the lane; None if the lane is lost.
        limit: deaths in a row, without an attempt between them, after which the lane fails.
        record_death: called with the reason for a death if it is known.
    """

    def __init__(
        self,
        count_attempts: Callable[[], int | None],
        limit: int,
        record_death: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._count_attempts, self._limit = count_attempts, limit
        self._record_death = record_death
        self._attempts, self._deaths = 0, 0

    def make_decision(self, training_failed_error: Exception) -> FailureDecision:
        """Return what to do about a worker group that has died or does not start.

        Args:
            training_failed_error: why; Ray passes it by this name.
        """
        attempts = self._count_attempts()
        if attempts is None:
            return FailureDecision.RAISE
        if reason := death_reason(training_failed_error):
            self._record_death(reason)
        if attempts > self._attempts:
            self._attempts, self._deaths = attempts, 0
        self._deaths += 1
        return FailureDecision.RETRY if self._deaths < self._limit else FailureDecision.RAISE


def worker_group_lanes() -> set[int]:
    """Return the numbers of all lanes of this run that have asked for workers, see LANE_TAG."""
    return {int(tag) for _, _, tags in _worker_groups() for tag in tags}


def waiting_lanes() -> set[int]:
    """Return the numbers of this run's lanes whose workers wait for a node, see LANE_TAG."""
    waiting = ("PENDING", "RESCHEDULING")
    return {int(tag) for _, state, tags in _worker_groups() if state in waiting for tag in tags}


def dead_actors() -> set[str]:
    """Return the ids of this job's actors that are dead.

    Ray's public way to ask for them needs its dashboard.
    """
    job = ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
    return set(ray._private.state.actors(job_id=job, actor_state_name="DEAD"))


def leaving_nodes() -> dict[str, float]:
    """Return the nodes that are about to leave, as of spot instances that are taken away.

    `ray.train.get_preemption_info` says the same, from a process for each lane.

    Returns:
        Id of the node -> seconds since 1970 when it leaves; 0 if that is not known.
    """
    draining = ray._private.state.state.get_draining_nodes()
    return {node: deadline / 1000 for node, deadline in draining.items()}


def node_types() -> dict[str, float]:
    """Return the most of each resource that the autoscaler may add; empty without an autoscaler.

    Ray has no public way to ask for it.
    """
    limits = ray._private.state.state.get_max_resources_from_cluster_config()
    return {name: float(limit) for name, limit in (limits or {}).items()}


def remove_worker_groups(numbers: Collection[int]) -> None:
    """Remove the placement groups of dead lanes' workers, those that still wait included.

    Without this the next lane would wait forever for their resources.

    Args:
        numbers: of the lanes, see LANE_TAG.
    """
    for identity, state, tags in _worker_groups():
        if state != "REMOVED" and tags & set(numbers):
            remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(identity)))


def _worker_groups() -> Iterator[tuple[str, str, set[float]]]:
    """Yield id, state and tags of this job's tagged placement groups.

    A cluster may have other runs, whose lanes have the same numbers. An id ends with its job's.
    """
    job = ray.get_runtime_context().get_job_id()
    for identity, group in placement_group_table().items():
        tags = {bundle[LANE_TAG] for bundle in group["bundles"].values() if LANE_TAG in bundle}
        if tags and identity.endswith(job):
            yield identity, group["state"], tags
