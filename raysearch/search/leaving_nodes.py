"""Warns the lanes on nodes that are about to leave, as spot instances after their notice.

It is apart from the session because it keeps what it has said.
"""

import math
import time
from collections.abc import Callable

from ..workers.broker_link import BrokerLink
from ..workers.ray_internals import leaving_nodes
from .ray_cluster import cluster_nodes

POLL = 2.0  # seconds between two looks


class LeavingNodes:
    """The nodes that are about to leave, as far as the broker knows them.

    Args:
        note: shows a line in the log.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._looked_at = -math.inf
        self._leaving: set[str] = set()  # their ids

    def look(self, broker: BrokerLink) -> None:
        """Let trials on nodes that are about to leave be checkpointed; the log names the nodes."""
        if time.monotonic() - self._looked_at < POLL:
            return
        self._looked_at, nodes = time.monotonic(), leaving_nodes()
        for node in nodes.keys() - self._leaving:
            host = cluster_nodes().get(node, {}).get("host", node)
            seconds = f" in {nodes[node] - time.time():.0f} s" if nodes[node] else ""
            self._note(f"{host} leaves the cluster{seconds}; its trials are checkpointed")
        if nodes or self._leaving:
            broker.warn_nodes(set(nodes))
        self._leaving = set(nodes)
