"""A task's space and trials in Optuna's terms, and a study of them for Optuna's own tools.

It is apart from `search.samplers` because reading a run needs no Ray; Optuna is imported when a
function is called, so that tables are written without it.
"""

import json
from typing import TYPE_CHECKING, Any

from ..run_folder import Record, Records
from ..run_folder.sampler_state import plain_state
from ..search_space import Choice, Dimension, IntRange, LogUniform, Space, active_space
from ..study import TaskStudy

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

# Status of a trial -> name of Optuna's state.
_STATES = {
    "finished": "COMPLETE",
    "diverged": "COMPLETE",
    "degenerate": "COMPLETE",
    "stopped": "PRUNED",
    "failed": "FAIL",
}


def frozen_trial(record: Record, space: Space, metric: str, objectives: int = 1) -> "FrozenTrial":
    """Return an ended trial as Optuna stores it.

    Its intermediate values are at percents of its schedule; with two objectives it has none. A
    stopped trial has the last one as its value.

    Args:
        record: the trial.
        space: what is searched.
        metric: the score that selects.
        objectives: 1 for the score, 2 for the score and device hours.
    """
    from optuna.trial import TrialState, create_trial

    state = TrialState[_STATES[record.status]]
    values = {round(100 * r.step / r.steps): r.scores[metric] for r in record.reports if r.scores}
    told: list[float] | None = None
    if state == TrialState.COMPLETE and record.score is not None:
        told = [record.score, whole_device_hours(record)][:objectives]
    if state == TrialState.PRUNED and values:  # as in Optuna: its last intermediate value
        told = [values[max(values)]]
    names = active_space(space, record.configuration)
    return create_trial(
        state=state,
        values=told,
        params={name: simple(record.configuration[name]) for name in names},
        distributions={name: distribution(space[name]) for name in names},
        intermediate_values=values if objectives == 1 else {},
        system_attrs=plain_state(record.sampler),
        user_attrs={"trial": record.id, "status": record.status, "phase": record.phase},
    )


def optuna_study(task: TaskStudy, records: Records) -> "OptunaStudy":
    """Return the ended trials of a task's search as an Optuna study in memory.

    Args:
        task: the task of the study.
        records: the trials of the run.
    """
    import optuna
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    objectives = 1 if task.study.search.minimize is None else 2
    directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][:objectives]
    study = optuna.create_study(study_name=task.study.name, directions=directions)
    study.add_trials(
        [
            frozen_trial(record, task.space, task.selection_metric, objectives)
            for record in records.of(task.name, "search")
            if record.is_over
        ]
    )
    return study


def whole_device_hours(record: Record) -> float:
    """Return the device hours of a trial; of one that diverged, what its whole schedule takes."""
    done = max((report.step / report.steps for report in record.reports), default=0.0)
    is_short = record.status == "diverged" and done > 0
    return record.training_hours / done if is_short else record.training_hours


def distribution(dimension: Dimension) -> "BaseDistribution":
    """Return Optuna's distribution for a dimension; choices that are mappings become JSON."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution([simple(value) for value in dimension.choice])
    low, high = dimension.ends
    if isinstance(dimension, IntRange):
        return IntDistribution(int(low), int(high))
    return FloatDistribution(float(low), float(high), log=isinstance(dimension, LogUniform))


def simple(value: Any) -> Any:
    """Return a value that Optuna can store as a choice."""
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)
