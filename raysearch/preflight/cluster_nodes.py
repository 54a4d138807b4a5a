"""The nodes that a cluster file of Ray describes, and the lanes that they hold.

It is apart from `resources`, which knows one sum of resources: a worker has to fit on one node.
It needs neither Ray nor a cloud's packages.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Problem
from .resources import Lanes, count_lanes, lane_problems, total, workers_on

# AWS's families whose NUMBERxlarge has 4 x NUMBER CPUs, without GPUs.
_CPU_FAMILIES = re.compile(r"[mr](5[adn]?|6(a|i|id)|7[ai])|c(5[adn]?|6(a|i|id)|7[ai])")
# The same with GPUs: family -> size -> their number.
_ONE_TO_EIGHT = {1: 1, 2: 1, 4: 1, 8: 1, 16: 1, 12: 4, 24: 4, 48: 8}
_GPU_FAMILIES: dict[str, dict[int, int]] = {
    "g4dn": {1: 1, 2: 1, 4: 1, 8: 1, 16: 1, 12: 4},
    "g5": _ONE_TO_EIGHT,
    "g6": _ONE_TO_EIGHT,
    "g6e": _ONE_TO_EIGHT,
    "p3": {2: 1, 8: 4, 16: 8},
    "p3dn": {24: 8},
    "p4d": {24: 8},
    "p4de": {24: 8},
    "p5": {4: 1, 48: 8},
    "p5e": {48: 8},
    "p5en": {48: 8},
}


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """A kind of node in a cluster file.

    Attributes:
        name: its key in the file.
        resources: Ray's name of a resource -> its amount on a node; None if it is not known before
            a node has started.
        count: the largest number of such nodes.
    """

    name: str
    resources: Mapping[str, float] | None
    count: int


def instance_resources(name: str) -> dict[str, float] | None:
    """Return the CPUs and GPUs of an AWS instance type; None for one that is not known here."""
    match = re.fullmatch(r"(\w+)\.(\d*)xlarge", name)
    if not match:
        return None
    family, size = match[1], int(match[2] or 1)
    if _CPU_FAMILIES.fullmatch(family):
        return {"CPU": 4.0 * size}
    gpus = _GPU_FAMILIES.get(family, {}).get(size)
    return None if gpus is None else {"CPU": 4.0 * size, "GPU": float(gpus)}


def node_types(config: Mapping[str, Any]) -> list[NodeType]:
    """Return the kinds of nodes of a cluster file.

    Args:
        config: the file's content with Ray's defaults, valid.
    """
    is_aws = config["provider"]["type"] == "aws"
    types = []
    for name, fields in config["available_node_types"].items():
        given = {key: float(amount) for key, amount in fields["resources"].items()}
        instance = str(fields["node_config"].get("InstanceType", ""))
        known = (instance_resources(instance) if is_aws else None) or {}
        resources = {**known, **given}  # what the file says holds, AWS says the rest
        types.append(
            NodeType(
                name=name,
                resources=resources if {"CPU", "GPU"} & set(resources) else None,
                count=min(fields["max_workers"], config["max_workers"])
                + (name == config["head_node_type"]),
            )
        )
    return types


def lanes_at_most(lanes: Lanes, config: Mapping[str, Any]) -> int | None:
    """Return the number of lanes that a cluster holds at its maximum.

    Workers of a lane may be on several nodes, each of them on one.

    Args:
        lanes: what one lane needs.
        config: see `node_types`.

    Returns:
        The number; None if the resources of a node type are not known.
    """
    types = node_types(config)
    if any(node.resources is None for node in types):
        return None
    needs = lanes.needs(_together(types))
    limit = config["max_workers"] + 1  # and the head
    workers = 0
    for node in sorted(types, key=lambda node: -workers_on(node.resources or {}, needs)):
        count = min(node.count, limit)
        workers += count * workers_on(node.resources or {}, needs)
        limit -= count
    return workers // lanes.workers


def cluster_lane_problems(lanes: Lanes, config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with lanes, or that no node or all nodes together do not hold them.

    Nothing is said of a file with a node type whose resources are not known.
    """
    if problems := lane_problems(lanes, None):
        return problems
    types = node_types(config)
    capacity = lanes_at_most(lanes, config)
    if capacity is None:
        return []
    needs = lanes.needs(_together(types))
    worker = _text(needs, needs)
    text = ""
    if not any(workers_on(node.resources or {}, needs) for node in types):
        nodes = "; ".join(f"{node.name} has {_text(node.resources or {}, needs)}" for node in types)
        text = f"a worker needs {worker}, and no node type holds it: {nodes}; "
        text += "fewer --cpus-per-worker or --gpus-per-worker, or larger nodes, would do"
    elif capacity < (asked := lanes.count or 1):
        text = f"{count_lanes(asked)} of {lanes.workers} x {worker} asked for, the cluster holds"
        text += f" {capacity} at its maximum: fewer --lanes or --workers-per-lane, or a larger"
        text += " max_workers, would do"
    return [Problem(location="lanes", text=text)] if text else []


def capacity_note(lanes: Lanes, config: Mapping[str, Any]) -> str:
    """Return how many lanes a cluster holds at its maximum, or that this is not known."""
    types = node_types(config)
    unknown = [node.name for node in types if node.resources is None]
    if unknown:
        names = ", ".join(unknown)
        return f"cluster: what a node of {names} has is not known here, so lanes are not compared"
    capacity = lanes_at_most(lanes, config)
    needs = lanes.needs(_together(types))
    each = _text(needs, needs)
    return f"cluster: at most {count_lanes(capacity or 0)} of {lanes.workers} x {each}"


def _together(types: Sequence[NodeType]) -> dict[str, float]:
    """Return the resources of one node of each kind together."""
    return total(node.resources or {} for node in types if node.count)


def _text(has: Mapping[str, float], needs: Mapping[str, float]) -> str:
    """Return the amounts of the resources that a worker needs, as text."""
    return ", ".join(f"{has.get(name, 0):g} {name}" for name in needs)
