"""Where lanes lie that share devices, and which lanes leave.

It is apart from the broker because it decides from the states of the lanes alone.

Ray gives a fraction of a GPU from the device on which the least stays free: lanes that all ask for
an eighth come to lie on one device until it is full. So each lane has a level, and each level asks
for another fraction: more than half of what the levels below leave free. Then a device holds one
lane of a level, and lanes come to lie on all devices evenly, also when some were ended before.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .lane_state import LaneState

# Ray counts in such parts of a device: `preflight.resources` has the same number, but loads what
# the broker's process does not need.
UNITS = 10_000


@dataclass(frozen=True, kw_only=True)
class LanePlaces:
    """The places for lanes that share devices.

    Attributes:
        devices: their number.
        levels: how many lanes there may be on each.
    """

    devices: int
    levels: int

    def free_level(self, lanes: Iterable[LaneState]) -> int:
        """Return the lowest level that has a free place; the highest one if there is none.

        Args:
            lanes: those that there are.
        """
        levels = [state.level for state in lanes if not state.closed]
        free = (n for n in range(1, self.levels) if levels.count(n) < self.devices)
        return next(free, self.levels)


def share_of(level: int) -> float:
    """Return the part of a device that a lane of a level asks for: 0.5001, 0.25, 0.125, ..."""
    left = UNITS
    for _ in range(level):
        share = left // 2 + 1
        left -= share
    return share / UNITS


def leaving_lanes(
    lanes: Iterable[LaneState],
    running: Collection[str],
    remaining: int,
    waiting: Collection[int],
    surplus: int,
) -> tuple[list[tuple[LaneState, str]], list[LaneState]]:
    """Return the lanes whose trials go to others, with their trials, and the idle ones that leave.

    Args:
        lanes: all lanes.
        running: see `TrialBroker.fit_lanes`, as the others.
        remaining: how many more trials there are.
        waiting: numbers of lanes whose workers wait for a node.
        surplus: how many more lanes have a trial than the cluster holds.
    """
    idle, lost = [], []
    for state in lanes:
        trial = state.request.trial if state.request else ""
        if trial not in running:
            idle += [] if state.closed else [state]
        elif state.number in waiting:
            lost.append((state, trial))
    idle.sort(key=lambda state: state.number in waiting)  # those are the first to be released
    ready = sum(state.number not in waiting for state in idle)
    # An idle lane begins another trial only where the cluster holds more lanes than have trials.
    begin = min(max(0, remaining), max(0, -surplus))
    lost = lost[: max(0, surplus, ready - begin)]
    return lost, idle[max(0, remaining) + len(lost) :]
