"""What to run next: the searches and confirmations of a study's tasks, decided from the journal.

It knows neither Ray nor time: a resumed run is a queue over a journal that is not empty."""

from collections.abc import Mapping
from typing import Any, Literal

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

AHEAD = 2  # trials that wait for a teacher, for each that runs, while more are proposed


class TrialQueue:
    """The trials of a study, one after another.

    Args:
        study: what is searched.
        journal: what has happened; everything new is written to it first.
        content: task -> identity of its data and model, part of every trial's id.
        devices: how many devices a trial holds.
        store: where trained teachers are kept.

    Raises:
        InputError: the journal's trials are not of this study, data and model.
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
        self.points = Proposals(study, journal, content, devices, self.clock)
        self.live: set[str] = set()
        waiting = [r for r in journal.trials.values() if not r.is_over]
        # Teachers first: others wait for them.
        self._waiting = [r.id for r in sorted(waiting, key=lambda r: r.phase != "teach")]
        journal.write("session", **self.clock.stamp(), version=__version__, format=FORMAT)

    def next(self) -> Record | Literal["wait", "done"]:
        """The next trial to run, begun in the journal; or that there is none now, or ever.

        It may be over without having run: see `_turn`.
        """
        record = self._next_waiting()
        for task in self.study.tasks:
            # Not all that is planned: the sampler would learn nothing while a teacher is trained.
            while record is None and self._waiting_of(task) <= AHEAD * len(self.live):
                if (fresh := self.points.next(task)) is None:
                    break
                self._waiting.append(fresh.id)
                record = self._next_waiting()
        if record is None:
            return "wait" if self.live else "done"
        if not record.is_over:
            self.live.add(record.id)
        return record

    @property
    def remaining(self) -> int:
        """Trials that will want a lane and have none: those to come, and those that wait."""
        planned = sum(sum(self.planned_trials(task).values()) for task in self.study.tasks)
        return planned - len(self.journal.trials) + len(self._waiting)

    def report(self, record: Record, values: dict[str, Any]) -> bool:
        """Take in a report; whether the trial goes on."""
        self.journal.write("report", trial=record.id, **self.clock.stamp(), **values)
        halving = self.study.search.stop_early
        if halving is None or record.phase != "search" or values["status"] != "running":
            return True
        metric = self.study.selection_metric(record.task)
        rivals = self.journal.of(record.task, "search")
        return should_continue(record, rivals, metric, halving.keep)

    def outcome(self, record: Record, status: str) -> dict[str, Any]:
        """What a trial that ends so came to."""
        if status == "failed":  # what it had reached by then is in its reports
            return {"status": status, "score": None, "best": {}, "last": {}}
        task, metric = tasks.get(record.task), self.study.selection_metric(record.task)
        scored = [r["scores"] for r in record.reports if r["scores"]]
        best = max(scored, key=lambda scores: scores[metric]) if scored else {}
        last = scored[-1] if scored else {}
        score = (best if self._selection_of(record) == "best" else last).get(metric)
        if status in ("diverged", "degenerate"):
            score = metrics.worst(task.metric)
        return {"status": status, "score": score, "best": best, "last": last}

    def end(self, record: Record, status: str, error: str | None = None) -> None:
        """A trial has ended: the journal has it, then the sampler knows."""
        values = {**self.outcome(record, status), "error": error}
        if record.phase == "search":
            values["sampler"] = self.optuna_study(record.task).sampler_state(record)
        self.journal.write("end", trial=record.id, **self.clock.stamp(), **values)
        self.live.discard(record.id)
        if record.phase == "search":
            self.optuna_study(record.task).tell(record)

    def requeue(self, record: Record) -> None:
        """A trial whose lane died goes to the head of the queue."""
        self.live.discard(record.id)
        self._waiting.insert(0, record.id)

    def optuna_study(self, task: str) -> OptunaStudy:
        """The task's Optuna study."""
        return self.points.optuna_study(task)

    def planned_trials(self, task: str) -> dict[Phase, int]:
        """Trials of each phase, as far as can be told now."""
        return leaderboard.planned_trials(self.study, self.journal, task)

    def wants_weights(self, record: Record) -> bool:
        """Whether a trial's weights are a teacher's, or may become the task's best."""
        return record.phase != "search" or not self.study.confirm.seeds

    def store_teacher(self, record: Record, weights: dict[str, Any]) -> None:
        """Keep a teacher's weights, before its end is told. Raises InputError without room."""
        seconds = 3600 * (record.device_hours - record.lost_device_hours)
        facts = {"task": record.task, "configuration": record.configuration, "seed": record.seed}
        outcome = self.outcome(record, record.reports[-1]["status"])
        self.store.put(record.id, weights, {**facts, "seconds": seconds, **outcome})

    def request(self, record: Record) -> dict[str, Any]:
        """What a lane needs to know of a trial."""
        halving = self.study.search.stop_early
        rungs = halving.at if halving and record.phase == "search" else ()
        return {
            "trial": record.id,
            "task": record.task,
            "configuration": {**self.study.fixed_of(record.task), **record.configuration},
            "seed": record.seed,
            "rungs": tuple(rungs),
            "selector": self.study.selection_metric(record.task),
            "select": self._selection_of(record),
            "keep": self.wants_weights(record),
            "teacher": record.teacher,
            "attempt": record.attempts + 1,
            "retries": max(0, self.study.search.max_failures - record.attempts),
        }

    def _next_waiting(self) -> Record | None:
        """The first of the waiting trials that need not wait, or a teacher that one waits for."""
        for identity in self._waiting:
            found = self._runnable(self.journal.trials[identity])
            if found is not None:
                if found.id in self._waiting:
                    self._waiting.remove(found.id)
                return found
        return None

    def _runnable(self, record: Record) -> Record | None:
        """What a waiting trial leads to: itself, its teacher where that is to be trained, or None.

        A teacher that lies on the store by now is over, and so is a trial that none can teach.
        """
        if record.phase == "teach":
            if facts := self.store.find(record.id):
                found = {name: facts[name] for name in ("status", "score", "best", "last")}
                self.journal.write("end", trial=record.id, **self.clock.stamp(), **found)
            return record
        teacher, configuration = self.points.teacher(record) or ("", {})
        if not teacher:
            return record
        if teacher in self.live:
            return None
        trained = self.journal.trials.get(teacher)
        if facts := self.store.find(teacher):
            if not record.teacher:
                values = {"teacher": teacher, "seconds": facts["seconds"]}
                self.journal.write("taught", trial=record.id, **self.clock.stamp(), **values)
            return record
        if trained is None:
            return self.points.begin(record.task, "teach", configuration, record.seed)
        if not trained.is_over:
            return None
        if trained.status in ("diverged", "failed"):
            self.end(record, trained.status, teacher_failure(trained))
            return record
        self.journal.write("lost", trial=teacher, **self.clock.stamp())
        return trained

    def _waiting_of(self, task: str) -> int:
        return sum(self.journal.trials[identity].task == task for identity in self._waiting)

    def _selection_of(self, record: Record) -> str:
        """Which evaluation of a trial counts, "best" or "last"."""
        if record.phase == "teach":
            return self.study.hyperparameters(record.task, record.configuration).teacher_select
        return self.study.search.select
