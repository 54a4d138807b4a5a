"""The records of trials that a journal's events add up to: configurations, reports, scores, costs.

They are apart from `journal` because they know no file.
"""

import math
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .events import (
    AttemptEvent,
    EndEvent,
    Event,
    EventError,
    LostEvent,
    Phase,
    RepeatEvent,
    ReportEvent,
    SamplerEvent,
    SessionEvent,
    SharingEvent,
    SpentEvent,
    TaughtEvent,
    TrialEvent,
)
from .outcomes import Selection, TrialStatus, has_model
from .plan import Plan
from .reuse_events import LengthenedEvent, ReusedEvent
from .sampler_state import plain_state


@dataclass(kw_only=True)
class Record:
    """One trial: a configuration that is trained with one seed.

    Attributes:
        id: a hash of everything that decides the result; equal trials of all runs have equal ids.
        number: the index among the trials of its task, from 0.
        index: the index among those of its task and phase, from 0.
        task: the task's name.
        phase: "search", "confirm", or "teach" for a trial that trains a teacher.
        configuration: values of the searched hyperparameters; of a teacher all hyperparameters.
        seed: the random seed.
        status: how it ended, or "running".
        reports: its evaluations in order.
        seconds_by_attempt: attempt -> wall seconds.
        devices: the number of devices that it uses, or used last.
        devices_by_attempt: attempt -> number of devices; a resumed run may use another number.
        attempts: how often it was started.
        starts: the beginning of each attempt that is known, in order.
        step: the last optimizer step that is known to be done.
        score: the selection metric at the evaluation that counts, as the sampler gets it: the
            metric's worst value if the trial diverged or learned nothing. None if it failed.
        best: all scores at the best evaluation. Empty if the trial failed, as an evaluation before
            the end is no result of a trial.
        last: all scores at the last evaluation; empty like `best`.
        error: why it failed.
        plan: its schedule; None before its first attempt.
        sampler: the state that the sampler stores with it.
        repeats: how often the sampler proposed the same configuration again.
        start: id of the trial of another task whose weights it starts from; None for a model.
        teacher: id of the trial whose weights are its teacher; "" if it has none.
        teacher_seconds: device seconds that the training of its teacher took.
        reused_from: the run folder whose trial answers it; "" if it was trained here.
        reused_seconds: device seconds that it has cost there.
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
    index: int = 0
    status: TrialStatus = "running"
    reports: list[ReportEvent] = field(default_factory=list)
    seconds_by_attempt: dict[int, float] = field(default_factory=dict)
    devices: int = 1
    devices_by_attempt: dict[int, int] = field(default_factory=dict)
    attempts: int = 0
    starts: list[AttemptEvent] = field(default_factory=list)
    step: int = 0
    score: float | None = None
    best: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    plan: Plan | None = None
    sampler: dict[str, Any] = field(default_factory=dict)
    repeats: int = 0
    start: str | None = None
    teacher: str = ""
    teacher_seconds: float = 0.0
    reused_from: str = ""
    reused_seconds: float = 0.0
    lost_device_hours: float = 0.0
    began: float = 0.0
    ended: float | None = None

    def evaluation(self, select: Selection, metric: str) -> ReportEvent | None:
        """Return the best or the last report that has scores; None if there is none.

        Args:
            select: "best" or "last"; of equal reports the first is the best.
            metric: the score that selects.
        """
        scored = [report for report in self.reports if report.scores]
        if not scored:
            return None
        return scored[-1] if select == "last" else max(scored, key=lambda r: r.scores[metric])

    def scores_at(self, select: Selection) -> dict[str, float]:
        """Return all scores at the best or at the last evaluation of an ended trial."""
        return self.best if select == "best" else self.last

    @property
    def is_over(self) -> bool:
        """True once it has ended in any way."""
        return self.status != "running"

    @property
    def start_time(self) -> float:
        """Unix time of its first start; of its end if it never began here, as in another run."""
        return self.began or self.ended or 0.0

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

    @property
    def training_hours(self) -> float:
        """Device hours that its training took: here, or in the run that it comes from."""
        return self.device_hours + self.reused_seconds / 3600


@dataclass(kw_only=True)
class Session:
    """One session of a run.

    Attributes:
        at: Unix time of its start.
        until: Unix time of its last event; None if it has none.
        elapsed: seconds from its start to its last event by the session's own clock; None in
            version 0.1.1.
    """

    at: float
    until: float | None = None
    elapsed: float | None = None


class Records:
    """The trials and sessions of a run.

    Attributes:
        trials: trial id -> record.
        sessions: the sessions of the run in order.
        unfinished: trial id -> record of the trials that have not ended.
        notes: what was read but not understood or not used; each text once.
        lengthened: the changes of the number of trials, in order.
        asked: task -> ids of the trials of its search in the order in which they were proposed, a
            repeat among them once more.
        sharing: how many lanes shared each GPU in the end; None if that was never measured.
    """

    def __init__(self) -> None:
        self.trials: dict[str, Record] = {}
        self.sessions: list[Session] = []
        self.notes: list[str] = []
        self.lengthened: list[LengthenedEvent] = []
        self.asked: dict[str, list[str]] = {}
        self.sharing: SharingEvent | None = None
        self.unfinished: dict[str, Record] = {}
        # Of each task, and of each of its phases (None: of all), what `of`, `ended` and `ranked`
        # return: a run asks for them with every trial, and they are kept instead of computed.
        self._begun: dict[tuple[str, Phase | None], list[Record]] = {}
        self._ended: Counter[tuple[str, Phase]] = Counter()
        self._ended_hours: defaultdict[int, float] = defaultdict(
            float
        )  # seed -> device hours of its ended trials
        self._ranked: dict[str, list[Record]] = {}
        self._handlers: dict[type[Event], Callable[[Record, Any], None]] = {
            AttemptEvent: self._on_attempt,
            ReportEvent: self._on_report,
            SpentEvent: self._on_spent,
            EndEvent: self._on_end,
            SamplerEvent: self._on_sampler,
            RepeatEvent: self._on_repeat,
            TaughtEvent: self._on_taught,
            LostEvent: self._on_lost,
            ReusedEvent: self._on_reused,
        }

    def of(self, task: str, phase: Phase | None = None) -> list[Record]:
        """Return the trials of a task in the order of their numbers.

        Args:
            task: the task's name.
            phase: one phase; None for all.
        """
        return list(self._begun.get((task, phase), ()))

    def begun(self, task: str, phase: Phase | None = None) -> int:
        """Return the number of trials that `of` returns."""
        return len(self._begun.get((task, phase), ()))

    def ended(self, task: str, phase: Phase) -> int:
        """Return how many of a task's trials of a phase have ended in any way."""
        return self._ended[task, phase]

    def ranked(self, task: str) -> list[Record]:
        """Return the trials of a task's search that ended with a model and a score.

        The best comes first; of equal scores the one with the lower number.
        """
        return list(self._ranked.get(task, ()))

    @property
    def device_hours(self) -> float:
        """Device hours of all trials."""
        ended = math.fsum(self._ended_hours.values())
        return ended + sum(r.device_hours for r in self.unfinished.values())

    def device_hours_of(self, seed: int) -> float:
        """Return the device hours of the trials with a seed; the search's are its own."""
        running = (r.device_hours for r in self.unfinished.values() if r.seed == seed)
        return self._ended_hours.get(seed, 0.0) + sum(running)

    def add(self, record: Record) -> None:
        """Add a trial, which may have ended."""
        self.trials[record.id] = record
        record.index = self.begun(record.task, record.phase)
        if record.phase == "search":
            self.asked.setdefault(record.task, []).append(record.id)
        for phase in (None, record.phase):
            begun = self._begun.setdefault((record.task, phase), [])
            insort(begun, record, key=lambda other: other.number)
        if record.is_over:
            self._count_end(record)
        else:
            self.unfinished[record.id] = record

    def _count_end(self, record: Record) -> None:
        self.unfinished.pop(record.id, None)
        self._ended[record.task, record.phase] += 1
        self._ended_hours[record.seed] += record.device_hours
        if record.phase == "search" and has_model(record.status) and record.score is not None:
            insort(self._ranked.setdefault(record.task, []), record, key=_rank)

    def note(self, text: str) -> None:
        """Add a note unless it is there."""
        if text not in self.notes:
            self.notes.append(text)

    def admit(self, event: Event) -> None:
        """Refuse an event that cannot follow those before it.

        Args:
            event: a checked event.

        Raises:
            EventError: its trial was not begun, is begun twice, or has ended.
        """
        if isinstance(event, SessionEvent | SharingEvent | LengthenedEvent):
            return
        record = self.trials.get(event.trial)
        if isinstance(event, TrialEvent):
            if record is not None:
                raise EventError(f"trial: '{event.trial}' is begun twice")
        elif record is None:
            raise EventError(f"{event.kind}: of a trial that was not begun, '{event.trial}'")
        elif record.is_over and isinstance(
            event, AttemptEvent | ReportEvent | EndEvent | ReusedEvent
        ):
            raise EventError(f"{event.kind}: of a trial that has ended, '{event.trial}'")
        elif isinstance(event, LostEvent) and not (
            record.is_over and (record.phase == "teach" or record.reused_from)
        ):
            raise EventError(f"lost: '{event.trial}' is no teacher that was trained, nor reused")

    def apply(self, event: Event) -> None:
        """Change the records by one event.

        Args:
            event: a checked event; it must have passed `admit`.
        """
        if isinstance(event, SessionEvent):
            self.sessions.append(Session(at=event.at, elapsed=event.elapsed))
            return
        if isinstance(event, SharingEvent):
            self.sharing = event
            return
        if isinstance(event, LengthenedEvent):
            self.lengthened.append(event)
            return
        if isinstance(event, TrialEvent):
            values = {name: value for name, value in vars(event).items() if name != "trial"}
            self.add(Record(id=event.trial, **values))
            return
        record = self.trials[event.trial]
        self._handlers[type(event)](record, event)
        if not self.sessions:
            return
        session, at = self.sessions[-1], getattr(event, "at", None)
        if at is not None:
            session.until = at
        if event.elapsed is not None:
            session.elapsed = max(session.elapsed or 0.0, event.elapsed)

    def _on_attempt(self, record: Record, event: AttemptEvent) -> None:
        record.attempts = event.attempt
        record.starts.append(event)
        record.reused_from, record.reused_seconds = "", 0.0
        record.began = record.began or event.at
        record.plan = event.plan
        record.devices = event.devices or record.devices
        record.devices_by_attempt[record.attempts] = record.devices
        # An attempt starts from a checkpoint: later reports of the attempt before do not count.
        record.step = event.from_step
        record.reports = [r for r in record.reports if r.step <= record.step]

    def _on_report(self, record: Record, event: ReportEvent) -> None:
        record.reports.append(event)
        record.step = event.step

    def _on_spent(self, record: Record, event: SpentEvent) -> None:
        before = record.device_hours
        record.seconds_by_attempt[event.attempt] = event.seconds
        if record.is_over:
            self._ended_hours[record.seed] += record.device_hours - before
        record.step = record.step if event.step is None else event.step

    def _on_end(self, record: Record, event: EndEvent) -> None:
        record.ended, record.status = event.at, event.status
        if event.status != "failed":  # 0.1.1 wrote the scores up to then
            record.score, record.best, record.last = event.score, event.best, event.last
        else:
            record.score, record.best, record.last = None, {}, {}
        record.error = record.error if event.error is None else event.error
        sampler = record.sampler if event.sampler is None else event.sampler
        record.sampler = self._plain_sampler_state(sampler)
        self._count_end(record)

    def _on_sampler(self, record: Record, event: SamplerEvent) -> None:
        record.sampler = self._plain_sampler_state(event.sampler)

    def _on_repeat(self, record: Record, event: RepeatEvent) -> None:
        record.repeats += 1
        if record.phase == "search":
            self.asked[record.task].append(record.id)

    def _on_taught(self, record: Record, event: TaughtEvent) -> None:
        record.teacher, record.teacher_seconds = event.teacher, event.seconds

    def _on_lost(self, record: Record, event: LostEvent) -> None:
        # Undoes `_count_end`.
        record.status, record.ended, record.lost_device_hours = "running", None, record.device_hours
        self.unfinished[record.id] = record
        self._ended[record.task, record.phase] -= 1
        self._ended_hours[record.seed] -= record.device_hours
        if record in (ranked := self._ranked.get(record.task, [])):
            ranked.remove(record)

    def _on_reused(self, record: Record, event: ReusedEvent) -> None:
        record.plan, record.reports = event.plan, []
        record.reused_from, record.reused_seconds = event.run, event.device_seconds

    def _plain_sampler_state(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Return the usable part of a sampler's state; note if there is another part."""
        usable = plain_state(stored)
        if set(usable) != set(stored):
            self.note(
                "the journal holds a sampler's state in a form that could run code: it is not read;"
                " the sampler goes on from the trials' results"
            )
        return usable


def _rank(record: Record) -> tuple[float, int]:
    """Return the key that sorts the best trial first."""
    return -(record.score or 0.0), record.number
