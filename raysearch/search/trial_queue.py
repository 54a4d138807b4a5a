"""Which trial runs next: the searches and confirmations of a study's tasks, from the journal.

It is apart because it knows neither Ray nor time: a resumed run is a queue over a journal that is
not empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from .. import __version__, metrics
from ..results import leaderboard
from ..run_folder import FORMAT, Journal, Phase, Record, opening
from ..run_folder.events import (
    EndEvent,
    LostEvent,
    ReportEvent,
    SessionEvent,
    StoredEndEvent,
    TaughtEvent,
)
from ..run_folder.outcomes import Outcome, Selection, gets_worst_score, has_model
from ..run_folder.report import Report
from ..run_folder.trial_identity import TrialOrigin, refuse_others
from ..study import Study
from ..workers.messages import TrialRequest
from .kept_weights import KeptWeights, keeps_predictions, may_be_printed
from .proposals import Proposals
from .reuse import Reuse
from .reused_trials import ReusedTrials
from .sampler_choice import SamplerFactory
from .samplers import OptunaStudy
from .session_clock import SessionClock
from .stopping_rule import StoppingRule
from .stopping_rules import RungScores, should_continue, stopping_rule
from .teacher_store import TeacherStore, teacher_failure

# More trials are proposed while at most this many wait for a teacher, for each one that runs.
AHEAD = 2


class QueueState(Enum):
    """Why a queue has no trial to run.

    Attributes:
        WAITING: none now; there may be one once a running trial ends.
        DONE: all trials of the study have ended.
    """

    WAITING = "waiting"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial that has ended came to.

    Attributes:
        status: how it ended.
        score: of the evaluation that counts; the metric's worst value if the trial diverged or
            learned nothing; None if it failed.
        best: all scores at the best evaluation.
        last: all scores at the last evaluation.
    """

    status: Outcome
    score: float | None
    best: dict[str, float]
    last: dict[str, float]


class TrialQueue:
    """The trials of a study, one after another.

    Args:
        study: what is searched.
        journal: what has happened so far; every new event is written to it first.
        content: task -> identity of its data and model, part of every trial's id.
        devices: the number of devices that a trial holds.
        store: where trained teachers are kept; the cache's store by default.
        reuse: the trials that other runs can answer; None for none.
        own_sampler: makes the samplers in place of the study's, see `SamplerChoice.make`.

    Attributes:
        live: ids of the trials that run.
        rule: stops trials of the search early; None if the study stops none.
        weights: what is kept in the run folder of the trials' weights.

    Raises:
        InputError: the journal's trials belong to another study, data or model.
    """

    def __init__(
        self,
        study: Study,
        journal: Journal,
        content: Mapping[str, str],
        devices: int = 1,
        store: TeacherStore | None = None,
        reuse: Reuse | None = None,
        own_sampler: Callable[[], SamplerFactory] | None = None,
    ) -> None:
        refuse_others(study.name, study, journal, TrialOrigin(content=content))
        opening.refuse_misfits(journal.folder, study, journal, resumed=True)
        self.study, self.journal, self.store = study, journal, store or TeacherStore()
        self.reused = ReusedTrials(self, reuse or Reuse(study))
        self.weights = KeptWeights(journal.folder, study, journal)
        self.clock = SessionClock()
        self.proposals = Proposals(study, journal, content, devices, self.clock, own_sampler)
        settings = study.search.stop_early
        self.rule = None if settings is None else stopping_rule(settings)
        self._rung_scores: dict[str, RungScores] = {}
        self.live: set[str] = set()
        unfinished = [r for r in journal.trials.values() if not r.is_over]
        # Teachers first: others wait for them.
        self._waiting = [r.id for r in sorted(unfinished, key=lambda r: r.phase != "teach")]
        session = SessionEvent(
            at=self.clock.at, elapsed=self.clock.elapsed, version=__version__, format=FORMAT
        )
        journal.write(session)

    def next(self) -> Record | QueueState:
        """Return the next trial to run, begun in the journal, or why there is none.

        Returns:
            The record of a trial, which may have ended without a step, see `_runnable`; or the
            state of a queue without one.
        """
        record = self._next_waiting()
        for task in self.study.tasks:
            if record is None and (source := self.study.resolve(task).source):
                record = self._winner_to_train(source.name)
            # Not all that is planned: the sampler would learn nothing while a teacher is trained.
            while record is None and self._waiting_of(task) <= self._ahead:
                if (proposed := self.proposals.next(task)) is None:
                    break
                self._waiting.append(proposed.id)
                record = self._next_waiting()
            record = record or self._winner_to_train(task)
        if record is None:
            return QueueState.WAITING if self.live else QueueState.DONE
        if not record.is_over:
            self.live.add(record.id)
        return record

    def _winner_to_train(self, task: str) -> Record | None:
        """Return a trial of a reused winner that runs again; None if none needs to."""
        if (winner := self.reused.winner_to_train(task)) is None:
            return None
        self._waiting.append(winner.id)
        return self._next_waiting()

    @property
    def _ahead(self) -> int:
        """How many trials of a task may wait for a teacher while another is proposed."""
        search = self.study.search
        if search.hours is None and search.device_hours is None:
            return AHEAD * len(self.live)
        return max(0, len(self.live) - 1)  # what waits in the end may take a trial's time at most

    @property
    def remaining(self) -> int:
        """The number of trials that will need a lane and have none: planned or waiting.

        Those of a task that waits for another's winner are not counted: no lane and no node is to
        stand idle for them.
        """
        seed = self.study.search.seed
        names = [name for name in self.study.tasks if not self.proposals.waits(name, seed)]
        planned = sum(sum(self.planned_trials(name).values()) for name in names)
        return planned - len(self.journal.trials) + len(self._waiting)

    @property
    def unfinished(self) -> int:
        """The number of trials that have not ended: those that run, and those to come."""
        return len(self.live) + self.remaining

    def report(self, record: Record, report: Report, attempt: int) -> bool:
        """Record a report and return whether the trial continues.

        Args:
            record: the trial.
            report: its evaluation.
            attempt: number of the attempt that made it.
        """
        at, elapsed = self.clock.at, self.clock.elapsed
        event = ReportEvent(
            trial=record.id, at=at, elapsed=elapsed, **asdict(report), attempt=attempt
        )
        self.journal.write(event)
        return self.goes_on(record)

    def goes_on(self, record: Record) -> bool:
        """Return whether a trial continues after its latest report."""
        if self.rule is None:
            return True
        return should_continue(record, self._scores_at_rungs(self.rule, record))

    def outcome(self, record: Record, status: Outcome) -> TrialResult:
        """Return the result of a trial that ends with this status."""
        if status == "failed":  # the scores that it had reached are in its reports
            return TrialResult(status=status, score=None, best={}, last={})
        task = self.study.resolve(record.task)
        metric = task.selection_metric
        best, last = record.evaluation("best", metric), record.evaluation("last", metric)
        counted = record.evaluation(self._selection_of(record), metric)
        score = counted.scores[metric] if counted else None
        if gets_worst_score(status):
            score = metrics.worst(task.row.metric)
        return TrialResult(
            status=status,
            score=score,
            best=best.scores if best else {},
            last=last.scores if last else {},
        )

    def end(self, record: Record, status: Outcome, error: str | None = None) -> None:
        """End a trial: write its result to the journal, then tell the sampler.

        Args:
            record: the trial.
            status: how it ended.
            error: why it failed.
        """
        # A trial that was reused may run again after its result was told.
        is_search = record.phase == "search" and self.optuna_study(record.task).awaits(record)
        sampler = self.optuna_study(record.task).sampler_state(record) if is_search else None
        event = EndEvent(
            trial=record.id,
            at=self.clock.at,
            elapsed=self.clock.elapsed,
            **vars(self.outcome(record, status)),
            error=error,
            sampler=sampler,
        )
        self.journal.write(event)
        self.live.discard(record.id)
        if record.task in self._rung_scores:
            self._rung_scores[record.task].add(record)
        if is_search:
            self.optuna_study(record.task).tell(record)

    def requeue(self, record: Record) -> None:
        """Put a trial whose lane died at the head of the queue."""
        self.live.discard(record.id)
        self._waiting.insert(0, record.id)

    def optuna_study(self, task: str) -> OptunaStudy:
        """Return the task's Optuna study."""
        return self.proposals.optuna_study(task)

    def planned_trials(self, task: str) -> dict[Phase, int]:
        """Return the number of trials of each phase, as far as it is known now."""
        return leaderboard.planned_trials(self.study.resolve(task), self.journal)

    def wants_weights(self, record: Record, status: Outcome | None = None) -> bool:
        """Return whether a trial's weights are a teacher's, or may become the task's best.

        Args:
            record: the trial.
            status: how it ends; None before its end. Weights that are wanted at the end were wanted
                before.
        """
        if record.phase == "teach":
            return True
        if not may_be_printed(self.study, record):
            return False
        if status is None:
            return True
        return self.weights.may_win(replace(record, **vars(self.outcome(record, status))))

    def wants_predictions(self, record: Record) -> bool:
        """Return whether a trial's dev predictions are kept."""
        return keeps_predictions(self.study, record)

    def store_teacher(self, record: Record, weights: dict[str, Any]) -> None:
        """Store a teacher's weights, before its end is recorded.

        Raises:
            InputError: they cannot be written, for example on a full disk.
        """
        seconds = 3600 * (record.device_hours - record.lost_device_hours)
        facts = {"task": record.task, "configuration": record.configuration, "seed": record.seed}
        status = record.reports[-1].status
        assert status != "running", "a teacher that has not ended"
        result = vars(self.outcome(record, status))
        self.store.put(record.id, weights, {**facts, "seconds": seconds, **result})

    def request(self, record: Record, excused: int = 0) -> TrialRequest:
        """Return what a lane needs to know about a trial.

        Args:
            record: the trial.
            excused: the number of its attempts that were lost by no fault of its own; they cost no
                retry.
        """
        failed = max(0, record.attempts - excused)
        rungs = self.rule.fractions if self.rule and record.phase == "search" else ()
        return TrialRequest(
            trial=record.id,
            task=record.task,
            configuration={**self.study.resolve(record.task).fixed, **record.configuration},
            seed=record.seed,
            rungs=rungs,
            selector=self.study.resolve(record.task).selection_metric,
            select=self._selection_of(record),
            keep_weights=self.wants_weights(record),
            keep_predictions=self.wants_predictions(record),
            start=record.start or "",
            teacher=record.teacher,
            attempt=record.attempts + 1,
            retries=max(0, self.study.search.max_failures - failed),
        )

    def _next_waiting(self) -> Record | None:
        """Return the first waiting trial that can run, or the teacher that one waits for."""
        for identity in self._waiting:
            record = self._runnable(self.journal.trials[identity])
            if record is not None:
                if record.id in self._waiting:
                    self._waiting.remove(record.id)
                return record
        return None

    def _runnable(self, record: Record) -> Record | None:
        """Return what should run for a waiting trial.

        Returns:
            The trial itself, the teacher that it needs, or None if its teacher is still training.
            The record may have ended: a teacher that is in the store by now has, and so has a trial
            whose teacher failed, one that has no weights to start from, and one that another run
            answers.
        """
        if self.reused.end(record):
            return record
        at, elapsed = self.clock.at, self.clock.elapsed
        start = self.journal.trials.get(record.start or "")
        if start is not None and not has_model(status := start.status):
            assert status != "running", "a trial that started from one that runs"
            text = f"trial {start.id} of {start.task}, from whose weights it starts, {status}"
            self.end(record, status, text if status == "failed" else None)
            return record
        if record.phase == "teach":
            if facts := self.store.find(record.id):
                result = {name: facts[name] for name in ("status", "score", "best", "last")}
                event = StoredEndEvent(trial=record.id, at=at, elapsed=elapsed, **result)
                self.journal.write(event)
            return record
        identity, configuration = self.proposals.teacher(record) or ("", {})
        if not identity:
            return record
        if identity in self.live:
            return None
        teacher = self.journal.trials.get(identity)
        if facts := self.store.find(identity):
            if not record.teacher:
                seconds = facts["seconds"]
                taught = TaughtEvent(
                    trial=record.id, at=at, elapsed=elapsed, teacher=identity, seconds=seconds
                )
                self.journal.write(taught)
            return record
        if teacher is None:
            return self.proposals.begin(record.task, "teach", configuration, record.seed)
        if (status := teacher.status) == "running":
            return None
        if not has_model(status):
            self.end(record, status, teacher_failure(teacher))
            return record
        lost = LostEvent(trial=identity, at=at, elapsed=elapsed)
        self.journal.write(lost)  # it is trained again
        return teacher

    def _scores_at_rungs(self, rule: StoppingRule, record: Record) -> RungScores:
        """Return the scores with which a trial competes, its own among them."""
        if record.task not in self._rung_scores:
            metric = self.study.resolve(record.task).selection_metric
            self._rung_scores[record.task] = RungScores(rule, metric, self.journal.of(record.task))
        scores = self._rung_scores[record.task]
        scores.add(record)  # one that has begun since
        return scores

    def _waiting_of(self, task: str) -> int:
        return sum(self.journal.trials[identity].task == task for identity in self._waiting)

    def _selection_of(self, record: Record) -> Selection:
        """Return which evaluation of a trial counts."""
        selection: Selection = self.study.search.select
        if record.phase == "teach":
            hyper = self.study.resolve(record.task).hyperparameters(record.configuration)
            selection = getattr(hyper, "teacher_select", selection)
        return selection
