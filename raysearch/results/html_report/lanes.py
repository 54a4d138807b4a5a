"""When each lane trained which trial, and how much of the time the lanes were idle.

It is apart from its chart because it adds up times of the journal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...run_folder import Record, Records
from ...run_folder.events import AttemptEvent


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The time in which a lane trained one attempt of a trial.

    Attributes:
        record: the trial.
        attempt: number of the attempt.
        lane: number of the lane; None if the journal does not say it.
        start: Unix time in seconds.
        end: Unix time in seconds; of a running attempt the time up to which its cost is known.
    """

    record: Record
    attempt: int
    lane: int | None
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class SessionLanes:
    """The lanes of one session.

    Attributes:
        rows: the stretches of each lane in order. A lane that begins after another one has ended,
            such as one that was rebuilt, shares its row.
        start: Unix time of the first start.
        end: Unix time of the last end.
    """

    rows: Sequence[Sequence[Stretch]]
    start: float
    end: float

    @property
    def lane_seconds(self) -> float:
        """The seconds from the first start to the last end, of all lanes."""
        return len(self.rows) * (self.end - self.start)

    @property
    def busy_seconds(self) -> float:
        """The seconds with a trial, of all lanes."""
        return sum(stretch.seconds for row in self.rows for stretch in row)


def session_lanes(records: Records) -> list[SessionLanes]:
    """Return the lanes of each session that trained something."""
    stretches = [s for record in records.trials.values() for s in _stretches(record)]
    bounds = [session.at for session in records.sessions[1:]]
    by_session: dict[int, list[Stretch]] = {}
    for stretch in sorted(stretches, key=lambda s: (s.start, s.record.number)):
        by_session.setdefault(sum(bound <= stretch.start for bound in bounds), []).append(stretch)
    return [_lanes_of(group) for _, group in sorted(by_session.items())]


def idle_share(sessions: Sequence[SessionLanes]) -> float | None:
    """Return the share of the lanes' time without a trial; None if there was no time."""
    total = sum(session.lane_seconds for session in sessions)
    busy = sum(session.busy_seconds for session in sessions)
    return max(0.0, 1 - busy / total) if total > 0 else None


def _stretches(record: Record) -> list[Stretch]:
    stretches = []
    for index, start in enumerate(record.starts):
        following = record.starts[index + 1] if index + 1 < len(record.starts) else None
        end = _end_of(record, start, following)
        stretches.append(
            Stretch(record=record, attempt=start.attempt, lane=start.lane, start=start.at, end=end)
        )
    return stretches


def _end_of(record: Record, start: AttemptEvent, following: AttemptEvent | None) -> float:
    """Return when an attempt ended: with its trial, or when its last known second was spent."""
    if following is None and record.ended is not None:
        return max(start.at, record.ended)
    end = start.at + record.seconds_by_attempt.get(start.attempt, 0.0)
    return end if following is None else max(start.at, min(end, following.at))


def _lanes_of(stretches: list[Stretch]) -> SessionLanes:
    """Return the stretches of a session by lane; one without a number is a lane of its own."""
    lanes: dict[tuple[str, int], list[Stretch]] = {}
    for index, stretch in enumerate(stretches):
        key = ("trial", index) if stretch.lane is None else ("lane", stretch.lane)
        lanes.setdefault(key, []).append(stretch)
    rows: list[list[Stretch]] = []
    for lane in lanes.values():  # in the order of their first starts
        free = next((row for row in rows if row[-1].end <= lane[0].start), None)
        if free is None:
            rows.append(lane)
        else:
            free.extend(lane)
    start = min(stretch.start for stretch in stretches)
    return SessionLanes(rows=rows, start=start, end=max(stretch.end for stretch in stretches))
