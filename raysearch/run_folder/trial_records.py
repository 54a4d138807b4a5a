"""The records of trials that a journal's events add up to: configurations, reports, scores, costs.

They are apart from `journal` because they know no file.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from .events import EventError
from .sampler_state import plain_state

Phase = Literal["search", "confirm", "teach"]
Outcome = Literal["running", "finished", "stopped", "diverged", "degenerate", "failed"]


@dataclass(kw_only=True)
class Record:
    """One trial: a configuration that is trained with one seed.

    Attributes:
        id: a hash of everything that decides the result; equal trials of all runs have equal ids.
        number: the index among the trials of its task, from 0.
        task: the task's name.
        phase: "search", "confirm", or "teach" for a trial that trains a teacher.
        configuration: values of the searched hyperparameters; of a teacher all hyperparameters.
        seed: the random seed.
        status: how it ended, or "running".
        reports: its evaluations in order; each has a Report's fields, `attempt` and `at`.
        seconds_by_attempt: attempt -> wall seconds.
        devices: the number of devices that it uses, or used last.
        devices_by_attempt: attempt -> number of devices; a resumed run may use another number.
        attempts: how often it was started.
        step: the last optimizer step that is known to be done.
        score: the selection metric at the evaluation that counts, as the sampler gets it: the
            metric's worst value if the trial diverged or learned nothing. None if it failed.
        best: all scores at the best evaluation. Empty if the trial failed, as an evaluation before
            the end is no result of a trial.
        last: all scores at the last evaluation; empty like `best`.
        error: why it failed.
        plan: steps, warmup, per_epoch, evaluations and rungs of its schedule.
        sampler: the state that the sampler stores with it.
        repeats: how often the sampler proposed the same configuration again.
        teacher: id of the trial whose weights are its teacher; "" if it has none.
        teacher_seconds: device seconds that the training of its teacher took.
        lost_device_hours: of a teacher, device hours of trainings whose weights are lost.
        began: Unix time of the first start.
        ended: Unix time of the end.
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
        """True once it has ended in any way."""
        return self.status != "running"

    @property
    def seconds(self) -> float:
        """Wall seconds of all attempts."""
        return math.fsum(self.seconds_by_attempt.values())

    @property
    def device_hours(self) -> float:
        """Device hours of all attempts."""
        devices = self.devices_by_attempt
        seconds = self.seconds_by_attempt.items()
        return math.fsum(s * devices.get(a, self.devices) for a, s in seconds) / 3600


class Records:
    """The trials and sessions of a run.

    Attributes:
        trials: trial id -> record.
        sessions: the sessions of the run in order. Each has `at`, the Unix time of its start, and
            `until`, that of its last event.
        notes: what was read but not understood or not used; each text once.
    """

    def __init__(self) -> None:
        self.trials: dict[str, Record] = {}
        self.sessions: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def of(self, task: str, phase: Phase | None = None) -> list[Record]:
        """Return the trials of a task in the order of their numbers.

        Args:
            task: the task's name.
            phase: one phase; None for all.
        """
        records = [r for r in self.trials.values() if r.task == task and phase in (None, r.phase)]
        return sorted(records, key=lambda record: record.number)

    def note(self, text: str) -> None:
        """Add a note unless it is there."""
        if text not in self.notes:
            self.notes.append(text)

    def admit(self, event: dict[str, Any]) -> None:
        """Refuse an event that cannot follow those before it.

        Args:
            event: see `events.checked`.

        Raises:
            EventError: its trial was not begun, is begun twice, or has ended.
        """
        kind = event["event"]
        if kind == "session":
            return
        trial = event["trial"]
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
        """Change the records by one event.

        Args:
            event: see `events.checked`; it must have passed `admit`.
        """
        event = dict(event)
        kind, trial = event.pop("event"), event.pop("trial", None)
        if kind == "session":
            self.sessions.append(event)
            return
        if self.sessions and event.get("at") is not None:
            self.sessions[-1]["until"] = event["at"]
        if kind == "trial":
            self.trials[trial] = Record(id=trial, **event)
        elif trial in self.trials and (handler := getattr(self, f"_on_{kind}", None)):
            handler(self.trials[trial], event)
        self._count_elapsed(event.pop("elapsed", None))

    def _count_elapsed(self, elapsed: Any) -> None:
        """Record how many seconds the session has run, by a clock that never goes back."""
        if self.sessions and isinstance(elapsed, int | float) and math.isfinite(elapsed):
            before = self.sessions[-1].get("elapsed", 0.0)
            self.sessions[-1]["elapsed"] = max(before, elapsed)

    def _on_attempt(self, record: Record, event: dict[str, Any]) -> None:
        record.attempts = event["attempt"]
        record.began = record.began or event["at"]
        record.plan = event["plan"]
        record.devices = event.get("devices", record.devices)
        record.devices_by_attempt[record.attempts] = record.devices
        # An attempt starts from a checkpoint: later reports of the attempt before do not count.
        record.step = event.get("from_step", 0)
        record.reports = [r for r in record.reports if r["step"] <= record.step]

    def _on_report(self, record: Record, event: dict[str, Any]) -> None:
        record.reports.append(event)
        record.step = event["step"]

    def _on_spent(self, record: Record, event: dict[str, Any]) -> None:
        record.seconds_by_attempt[event["attempt"]] = event["seconds"]
        record.step = event.get("step", record.step)

    def _on_end(self, record: Record, event: dict[str, Any]) -> None:
        if event.get("status") == "failed":  # 0.1.1 wrote the scores up to then
            event = {**event, "score": None, "best": {}, "last": {}}
        record.ended = event["at"]
        for name in ("status", "score", "best", "last", "error", "sampler"):
            if name in event:
                setattr(record, name, event[name])
        record.sampler = self._plain_sampler_state(record.sampler)

    def _on_sampler(self, record: Record, event: dict[str, Any]) -> None:
        record.sampler = self._plain_sampler_state(event["sampler"])

    def _on_repeat(self, record: Record, event: dict[str, Any]) -> None:
        record.repeats += 1

    def _on_taught(self, record: Record, event: dict[str, Any]) -> None:
        record.teacher, record.teacher_seconds = event["teacher"], event["seconds"]

    def _on_lost(self, record: Record, event: dict[str, Any]) -> None:
        record.status, record.ended, record.lost_device_hours = "running", None, record.device_hours

    def _plain_sampler_state(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Return the usable part of a sampler's state; note if there is another part."""
        usable = plain_state(stored)
        if set(usable) != set(stored):
            self.note(
                "the journal holds a sampler's state in a form that could run code: it is not read;"
                " the sampler goes on from the trials' results"
            )
        return usable
