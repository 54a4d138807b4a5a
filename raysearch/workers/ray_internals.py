"""Everything in which raysearch relies on private parts of Ray's core, each with its reason.

It is apart so that a new version of Ray can be checked in one place:
tests/workers/test_ray_internals.py fails where Ray has renamed one of these parts or calls it in
another way. `lane_trainer` has what relies on private parts of Ray Train, which takes long to
import.
"""

from collections.abc import Collection, Iterator

import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group_table,
    remove_placement_group,
)

# A resource that every cluster's head node has, and only the head node. A lane that asks for a
# little of it stays there: Ray has no public way to ask for the head node.
HEAD_NODE_RESOURCE = "node:__internal_head__"

# The resource whose bytes in a placement group's bundles are the number of a lane. Ray removes a
# placement group when its job ends, not when the actor that created it dies, and the table of
# placement groups does not name that actor.
LANE_TAG = "memory"


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
