"""The measurements behind the number of lanes on each GPU, and what follows from the choice.

It is apart from `gpu_sharing`, which decides, because it has a clock and a journal, and from the
adapter, which passes on what workers send.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from math import ceil

from ..preflight import Lanes
from ..preflight.resources import AUTO_LANES
from ..run_folder import Journal, Record
from ..run_folder.events import SharingEvent
from ..workers.broker_link import BrokerLink
from ..workers.lane_places import LanePlaces
from ..workers.messages import AttemptProgress, DeviceMemory, Usage
from .gpu_sharing import Choice, DeviceLoad, Measurements, Work, decide
from .session_clock import SessionClock

RECENT = 5.0  # seconds for which a lane counts as training after it was last seen to
LOOK = 1.0  # seconds between two decisions
PERSISTENCE = 10  # looks in a row that must find the memory too small
WARM_UP = 5.0  # seconds that a lane trains before its speed counts


class LaneGrowth:
    """Lets more lanes share each GPU of this machine as long as that trains more.

    Args:
        lanes: what the user asks for.
        cluster: the resources of this machine.
        journal: keeps every choice; a resumed run goes on from the last one.
        clock: dates the events.
        note: shows a line in the log.
        now: returns the time in seconds.

    Attributes:
        devices: the number of devices that are used.
        lanes: how many lanes may share each.
        settled: whether that stays.
    """

    def __init__(
        self,
        lanes: Lanes,
        cluster: dict[str, float],
        journal: Journal,
        clock: SessionClock,
        note: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.journal, self.clock, self.note, self._now = journal, clock, note, now
        self._most = lanes.count or lanes.fit(cluster)
        self.devices = max(1, min(int(cluster.get("GPU", 1)), self._most))
        self._ceiling, self._bound = _ceiling(lanes, cluster, self.devices)
        self.lanes, self.settled, self._kept = 1, False, journal.sharing
        self._goal, self._goal_settled = 0, False  # of the session before, once it is known
        self._shrinks = 0  # looks in a row that would have ended a lane
        self._too_many = 0  # lanes of a level that was given up and that have not ended
        self._seen: dict[int, float] = {}  # lane -> when an attempt of it was last seen
        self._trained: dict[int, float] = defaultdict(float)  # lane -> seconds of training
        self._last: dict[tuple[str, int], Usage] = {}  # (trial, attempt) -> what was seen last
        self._memory: dict[int, DeviceMemory] = {}  # lane -> what it sent last
        self._ran_out: dict[int, int] = {}  # lane -> how often
        self._peak, self._failures, self._model = 0, 0, ""
        self._evaluated = self._told = False
        self._work: dict[int, dict[Hashable, Work]] = {}
        self._looked = 0.0

    def limit(self) -> int:
        """Return how many lanes there may be now; more while some that are too many still train."""
        return min(self._most, self.devices * self.lanes + self._too_many)

    def place(self, broker: BrokerLink) -> None:
        """Tell the broker how many lanes there may be on each device."""
        places = LanePlaces(devices=self.devices, levels=self.lanes)
        self._too_many = broker.set_places(places)

    def observe(self, progress: AttemptProgress, record: Record) -> None:
        """Take the measurements of a running attempt.

        Args:
            progress: of the attempt.
            record: its trial.
        """
        usage, lane = progress.usage, progress.lane
        if lane is None or usage is None:
            return
        self._seen[lane] = self._now()
        key = (progress.trial, progress.attempt)
        before = self._last.pop(key, Usage(tokens=0, seconds=0.0))
        self._last[key] = usage
        while len(self._last) > 2 * AUTO_LANES * self.devices:
            del self._last[next(iter(self._last))]
        tokens, seconds = usage.tokens - before.tokens, usage.seconds - before.seconds
        self._trained[lane] += seconds
        if self._trained[lane] > WARM_UP and self._all_train():
            kind = (record.task, record.phase == "teach", str(record.configuration.get("BSZ")))
            work = self._work.setdefault(self.lanes, {})
            work[kind] = work.get(kind, Work()) + Work(tokens=tokens, seconds=seconds)
        self._failures += max(0, usage.ran_out - self._ran_out.get(lane, 0))
        self._ran_out[lane] = max(usage.ran_out, self._ran_out.get(lane, 0))
        self._evaluated = self._evaluated or usage.evaluated
        if usage.memory is not None:
            self._memory.pop(lane, None)
            self._memory[lane] = usage.memory  # the newest last
            self._model = usage.memory.device.partition(": ")[2]  # without its index
            self._peak = max(self._peak, usage.memory.peak)
        elif not self._told:
            self._told = True
            self.note("1 lane on each GPU: no worker can read a GPU's memory")

    def look(self, broker: BrokerLink) -> None:
        """Decide from what was measured, if it is time to; tell the broker, journal and log."""
        if self._now() - self._looked < LOOK:
            return
        self._looked = self._now()
        if self._too_many:  # first they end: their memory would count
            self.place(broker)
            self._memory.clear()
            return
        self._recall()
        choice = decide(self._measurements())
        self._shrinks = self._shrinks + 1 if choice and choice.lanes < self.lanes else 0
        if 0 < self._shrinks < PERSISTENCE and not self._failures:
            return  # lanes send their memory at different times
        if choice is not None:
            self._apply(choice)
            self.place(broker)

    def _recall(self) -> None:
        """Take the choice of the session before if the devices are of the same model."""
        if (kept := self._kept) is None or not self._memory:
            return
        self._kept = None
        if kept.device != self._model:
            self.note(f"{self._model}, not {kept.device} as before: lanes are measured anew")
            return
        self._peak, self._evaluated = max(self._peak, kept.peak), True
        self._goal, self._goal_settled = kept.lanes, kept.settled
        self.settled = kept.settled and kept.lanes <= self.lanes
        if self.settled:
            self.note(f"as before in this run: {kept.reason}")

    def _apply(self, choice: Choice) -> None:
        grows = choice.lanes > self.lanes
        self.lanes, self._failures = choice.lanes, 0
        if grows and self._goal_settled:
            self.settled = self.lanes >= self._goal
        else:
            self.settled = choice.settled
        self.note(choice.reason)
        event = SharingEvent(
            at=self.clock.at,
            elapsed=self.clock.elapsed,
            lanes=self.lanes,
            settled=self.settled,
            peak=self._peak,
            device=self._model,
            reason=choice.reason,
        )
        self.journal.write(event)
        if not grows:
            self._memory.clear()  # with that of lanes that end

    def _measurements(self) -> Measurements:
        return Measurements(
            lanes=self.lanes,
            ceiling=self._ceiling,
            bound=self._bound,
            devices=self._loads(),
            peak=self._peak,
            work=self._work,
            evaluated=self._evaluated,
            ran_out=self._failures > 0,
            settled=self.settled,
            kept=0 if self.settled else self._goal,
        )

    def _loads(self) -> list[DeviceLoad]:
        """Return the memory of the devices; of none until every one is known."""
        recent = self._now() - 6 * RECENT
        memories: dict[str, list[DeviceMemory]] = {}
        for lane, memory in self._memory.items():
            if self._seen[lane] >= recent:
                memories.setdefault(memory.device, []).append(memory)
        if len(memories) < self.devices:
            return []
        return [
            DeviceLoad(
                name=f"GPU {name}",
                free=lanes[-1].free,
                reserved=sum(memory.reserved for memory in lanes),
                lanes=len(lanes),
            )
            for name, lanes in memories.items()
        ]

    def _all_train(self) -> bool:
        """Return whether as many lanes train as there may be; else their speed tells nothing."""
        recent = self._now() - RECENT
        training = sum(seen >= recent for seen in self._seen.values())
        return training >= min(self._most, self.devices * self.lanes)


def _ceiling(lanes: Lanes, cluster: dict[str, float], devices: int) -> tuple[int, str]:
    """Return the most lanes on each device, and why there may not be more."""
    cores = cluster.get("CPU", 0)
    bounds = [
        (AUTO_LANES, f"{AUTO_LANES} is the most"),
        (int(cores / lanes.cpus + 1e-9) // devices, f"no core is left of {cores:g}"),
    ]
    if lanes.count is not None:
        bounds.append((ceil(lanes.count / devices), f"--lanes {lanes.count}"))
    return min(bounds)
