"""Cluster files of Ray in `raysearch check`.

They are apart from the studies because checking them imports Ray, which checking studies does not.
"""

from pathlib import Path
from typing import Any

from ..errors import InputError, RaysearchError
from ..preflight import Lanes, cluster_nodes, precision_notes
from ..study import Study
from .app import print_line
from .exit_codes import print_error


def is_cluster_file(path: Path) -> bool:
    """Return whether a file is for `ray up`; False for one that cannot be read."""
    from ..study.loading import is_cluster
    from ..study.yaml_file import read_yaml

    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    try:
        return is_cluster(read_yaml(path)[0])
    except InputError:
        return False


def show(path: Path) -> None:
    """Check a cluster file and print its nodes.

    Raises:
        InputError: `ray up` would refuse it.
    """
    from ..search.cluster_file import load_cluster, security_notes

    config = load_cluster(path)
    provider = config["provider"]["type"]
    print_line(f"{config['cluster_name']}  a cluster file of Ray, provider {provider}")
    for line in [*_node_lines(config), *security_notes(config)]:
        print_line(f"  {line}")


def lane_notes(path: Path | None, lanes: Lanes) -> tuple[list[str], int]:
    """Return notes on how many lanes a cluster holds, and 1 if its file is refused, which is told.

    Studies are checked all the same.
    """
    try:
        return checked_lanes(path, lanes), 0
    except RaysearchError as error:
        print_error(error, "check")
        return [], 1


def precision_notes_here(study: Study, path: Path | None, lanes: Lanes) -> list[str]:
    """Return notes on slow precisions; with a cluster file this machine does not count."""
    from ..workers.machine import local_resources

    return precision_notes(study, lanes, None if path else local_resources())


def checked_lanes(path: Path | None, lanes: Lanes) -> list[str]:
    """Return notes on how many lanes a cluster holds; none without a cluster file.

    Raises:
        InputError: the file is refused, or it holds no lane, or fewer than asked for.
    """
    if path is None:
        return []
    from ..search.cluster_file import load_cluster

    config = load_cluster(path)
    if problems := cluster_nodes.cluster_lane_problems(lanes, config):
        raise InputError(str(path), problems)
    return [cluster_nodes.capacity_note(lanes, config)]


def _node_lines(config: dict[str, Any]) -> list[str]:
    """Return a line for each kind of node."""
    if "available_node_types" not in config:
        return []
    lines = []
    for node in cluster_nodes.node_types(config):
        has = "resources not known before it starts"
        if node.resources is not None:
            amounts = (f"{amount:g} {name}" for name, amount in node.resources.items())
            has = ", ".join(amounts) or "no resources"
        lines.append(f"{node.name}: up to {node.count}, {has}")
    return lines
