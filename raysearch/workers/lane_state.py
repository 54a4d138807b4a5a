"""What the broker knows about one lane, and how long the lane's worker may be silent.

It is apart from the broker because it sends and answers nothing.
"""

import asyncio
import time
from dataclasses import dataclass, field

from .messages import AttemptProgress, Decision, LaneEvent, Phase, TrialRequest

HANG = 1800.0  # seconds without a sign of life before the first step, and in unmeasured work
LEAST_HANG = 60.0  # seconds that a worker may be silent in work that was measured
HANG_FACTOR = 20  # so many times its slowest step or evaluation a worker may be silent


@dataclass(kw_only=True)
class LaneState:
    """What the broker knows about one lane.

    Attributes:
        request: the trial that the lane runs; None between trials.
        serial: of the last request.
        events: what the worker has reported and Tune has not fetched.
        pending_report: the worker's open report, resolved with a decision.
        changed: set when there is a new request, or when the lane closes.
        progress: of the running attempt; None until it has begun.
        last_heartbeat: when the worker last showed that it is alive, in monotonic seconds; before
            its first sign of life, when it was requested.
        phase: what the worker does since then; None before the first step of a trial.
        slowest: phase -> the longest silence in it so far, in seconds.
        measured: phases that `slowest` describes: steps, and what has come to its end once.
        number: of the lane, from 1; it marks the placement groups of the lane's workers.
        actor: id of Tune's lane actor.
        level: which lane it is on its device, from 1; 0 if lanes have no levels, see `LanePlaces`.
        attempts: how many attempts have begun in the lane.
        memory_kills: node -> processes that were killed there for lack of memory before the
            lane's present workers came up.
        death: why its last workers died, if that is known.
        closed: whether the worker is to leave.
    """

    request: TrialRequest | None = None
    serial: int = 0
    events: asyncio.Queue[LaneEvent] = field(default_factory=asyncio.Queue)
    pending_report: asyncio.Future[Decision] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    progress: AttemptProgress | None = None
    last_heartbeat: float = field(default_factory=time.monotonic)
    phase: Phase | None = None
    slowest: dict[Phase, float] = field(default_factory=dict)
    measured: set[Phase] = field(default_factory=set)
    number: int = 0
    actor: str = ""
    level: int = 0
    attempts: int = 0
    memory_kills: dict[str, int] = field(default_factory=dict)
    death: str = ""
    closed: bool = False

    def resolve_report(self, decision: Decision) -> None:
        """Answer the worker's open report, if there is one."""
        if self.pending_report is not None and not self.pending_report.done():
            self.pending_report.set_result(decision)
        self.pending_report = None

    def close(self) -> None:
        """Let the worker leave."""
        self.request, self.closed = None, True
        self.resolve_report(Decision.STOP)
        self.changed.set()

    def show_life(self, phase: Phase | None) -> None:
        """Record a sign of life, with what the worker does next."""
        now = time.monotonic()
        if self.phase is not None:
            silence = max(now - self.last_heartbeat, self.slowest.get(self.phase, 0.0))
            self.slowest[self.phase] = silence
            if self.phase is Phase.TRAINING or phase is not self.phase:
                self.measured.add(self.phase)
        self.last_heartbeat, self.phase = now, phase

    def allowed_silence(self, hang: float | None) -> float:
        """Return the seconds without a sign of life after which the worker counts as hung.

        Args:
            hang: seconds that the study names for running trials; None if it names none.
        """
        if self.phase is None:
            return max(HANG, hang or 0.0)
        if hang is not None:
            return hang
        if self.phase not in self.measured:
            return HANG
        return max(LEAST_HANG, HANG_FACTOR * self.slowest[self.phase])
