"""The cluster that a run is to use, as its options and the environment name it.

It is apart from `ray_cluster` because that imports Ray, which no check before a run needs.
"""

import math
import os
from dataclasses import dataclass
from typing import Self

from ..errors import Problem
from ..workers.machine import local_resources

DEFAULT_WAIT = 600.0  # seconds that a run on a cluster waits for the nodes of its first lane
LOCAL = "local"  # the address of a cluster that is started on this machine


def chosen_address(address: str | None) -> str:
    """Return the address of the cluster to use, see `ray_cluster.connect`.

    RAY_ADDRESS counts, as for all programs of Ray: `ray job submit` sets it.
    """
    return address or os.environ.get("RAY_ADDRESS") or LOCAL


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """The cluster that a run is to use.

    Attributes:
        address: see `chosen_address`.
        wait: seconds to wait for the nodes of a first lane; None on a cluster of this machine,
            whose size is fixed.
        asked: the seconds that the user has asked for.
        notes: lines for the log.
    """

    address: str
    wait: float | None
    asked: float | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, address: str | None, wait_for_nodes: float | None) -> Self:
        """Return the options of a run's arguments."""
        chosen = chosen_address(address)
        is_local, notes = chosen == LOCAL, []
        if not address and not is_local:
            notes.append(
                f"RAY_ADDRESS names the cluster: {chosen}; --address local is this machine"
            )
        wait = DEFAULT_WAIT if wait_for_nodes is None else wait_for_nodes
        return cls(
            address=chosen,
            wait=None if is_local else wait,
            asked=wait_for_nodes,
            notes=tuple(notes),
        )

    @property
    def is_local(self) -> bool:
        """Whether the cluster is one of this machine alone."""
        return self.address == LOCAL

    @property
    def resources(self) -> dict[str, float] | None:
        """The resources of this machine; None of a cluster whose nodes come and go."""
        return local_resources() if self.is_local else None

    def problems(self) -> list[Problem]:
        """Return what is wrong with the time to wait."""
        text = ""
        if self.asked is not None and not 0 <= self.asked < math.inf:
            text = f"{self.asked} seconds asked for, a number from 0 would do"
        elif self.asked and self.is_local:
            text = "no nodes join this machine; a cluster's --address would do"
        return [Problem(location="--wait-for-nodes", text=text)] if text else []
