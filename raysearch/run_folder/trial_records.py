"""What a journal's events add up to: trials, their reports and what they cost. It knows no file."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from .events import EventError
from .sampler_state import plain_state

Phase = Literal["search", "confirm", "teach"]
Outcome = Literal["running", "finished", "stopped", "diverged", "degenerate", "failed"]


@dataclass(kw_only=True)
class Record:
    """One trial: one configuration with one seed, run once.

    Attributes:
        id: identity of its content; the same trial has the same id in every run.
        number: its place among the trials of its task, from 0.
        task, phase, configuration, seed: what it is; of phase "teach" it trains a teacher, its
            configuration is whole.
        status: how it ended, or running.
        reports: its evaluations in order, each a Report's fields with `attempt` and `at`.
        spent: attempt -> wall seconds spent on it.
        devices: how many devices it holds, or held last.
        held: attempt -> devices, where a resumed run gave it another number.
        attempts: how often it was begun.
        step: the last that is known to be done.
        score: the select metric at the evaluation that counts, as the sampler is told it: the
            task's worst where the trial diverged or learned nothing. None where it failed.
        best, last: all scores at the best and at the last evaluation; empty where it failed, as
            an evaluation half way is no trial's score.
        error: why it failed.
        plan: steps, warmup, per_epoch, evaluations, rungs.
        sampler: what the sampler keeps with it.
        repeats: how often the sampler proposed it again.
        teacher: id of the trial whose weights teach it; "" for none.
        taught: device seconds that this teacher's training took.
        lost: of a teacher, device hours of trainings whose weights are gone.
        began, ended: Unix times.
    """

    id: str
    number: int
    task: str
    phase: Phase
    configuration: dict[str, Any]
    seed: int
    status: Outcome = "running"
    reports: list[dict[str, Any]] = field(default_factory=list)
    seconds_by_attempt: dict[int, float] = field(default_factory=dict)
    devices: int = 1
    devices_by_attempt: dict[int, int] = field(default_factory=dict)
    attempts: int = 0
    step: int = 0
    score: float | None = None
    best: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)
    repeats: int = 0
    teacher: str = ""
    teacher_seconds: float = 0.0
    lost_device_hours: float = 0.0
    began: float = 0.0
    ended: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, however."""
        return self.status != "running"

    @property
    def seconds(self) -> float:
        """Wall seconds spent on it, over all attempts."""
        return math.fsum(self.seconds_by_attempt.values())

    @property
    def device_hours(self) -> float:
        """Device time spent on it, over all attempts."""
        held = self.devices_by_attempt
        return (
            math.fsum(s * held.get(a, self.devices) for a, s in self.seconds_by_attempt.items())
            / 3600
        )


class Records:
    """What a journal's events add up to.

    Attributes:
        trials: id -> record.
        sessions: the sittings of the run, each with `at`, and `until` its last event.
        notes: what was read and not understood, or not used, each once.
    """

    def __init__(self) -> None:
        self.trials: dict[str, Record] = {}
        self.sessions: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def of(self, task: str, phase: Phase | None = None) -> list[Record]:
        """The trials of a task in the order in which they were numbered."""
        found = [r for r in self.trials.values() if r.task == task and phase in (None, r.phase)]
        return sorted(found, key=lambda record: record.number)

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def admit(self, event: dict[str, Any]) -> None:
        """Refuse an event that cannot follow those before it.

        Args:
            event: checked, see `journal.schema`.

        Raises:
            EventError: of a trial that was not begun, begun twice, or has ended.
        """
        kind, trial = event["event"], event.get("trial")
        if kind == "session":
            return
        record = self.trials.get(trial)
        if kind == "trial":
            if record is not None:
                raise EventError(f"trial: '{trial}' is begun twice")
        elif record is None:
            raise EventError(f"{kind}: of a trial that was not begun, '{trial}'")
        elif record.is_over and kind in ("attempt", "report", "end"):
            raise EventError(f"{kind}: of a trial that has ended, '{trial}'")
        elif kind == "lost" and not (record.is_over and record.phase == "teach"):
            raise EventError(f"lost: '{trial}' is no teacher that was trained")

    def apply(self, event: dict[str, Any]) -> None:
        """Take in one event that was checked and admitted."""
        event = dict(event)
        kind, trial = event.pop("event"), event.pop("trial", None)
        if kind == "session":
            self.sessions.append(event)
            return
        if self.sessions and event.get("at") is not None:
            self.sessions[-1]["until"] = event["at"]
        if kind == "trial":
            self.trials[trial] = Record(id=trial, **event)
        elif trial in self.trials and (take := getattr(self, f"_on_{kind}", None)):
            take(self.trials[trial], event)
        self._count(event.pop("elapsed", None))

    def _count(self, elapsed: Any) -> None:
        """Take in how long the session has run, in seconds of a clock that never goes back."""
        if self.sessions and isinstance(elapsed, int | float) and math.isfinite(elapsed):
            before = self.sessions[-1].get("elapsed", 0.0)
            self.sessions[-1]["elapsed"] = max(before, elapsed)

    def _on_attempt(self, record: Record, event: dict[str, Any]) -> None:
        record.attempts = event["attempt"]
        record.began = record.began or event["at"]
        record.plan = event["plan"]
        record.devices = event.get("devices", record.devices)
        record.devices_by_attempt[record.attempts] = record.devices
        keep = event.get("from_step", 0)
        record.step = keep
        record.reports = [report for report in record.reports if report["step"] <= keep]

    def _on_report(self, record: Record, event: dict[str, Any]) -> None:
        record.reports.append(event)
        record.step = event["step"]

    def _on_spent(self, record: Record, event: dict[str, Any]) -> None:
        record.seconds_by_attempt[event["attempt"]] = event["seconds"]
        record.step = event.get("step", record.step)

    def _on_end(self, record: Record, event: dict[str, Any]) -> None:
        if event.get("status") == "failed":  # 0.1.1 wrote what it had reached by then
            event = {**event, "score": None, "best": {}, "last": {}}
        record.ended = event["at"]
        for name in ("status", "score", "best", "last", "error", "sampler"):
            if name in event:
                setattr(record, name, event[name])
        record.sampler = self._usable(record.sampler)

    def _on_sampler(self, record: Record, event: dict[str, Any]) -> None:
        record.sampler = self._usable(event["sampler"])

    def _on_repeat(self, record: Record, event: dict[str, Any]) -> None:
        record.repeats += 1

    def _on_taught(self, record: Record, event: dict[str, Any]) -> None:
        record.teacher, record.teacher_seconds = event["teacher"], event["seconds"]

    def _on_lost(self, record: Record, event: dict[str, Any]) -> None:
        record.status, record.ended, record.lost_device_hours = "running", None, record.device_hours

    def _usable(self, kept: dict[str, Any]) -> dict[str, Any]:
        """Return what a sampler kept, as far as it is plain numbers."""
        usable = plain_state(kept)
        if set(usable) != set(kept):
            self.note(
                "the journal holds a sampler's state in a form that could run code: it is not read;"
                " the sampler goes on from the trials' results"
            )
        return usable
