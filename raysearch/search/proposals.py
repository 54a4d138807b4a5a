"""The trials that a study begins, each once.

Their points come from the start list, the grid, the sampler, or the search's best. It is apart from
the queue because it knows the journal, but not when a trial runs.
"""

import itertools
import random
from collections.abc import Callable, Mapping

import optuna

from .. import search_space as spaces
from ..recipes import RECIPES
from ..results import leaderboard
from ..run_folder import DraftJournal, Journal, Phase, Record
from ..run_folder.events import RepeatEvent, TrialEvent
from ..run_folder.trial_identity import TrialOrigin, trial_id
from ..study import Configuration, Study
from .device_budget import DeviceBudget
from .sampler_choice import SamplerFactory
from .samplers import OptunaStudy
from .session_clock import SessionClock

ATTEMPTS = 30  # proposals in a row that are known already, before an untried point is drawn
CELLS = 100_000  # a larger space is not listed: only few of its points can be known already


class Proposals:
    """A source of a study's trials.

    Args:
        study: what is searched.
        journal: what has happened so far.
        content: task -> identity of its data and model.
        devices: the number of devices that a trial holds.
        clock: of the session; one that starts now by default.
        own_sampler: makes the samplers in place of the study's, see `SamplerChoice.make`.
    """

    def __init__(
        self,
        study: Study,
        journal: Journal | DraftJournal,
        content: Mapping[str, str],
        devices: int,
        clock: SessionClock | None = None,
        own_sampler: Callable[[], SamplerFactory] | None = None,
    ) -> None:
        self.study, self.journal, self.content, self.devices = study, journal, content, devices
        self.origin, self.clock = TrialOrigin(content=content), clock or SessionClock()
        self.budget = DeviceBudget(study, journal)
        self._own_sampler = own_sampler
        self._optuna_studies: dict[str, OptunaStudy] = {}
        self._cells: dict[str, list[Configuration]] = {}  # of the grid, those not known to be tried
        self._teachers: dict[str, tuple[str, Configuration] | None] = {}
        self._starts: dict[tuple[str, int], Record] = {}  # by task and seed, once they are known

    def next(self, task: str) -> Record | None:
        """Begin a task's next trial in the journal; return None if there is none now, or ever."""
        if self.waits(task, self.study.search.seed):
            return None
        planned = leaderboard.planned_trials(self.study.resolve(task), self.journal)
        begun = self.journal.begun(task, "search")
        if begun < planned["search"]:
            return self._propose(task) if self.budget.allows_another() else None
        if self.journal.ended(task, "search") < begun or not planned["confirm"]:
            return None
        return self._confirm(task)

    def teacher(self, record: Record) -> tuple[str, Configuration] | None:
        """Return the trial that teaches another; None if it has no teacher.

        Returns:
            Its id, and its full configuration.
        """
        if record.id not in self._teachers:
            recipe, task = RECIPES[self.study.recipe], record.task
            hyper = self.study.resolve(task).hyperparameters(record.configuration)
            teacher = None
            if (configuration := recipe.teacher_configuration(hyper)) is not None:
                full = recipe.hyper.model_validate(configuration).model_dump(mode="json")
                teacher = self._id(task, "teach", full, record.seed), full
            self._teachers[record.id] = teacher
        return self._teachers[record.id]

    def begin(
        self,
        task: str,
        phase: Phase,
        point: Configuration,
        seed: int,
        trial: optuna.Trial | None = None,
    ) -> Record:
        """Write a new trial to the journal and return its record.

        Args:
            task: name of the task.
            phase: "search", "confirm" or "teach".
            point: the configuration without the fixed hyperparameters; a teacher's is full.
            seed: of the trial.
            trial: Optuna's trial, if its sampler proposed the point.
        """
        identity = self._id(task, phase, point, seed)
        event = TrialEvent(
            trial=identity,
            number=self.journal.begun(task),
            task=task,
            phase=phase,
            configuration=point,
            seed=seed,
            devices=self.devices,
            start=self._start(task, seed),
        )
        self.journal.write(event)
        record = self.journal.trials[identity]
        if phase == "search":
            self.optuna_study(task).begin(record, trial)
        return record

    def optuna_study(self, task: str) -> OptunaStudy:
        """Return the task's Optuna study, which knows all trials of the journal."""
        if task not in self._optuna_studies:
            search, asked = self.study.search, self.journal.asked.get(task, ())
            facts = self.study.resolve(task)
            optuna_study = OptunaStudy(
                facts.space,
                search.sampler,
                search.seed,
                facts.selection_metric,
                self._own_sampler() if self._own_sampler else None,
                minimizes_cost=search.minimize is not None,
            )
            for identity in asked:
                optuna_study.replay(self.journal.trials[identity])
            self._optuna_studies[task] = optuna_study
        return self._optuna_studies[task]

    def _confirm(self, task: str) -> Record | None:
        """Begin the first confirmation that may begin and has not begun yet."""
        plan = leaderboard.confirmation(self.study.resolve(task), self.journal)
        for point, seed in plan.trials:
            if self.waits(task, seed):
                continue
            if self._id(task, "confirm", point, seed) not in self.journal.trials:
                return self.begin(task, "confirm", point, seed)
        return None

    def _propose(self, task: str) -> Record:
        """Begin a trial of a new point: from the start list, the grid or the sampler."""
        seed, optuna_study = self.study.search.seed, self.optuna_study(task)
        for point in self.study.resolve(task).initial_points:
            if self._id(task, "search", point, seed) not in self.journal.trials:
                return self.begin(task, "search", point, seed)
        for _ in range(ATTEMPTS if self.study.search.sampler != "grid" else 0):
            point, trial = optuna_study.ask()
            known = self.journal.trials.get(self._id(task, "search", point, seed))
            if known is None:
                return self.begin(task, "search", point, seed, trial)
            at, elapsed = self.clock.at, self.clock.elapsed
            self.journal.write(RepeatEvent(trial=known.id, at=at, elapsed=elapsed))
            optuna_study.repeat(trial, known)
        return self.begin(task, "search", self._untried(task), seed)

    def _untried(self, task: str) -> Configuration:
        """Return a point that no trial has: from the grid in seeded order, or a random one."""
        seed, space = self.study.search.seed, self.study.resolve(task).space
        known = self.journal.trials
        if spaces.count_points(space) > CELLS:
            random_study = OptunaStudy(
                space, "random", seed + self.journal.begun(task, "search"), ""
            )
            points = (random_study.ask()[0] for _ in itertools.count())
            return next(p for p in points if self._id(task, "search", p, seed) not in known)
        if task not in self._cells:
            self._cells[task] = spaces.grid(space)
            random.Random(seed).shuffle(self._cells[task])
            self._cells[task].reverse()  # the next one last
        cells = self._cells[task]
        while self._id(task, "search", cells[-1], seed) in known:
            cells.pop()  # for good, as no trial is ever removed from a journal
        return cells[-1]

    def _id(self, task: str, phase: Phase, point: Configuration, seed: int) -> str:
        """Return the id of a trial, see `run_folder.trial_identity.trial_id`."""
        start = self._start(task, seed)
        return trial_id(self.study, task, phase, point, seed, self.origin, start)

    def _start(self, task: str, seed: int) -> str | None:
        """Return the id of the trial whose weights a task's trials start from; None for a model."""
        if (task, seed) not in self._starts:
            start = leaderboard.start_of(self.study.resolve(task), self.journal, seed)
            if start is None:
                return None
            self._starts[task, seed] = start
        return self._starts[task, seed].id

    def waits(self, task: str, seed: int) -> bool:
        """Return whether a task's trials with a seed cannot begin, as their start is not known."""
        return self.study.resolve(task).source is not None and self._start(task, seed) is None
