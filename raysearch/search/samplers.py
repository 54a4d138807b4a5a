"""Optuna's side of a task's search: distributions, samplers, and a study that is asked and told.

It is apart from `proposals` because that knows the journal, and this knows Optuna.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ..results.optuna_trials import distribution, frozen_trial, simple
from ..run_folder import Record
from ..run_folder.sampler_state import STATES
from ..search_space import Choice, IntRange, LogUniform, Space, active_space, parents_first
from .sampler_choice import SamplerFactory

optuna.logging.set_verbosity(optuna.logging.WARNING)
MAXIMIZE, MINIMIZE = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(
        seed=seed,
        multivariate=True,
        group=False,
        constant_liar=True,
        n_startup_trials=8,
        warn_independent_sampling=False,
    )


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _cmaes(seed: int) -> BaseSampler:
    from .cmaes_sampler import PlainCmaEsSampler  # imports SciPy, which takes a second

    return PlainCmaEsSampler(seed=seed, warn_independent_sampling=False)


def _gp(seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler  # imports SciPy and torch

    return GPSampler(
        seed=seed,
        n_startup_trials=8,
        deterministic_objective=False,
        warn_independent_sampling=False,
    )


def _nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(
        seed=seed,
        population_size=12,
        crossover_prob=0.9,
        swapping_prob=0.5,
    )


# Name in a study -> the sampler of a seed. Every argument whose default Optuna might change is set.
# The sampler qmc needs more than a seed, see `OptunaStudy._sampler`.
SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "grid": _random,  # a grid is not sampled, see `Proposals`: this only records trials
    "cmaes": _cmaes,
    "gp": _gp,
    "nsga2": _nsga2,
}


class OptunaStudy:
    """The Optuna study of one task.

    Args:
        space: what is searched.
        name: of the sampler, see SAMPLERS.
        seed: of the search; every trial's sampler has a seed of its own that follows from it.
        metric: the score that selects; reports have it as their intermediate value.
        make: makes the sampler of a seed, in the place of the one of that name.
        minimizes_cost: whether device hours are a second objective.

    Attributes:
        study: Optuna's own study.
        directions: of its objectives.
    """

    def __init__(
        self,
        space: Space,
        name: str,
        seed: int,
        metric: str,
        make: SamplerFactory | None = None,
        *,
        minimizes_cost: bool = False,
    ) -> None:
        self.space, self.metric, self._name, self._seed = space, metric, name, seed
        self._make, self.directions = make, [MAXIMIZE, MINIMIZE][: 1 + minimizes_cost]
        self._distributions = {name: distribution(d) for name, d in space.items()}
        self._count = 0  # of Optuna's trials
        self.study = optuna.create_study(directions=self.directions, sampler=self._sampler())
        # Record's id -> Optuna's trials of it: the first began it, the others are repeats.
        self._trials: dict[str, list[optuna.Trial]] = {}
        self._replayed: set[str] = set()

    def ask(self) -> tuple[dict[str, Any], optuna.Trial]:
        """Return a new point, and Optuna's trial, which is to be told its result."""
        trial = self._ask()
        return self._point(trial.params), trial

    def begin(self, record: Record, trial: optuna.Trial | None = None) -> None:
        """Record that a trial runs.

        Args:
            record: the trial.
            trial: Optuna's trial; None if its sampler did not propose the point.
        """
        if trial is None:
            trial = self._ask_for(record)
        self._trials[record.id] = [trial]

    def sampler_state(self, record: Record) -> dict[str, Any]:
        """Return what the sampler keeps with a running trial, for `replay`.

        CMA-ES keeps its state, NSGA-II the trial's generation.
        """
        number = self._trials[record.id][0].number
        attributes = self.study.get_trials(deepcopy=False)[number].system_attrs
        return {name: attributes[name] for name in STATES if name in attributes}

    def tell(self, record: Record) -> None:
        """Tell Optuna the result of an ended trial, and of its repeats."""
        for trial in self._trials.pop(record.id):
            self._finish(trial, record)

    def repeat(self, trial: optuna.Trial, record: Record) -> None:
        """Tell Optuna the result of a known trial that its sampler proposed again.

        If the trial still runs, the result is told when it ends.
        """
        if record.is_over:
            self._finish(trial, record)
        else:
            self._trials[record.id].append(trial)

    def replay(self, record: Record) -> None:
        """Add a trial of an earlier session, as if it had been told then.

        Samplers look at the order of trials. So it is called once for each proposal, in their
        order: with a record that it was called with before, for a repeat.
        """
        if record.id in self._replayed:
            self.repeat(self._ask_for(record), record)
        elif record.is_over:
            self.study.add_trial(self.frozen(record))
            self._count += 1
        else:
            self.begin(record)
        self._replayed.add(record.id)

    def awaits(self, record: Record) -> bool:
        """Return whether a trial runs whose result is not told yet."""
        return record.id in self._trials

    def frozen(self, record: Record) -> optuna.trial.FrozenTrial:
        """Return an ended trial as Optuna stores it.

        Its intermediate values are at percents of its schedule. A stopped trial has the last one
        as its value.
        """
        return frozen_trial(record, self.space, self.metric, len(self.directions))

    def _ask_for(self, record: Record) -> optuna.Trial:
        """Return Optuna's trial for a point that its sampler did not propose."""
        self.study.enqueue_trial(self._params(record.configuration))
        return self._ask()

    def _ask(self) -> optuna.Trial:
        """Return Optuna's next trial."""
        sampler, before = self._sampler(), self.study.sampler
        learners = TPESampler | CmaEsSampler
        if isinstance(sampler, learners) and isinstance(before, learners):
            # Of the trials that have ended it knows what they searched; a new one asks them all.
            sampler._search_space = before._search_space
        self.study.sampler = sampler
        self._count += 1
        trial = self.study.ask()
        point: dict[str, Any] = {}
        for name in parents_first(self.space):
            if self.space[name].applies(point):
                point[name] = self._own_value(name, self._suggest(trial, name))
        return trial

    def _suggest(self, trial: optuna.Trial, name: str) -> Any:
        """Return a trial's value of a dimension, as Optuna has it."""
        dimension = self.space[name]
        if isinstance(dimension, Choice):
            return trial.suggest_categorical(name, [simple(value) for value in dimension.choice])
        low, high = dimension.ends
        if isinstance(dimension, IntRange):
            return trial.suggest_int(name, int(low), int(high))
        is_log = isinstance(dimension, LogUniform)
        return trial.suggest_float(name, float(low), float(high), log=is_log)

    def _sampler(self) -> BaseSampler:
        """Return a sampler for the next trial, whose seed depends on the trial's number.

        A resumed run thus draws the numbers that an uninterrupted one would have drawn, although no
        state of a random number generator is kept.
        """
        words = np.random.SeedSequence([self._seed, self._count]).generate_state(1)
        seed = int(words[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some arguments are experimental
            if self._make is not None:
                return self._make(seed)
            if self._name == "qmc":
                from .sobol_sampler import SobolSampler  # its points need SciPy

                space = self.space.items()
                covered = {n: self._distributions[n] for n, d in space if not d.when}
                return SobolSampler(self._seed, self._count, covered, seed)
            return SAMPLERS[self._name](seed)

    def _finish(self, trial: optuna.Trial, record: Record) -> None:
        frozen = self.frozen(record)
        for step, value in frozen.intermediate_values.items():
            trial.report(value, step)
        complete = frozen.state == TrialState.COMPLETE
        self.study.tell(trial, frozen.values if complete else None, state=frozen.state)

    def _params(self, point: Mapping[str, Any]) -> dict[str, Any]:
        return {name: simple(point[name]) for name in active_space(self.space, point)}

    def _point(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the point of Optuna's parameters, in the study's own values and order."""
        return {n: self._own_value(n, params[n]) for n in self.space if n in params}

    def _own_value(self, name: str, value: Any) -> Any:
        """Return the study's value of a dimension for Optuna's."""
        dimension = self.space[name]
        values = dimension.choice if isinstance(dimension, Choice) else ()
        choices = {json.dumps(simple(choice)): choice for choice in values}
        return choices.get(json.dumps(value), value)
