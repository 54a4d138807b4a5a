"""Which trials a study begins: points from the start list, the grid, the sampler or the search's
best, each once. It knows the journal, and not when anything runs."""

import itertools
import random
from collections.abc import Mapping
from typing import Any

from .. import search_space as spaces
from ..recipes import RECIPES
from ..results import leaderboard
from ..run_folder import Journal, Phase, Record
from ..run_folder.trial_identity import TrialOrigin, trial_id
from ..study import Configuration, Study
from .samplers import OptunaStudy
from .session_clock import SessionClock

ATTEMPTS = 30  # proposals in a row that were known, after which an untried point is drawn
CELLS = 100_000  # a space with more is never listed: few of its points can be known


class Proposals:
    """The trials of a study that are begun, and those to begin next.

    Args:
        study, journal, content, devices: see Agenda.
        clock: of the session; one that starts now by default.
    """

    def __init__(
        self,
        study: Study,
        journal: Journal,
        content: Mapping[str, str],
        devices: int,
        clock: SessionClock | None = None,
    ) -> None:
        self.study, self.journal, self.content, self.devices = study, journal, content, devices
        self.origin, self.clock = TrialOrigin(content=content), clock or SessionClock()
        self._askers: dict[str, OptunaStudy] = {}
        self._teachers: dict[str, tuple[str, Configuration] | None] = {}

    def next(self, task: str) -> Record | None:
        """A task's next trial, begun in the journal; None while there is none, or for ever."""
        planned = leaderboard.planned_trials(self.study, self.journal, task)
        searched = self.journal.of(task, "search")
        if len(searched) < planned["search"]:
            return self._propose(task)
        if any(not record.is_over for record in searched) or not planned["confirm"]:
            return None
        return self._confirm(task)

    def teacher(self, record: Record) -> tuple[str, Configuration] | None:
        """Id and whole configuration of the trial that teaches another; None where none does."""
        if record.id not in self._teachers:
            recipe, task = RECIPES[self.study.recipe], record.task
            wanted = recipe.teacher_configuration(
                self.study.hyperparameters(task, record.configuration)
            )
            if wanted is not None:
                whole = recipe.hyper.model_validate(wanted).model_dump(mode="json")
                wanted = self._id(task, "teach", whole, record.seed), whole
            self._teachers[record.id] = wanted
        return self._teachers[record.id]

    def begin(
        self, task: str, phase: Phase, point: Configuration, seed: int, trial: Any = None
    ) -> Record:
        """Write a new trial to the journal; `trial` is Optuna's, where its sampler chose it."""
        identity = self._id(task, phase, point, seed)
        self.journal.write(
            "trial",
            trial=identity,
            number=len(self.journal.of(task)),
            task=task,
            phase=phase,
            configuration=point,
            seed=seed,
            devices=self.devices,
        )
        record = self.journal.trials[identity]
        if phase == "search":
            self.optuna_study(task).begin(record, trial)
        return record

    def optuna_study(self, task: str) -> OptunaStudy:
        """The task's Optuna study, told everything that the journal holds."""
        if task not in self._askers:
            search, records = self.study.search, self.journal.of(task, "search")
            metric = self.study.selection_metric(task)
            # A resumed sampler must not draw the numbers of the first session again.
            seed = search.seed + 1000 * len(records)
            asker = OptunaStudy(self.study.space_of(task), search.sampler, seed, metric)
            for record in records:
                asker.replay(record)
            self._askers[task] = asker
        return self._askers[task]

    def _confirm(self, task: str) -> Record | None:
        """The first confirmation that has not been begun."""
        for point in leaderboard.configurations_to_confirm(self.study, self.journal, task):
            for seed in self.study.confirm.seeds:
                if self._id(task, "confirm", point, seed) not in self.journal.trials:
                    return self.begin(task, "confirm", point, seed)
        return None

    def _propose(self, task: str) -> Record:
        """A point that has not been tried: from the start list, the grid or the sampler."""
        seed, asker = self.study.search.seed, self.optuna_study(task)
        for point in self.study.initial_points(task):
            if self._id(task, "search", point, seed) not in self.journal.trials:
                return self.begin(task, "search", point, seed)
        for _ in range(ATTEMPTS if self.study.search.sampler != "grid" else 0):
            point, trial = asker.ask()
            known = self.journal.trials.get(self._id(task, "search", point, seed))
            if known is None:
                return self.begin(task, "search", point, seed, trial)
            self.journal.write("repeat", trial=known.id, **self.clock.stamp())
            asker.repeat(trial, known)
        return self.begin(task, "search", self._untried(task), seed)

    def _untried(self, task: str) -> Configuration:
        """A point that no trial has: a grid's cells in a seeded order, else one drawn at random."""
        seed, space = self.study.search.seed, self.study.space_of(task)
        if spaces.count_points(space) > CELLS:
            drawn = OptunaStudy(space, "random", seed + len(self.journal.of(task)), "")
            points = (drawn.ask()[0] for _ in itertools.count())
        else:
            points = spaces.grid(space)
            random.Random(seed).shuffle(points)
        known = self.journal.trials
        return next(p for p in points if self._id(task, "search", p, seed) not in known)

    def _id(self, task: str, phase: Phase, point: Configuration, seed: int) -> str:
        """Identity of a trial, see `identity.trial_id`."""
        return trial_id(self.study, task, phase, point, seed, self.origin)
