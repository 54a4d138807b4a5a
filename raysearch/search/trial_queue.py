"""Which trial runs next: the searches and confirmations of a study's tasks, from the journal.

It is apart because it knows neither Ray nor time: a resumed run is a queue over a journal that is
not empty.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from .. import __version__, metrics, tasks
from ..results import leaderboard
from ..run_folder import FORMAT, Journal, Phase, Record, opening
from ..run_folder.trial_identity import TrialOrigin, refuse_others
from ..study import Study
from .proposals import Proposals
from .samplers import OptunaStudy
from .session_clock import SessionClock
from .successive_halving import should_continue
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


class TrialQueue:
    """The trials of a study, one after another.

    Args:
        study: what is searched.
        journal: what has happened so far; every new event is written to it first.
        content: task -> identity of its data and model, part of every trial's id.
        devices: the number of devices that a trial holds.
        store: where trained teachers are kept; the cache's store by default.

    Attributes:
        live: ids of the trials that run.

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
    ) -> None:
        refuse_others(study.name, study, journal, TrialOrigin(content=content))
        opening.refuse_misfits(journal.folder, study, journal, resumed=True)
        self.study, self.journal, self.store = study, journal, store or TeacherStore()
        self.clock = SessionClock()
        self.proposals = Proposals(study, journal, content, devices, self.clock)
        self.live: set[str] = set()
        unfinished = [r for r in journal.trials.values() if not r.is_over]
        # Teachers first: others wait for them.
        self._waiting = [r.id for r in sorted(unfinished, key=lambda r: r.phase != "teach")]
        journal.write("session", **self.clock.stamp(), version=__version__, format=FORMAT)

    def next(self) -> Record | QueueState:
        """Return the next trial to run, begun in the journal, or why there is none.

        Returns:
            The record of a trial, which may have ended without a step, see `_runnable`; or the
            state of a queue without one.
        """
        record = self._next_waiting()
        for task in self.study.tasks:
            # Not all that is planned: the sampler would learn nothing while a teacher is trained.
            while record is None and self._waiting_of(task) <= AHEAD * len(self.live):
                if (proposed := self.proposals.next(task)) is None:
                    break
                self._waiting.append(proposed.id)
                record = self._next_waiting()
        if record is None:
            return QueueState.WAITING if self.live else QueueState.DONE
        if not record.is_over:
            self.live.add(record.id)
        return record

    @property
    def remaining(self) -> int:
        """The number of trials that will need a lane and have none: planned or waiting."""
        planned = sum(sum(self.planned_trials(task).values()) for task in self.study.tasks)
        return planned - len(self.journal.trials) + len(self._waiting)

    def report(self, record: Record, values: dict[str, Any]) -> bool:
        """Record a report and return whether the trial continues.

        Args:
            record: the trial.
            values: a Report's fields, with `attempt`.
        """
        self.journal.write("report", trial=record.id, **self.clock.stamp(), **values)
        halving = self.study.search.stop_early
        if halving is None or record.phase != "search" or values["status"] != "running":
            return True
        metric = self.study.resolve(record.task).selection_metric
        others = self.journal.of(record.task, "search")
        return should_continue(record, others, metric, halving.keep)

    def outcome(self, record: Record, status: str) -> dict[str, Any]:
        """Return the result of a trial that ends with this status.

        Returns:
            `status`; `score`, of the evaluation that counts, the metric's worst value if the trial
            diverged or learned nothing, None if it failed; `best` and `last`, all scores of these
            evaluations.
        """
        if status == "failed":  # the scores that it had reached are in its reports
            return {"status": status, "score": None, "best": {}, "last": {}}
        task, metric = tasks.get(record.task), self.study.resolve(record.task).selection_metric
        scored = [r["scores"] for r in record.reports if r["scores"]]
        best = max(scored, key=lambda scores: scores[metric]) if scored else {}
        last = scored[-1] if scored else {}
        score = (best if self._selection_of(record) == "best" else last).get(metric)
        if status in ("diverged", "degenerate"):
            score = metrics.worst(task.metric)
        return {"status": status, "score": score, "best": best, "last": last}

    def end(self, record: Record, status: str, error: str | None = None) -> None:
        """End a trial: write its result to the journal, then tell the sampler.

        Args:
            record: the trial.
            status: "finished", "stopped", "diverged", "degenerate" or "failed".
            error: why it failed.
        """
        values = {**self.outcome(record, status), "error": error}
        if record.phase == "search":
            values["sampler"] = self.optuna_study(record.task).sampler_state(record)
        self.journal.write("end", trial=record.id, **self.clock.stamp(), **values)
        self.live.discard(record.id)
        if record.phase == "search":
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

    def wants_weights(self, record: Record) -> bool:
        """Return whether a trial's weights are a teacher's, or may become the task's best."""
        return record.phase != "search" or not self.study.confirm.seeds

    def store_teacher(self, record: Record, weights: dict[str, Any]) -> None:
        """Store a teacher's weights, before its end is recorded.

        Raises:
            InputError: they cannot be written, for example on a full disk.
        """
        seconds = 3600 * (record.device_hours - record.lost_device_hours)
        facts = {"task": record.task, "configuration": record.configuration, "seed": record.seed}
        outcome = self.outcome(record, record.reports[-1]["status"])
        self.store.put(record.id, weights, {**facts, "seconds": seconds, **outcome})

    def request(self, record: Record) -> dict[str, Any]:
        """Return what a lane needs to know about a trial: the fields of a TrialRequest."""
        halving = self.study.search.stop_early
        rungs = halving.at if halving and record.phase == "search" else ()
        return {
            "trial": record.id,
            "task": record.task,
            "configuration": {**self.study.resolve(record.task).fixed, **record.configuration},
            "seed": record.seed,
            "rungs": tuple(rungs),
            "selector": self.study.resolve(record.task).selection_metric,
            "select": self._selection_of(record),
            "keep": self.wants_weights(record),
            "teacher": record.teacher,
            "attempt": record.attempts + 1,
            "retries": max(0, self.study.search.max_failures - record.attempts),
        }

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
            whose teacher failed.
        """
        if record.phase == "teach":
            if facts := self.store.find(record.id):
                result = {name: facts[name] for name in ("status", "score", "best", "last")}
                self.journal.write("end", trial=record.id, **self.clock.stamp(), **result)
            return record
        identity, configuration = self.proposals.teacher(record) or ("", {})
        if not identity:
            return record
        if identity in self.live:
            return None
        teacher = self.journal.trials.get(identity)
        if facts := self.store.find(identity):
            if not record.teacher:
                values = {"teacher": identity, "seconds": facts["seconds"]}
                self.journal.write("taught", trial=record.id, **self.clock.stamp(), **values)
            return record
        if teacher is None:
            return self.proposals.begin(record.task, "teach", configuration, record.seed)
        if not teacher.is_over:
            return None
        if teacher.status in ("diverged", "failed"):
            self.end(record, teacher.status, teacher_failure(teacher))
            return record
        self.journal.write("lost", trial=identity, **self.clock.stamp())  # it is trained again
        return teacher

    def _waiting_of(self, task: str) -> int:
        return sum(self.journal.trials[identity].task == task for identity in self._waiting)

    def _selection_of(self, record: Record) -> str:
        """Return which evaluation of a trial counts, "best" or "last"."""
        selection: str = self.study.search.select
        if record.phase == "teach":
            hyper = self.study.resolve(record.task).hyperparameters(record.configuration)
            selection = getattr(hyper, "teacher_select", selection)
        return selection
