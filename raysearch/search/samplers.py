"""Optuna's side of a task's search: distributions, samplers by name, asking and telling."""

import json
import sqlite3
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from sqlalchemy.pool import StaticPool

from ..run_folder import Record
from ..run_folder.sampler_state import GENERATION, STATE, plain_state
from ..search_space import Dimension, Space
from ..storage import write_atomically
from .cmaes_sampler import PlainCmaEsSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STATES = {
    "finished": TrialState.COMPLETE,
    "diverged": TrialState.COMPLETE,
    "degenerate": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def distribution(dimension: Dimension) -> BaseDistribution:
    """The dimension as Optuna has it; choices that are mappings travel as JSON."""
    if dimension.kind == "choice":
        return CategoricalDistribution([_simple(value) for value in dimension.choice])
    low, high = dimension.range
    if dimension.kind == "int":
        return IntDistribution(int(low), int(high))
    return FloatDistribution(float(low), float(high), log=dimension.kind == "log")


def sampler(name: str, seed: int) -> BaseSampler:
    """A sampler by its name in a study, every argument that Optuna might change pinned."""
    if name == "random" or name == "grid":
        return RandomSampler(seed=seed)
    if name == "cmaes":
        return PlainCmaEsSampler(seed=seed, warn_independent_sampling=False)
    return TPESampler(
        seed=seed, multivariate=True, group=False, constant_liar=True, n_startup_trials=8,
        warn_independent_sampling=False,
    )  # fmt: skip


class OptunaStudy:
    """The Optuna study of one task.

    Args:
        space: what is searched.
        name: of the sampler.
        seed: of the sampler.
        metric: the score that selects, for intermediate values.
    """

    def __init__(self, space: Space, name: str, seed: int, metric: str) -> None:
        self.space, self.metric = space, metric
        self._distributions = {name: distribution(d) for name, d in space.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that some arguments are experimental
            chooser = sampler(name, seed)
        self.study = optuna.create_study(direction="maximize", sampler=chooser)
        self._asked: dict[str, list[optuna.Trial]] = {}  # a record's, the first began it

    def ask(self) -> tuple[dict[str, Any], optuna.Trial]:
        """A new point, and Optuna's trial to tell about it."""
        trial = self.study.ask(self._distributions)
        return self._point(trial.params), trial

    def begin(self, record: Record, trial: optuna.Trial | None = None) -> None:
        """A trial is under way; without `trial` its point came from elsewhere."""
        if trial is None:
            trial = self._ask_for(record)
        self._asked[record.id] = [trial]

    def sampler_state(self, record: Record) -> dict[str, Any]:
        """What the sampler keeps with a running trial, for `recall`: CMA-ES its state."""
        kept = self.study.trials[self._asked[record.id][0].number].system_attrs
        return {name: kept[name] for name in (GENERATION, STATE) if name in kept}

    def tell(self, record: Record) -> None:
        """A trial has ended."""
        for trial in self._asked.pop(record.id):
            self._finish(trial, record)

    def repeat(self, trial: optuna.Trial, record: Record) -> None:
        """The sampler proposed a known trial: it gets the stored result, or waits for it."""
        if record.is_over:
            self._finish(trial, record)
        else:
            self._asked[record.id].append(trial)

    def replay(self, record: Record) -> None:
        """A trial of an earlier session, with its repeats, as if all had been told then."""
        if record.is_over:
            self.study.add_trial(self.frozen(record))
        else:
            self.begin(record)
        for _ in range(record.repeats):
            self.repeat(self._ask_for(record), record)

    def frozen(self, record: Record) -> optuna.trial.FrozenTrial:
        """An ended trial as Optuna stores it."""
        state = _STATES[record.status]
        values = {
            round(100 * r["step"] / r["steps"]): r["scores"][self.metric]
            for r in record.reports
            if r["scores"]
        }
        value = record.score if state == TrialState.COMPLETE else None
        if state == TrialState.PRUNED:  # as Optuna has it: what it had reached by then
            value = values.get(max(values, default=0))
        return optuna.trial.create_trial(
            state=state,
            value=value,
            params=self._params(record.configuration),
            distributions=self._distributions,
            intermediate_values=values,
            system_attrs=plain_state(record.sampler),
            user_attrs={"trial": record.id, "status": record.status, "phase": record.phase},
        )

    def _ask_for(self, record: Record) -> optuna.Trial:
        """Optuna's trial for a point that did not come from its sampler."""
        self.study.enqueue_trial(self._params(record.configuration))
        return self.study.ask(self._distributions)

    def _finish(self, trial: optuna.Trial, record: Record) -> None:
        frozen = self.frozen(record)
        for step, value in frozen.intermediate_values.items():
            trial.report(value, step)
        complete = frozen.state == TrialState.COMPLETE
        self.study.tell(trial, frozen.value if complete else None, state=frozen.state)

    def _params(self, point: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _simple(point[name]) for name in self.space}

    def _point(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Optuna's parameters in the study's own values."""
        point = {}
        for name, value in params.items():
            choice = self.space[name].choice or ()
            known = {json.dumps(_simple(v)): v for v in choice}
            point[name] = known.get(json.dumps(value), value)
        return point


def export(path: Path, name: str, asker: OptunaStudy, records: list[Record]) -> None:
    """Write the ended trials as an Optuna study, for optuna's own tools.

    It is made in memory and written whole: no path becomes part of an address, in which `?` and `%`
    would mean something, and a disk that fills leaves the old file.

    Raises:
        OSError: it cannot be written.
    """
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    options = {"creator": lambda: connection, "poolclass": StaticPool}
    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=options)
    try:
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.add_trials([asker.frozen(record) for record in records if record.is_over])
        storage.remove_session()
        content = connection.serialize()
    finally:
        storage.remove_session()
        storage.engine.dispose()
        connection.close()
    write_atomically(path, content)


def _simple(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)
