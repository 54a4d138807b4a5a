"""The schema of a study's YAML file.

Its models are frozen. They know tasks and recipes, but never open data.
"""

import reprlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ..search_space import Dimension, Number
from ..storage.uris import is_remote
from ..tasks import Task
from ..tasks import get as get_task
from . import samplers
from .own_tasks import PREFIX, OwnTask
from .task_study import TaskStudy

Configuration = dict[str, Any]


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a whole number is needed, got {value}")
    return value


Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Seed = Annotated[Whole, Field(ge=0, lt=2**31)]
Fraction = Annotated[Number, Field(gt=0, lt=1)]
Switch = Annotated[bool, Field(strict=True)]
Percent = Annotated[Number, Field(ge=-100, le=100)]


def _refuse_blank(text: str) -> str:
    if not text.strip():
        raise ValueError(f"a text is needed, got {text!r}")
    return text


Deviation = Annotated[str, AfterValidator(_refuse_blank)]


class _Section(BaseModel):
    """A part of a study: frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Rungs(_Section):
    """What the settings of every stopping rule have."""

    at: tuple[Fraction, ...] = Field(
        (0.25, 0.5), min_length=1, description="fractions at which trials compete"
    )

    @field_validator("at")
    @classmethod
    def _check_ascending(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if any(first >= second for first, second in pairwise(fractions)):
            raise ValueError(
                f"fractions must be strictly ascending, got {reprlib.repr(list(fractions))}"
            )
        return fractions

    @property
    def _shares(self) -> str:
        return ", ".join(f"{100 * fraction:g} %" for fraction in self.at)


class Halving(_Rungs):
    """Asynchronous successive halving at the same fractions of every trial's schedule."""

    rule: Literal["halving"] = "halving"
    keep: Fraction = Field(0.5, description="share of the trials that continue at each fraction")

    @property
    def sentence(self) -> str:
        """What the rule does, for a paper's statement."""
        return (
            f"Asynchronous successive halving compares trials at {self._shares} of their own"
            f" schedules; the best {100 * self.keep:g} % go on."
        )


class Median(_Rungs):
    """Median stopping at the same fractions of every trial's schedule."""

    rule: Literal["median"]  # without a default, as those are not written into a run folder
    min_others: Whole = Field(
        4,
        ge=1,
        le=10**6,
        description="other trials that have come to a fraction before one is stopped there",
    )

    @property
    def sentence(self) -> str:
        """What the rule does, for a paper's statement."""
        return (
            f"Median stopping compares trials at {self._shares} of their own schedules; a trial"
            " ends there if its best score so far is below the median of the others' means so far,"
            f" of {self.min_others} others at least."
        )


class Hyperband(_Rungs):
    """Asynchronous Hyperband: brackets of successive halving that begin at different fractions."""

    rule: Literal["hyperband"]
    at: tuple[Fraction, ...] = Field(
        (0.125, 0.25, 0.5), min_length=1, description="fractions at which trials compete"
    )
    keep: Fraction = Field(0.5, description="share of a bracket that continues at each fraction")

    @property
    def sentence(self) -> str:
        """What the rule does, for a paper's statement."""
        return (
            f"Asynchronous Hyperband compares trials at {self._shares} of their own schedules, in"
            f" brackets that begin at different ones; the best {100 * self.keep:g} % of a bracket"
            " go on."
        )


# The settings of the stopping rules, which search/stopping_rules.py lists. Each has fractions `at`.
StoppingSettings = Halving | Median | Hyperband
_RULES: dict[str, type[StoppingSettings]] = {
    "halving": Halving,
    "median": Median,
    "hyperband": Hyperband,
}


class _RuleName(BaseModel):
    """The field that names a stopping rule, whatever the others are."""

    rule: Literal["halving", "median", "hyperband"] = "halving"


def _parse_stopping(value: Any) -> Any:
    """Return the settings of the rule that is named, so that a fault is placed once."""
    if isinstance(value, bool):
        return Halving() if value else None
    if not isinstance(value, Mapping):
        if isinstance(value, StoppingSettings | None):
            return value
        forms = "true, false or {rule: name, at: [fractions], ...}"
        raise ValueError(f"{forms} is needed, got {reprlib.repr(value)}")
    return _RULES[_RuleName.model_validate(value).rule].model_validate(value)


def _check_start(value: Any) -> Any:
    is_list = isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)
    if value != "published" and not is_list:
        forms = "'published' or a list of configurations"
        raise ValueError(f"{forms} is needed, got {reprlib.repr(value)}")
    return value


class Search(_Section):
    """The settings of the search: how configurations are chosen."""

    sampler: Annotated[str, AfterValidator(samplers.check_name)] = Field(
        "tpe", description="algorithm that chooses configurations, or an Optuna sampler's class"
    )
    trials: Whole = Field(16, ge=1, le=10**6, description="configurations per task")
    hours: Annotated[Number, Field(gt=0, le=10**6)] | None = Field(
        None,
        description="no new trial after so many hours, except those that wait for their teacher",
    )
    device_hours: Annotated[Number, Field(gt=0, le=10**6)] | None = Field(
        None,
        description="no new trial once the search has spent so many device hours, or its running"
        " trials will; a trial and its teacher count as one",
    )
    start_from: Annotated[
        Literal["published"] | tuple[Configuration, ...], BeforeValidator(_check_start)
    ] = Field((), description="configurations to try first: 'published' or a list")
    stop_early: Annotated[StoppingSettings | None, BeforeValidator(_parse_stopping)] = Field(
        None,
        description="true, false, or {rule: halving, median or hyperband, at: [fractions], ...}",
    )
    minimize: Literal["device_hours"] | None = Field(
        None, description="what else counts beside the score; the table has the Pareto front"
    )
    select: Literal["best", "last"] = Field("best", description="evaluation of a trial that counts")
    select_on: Literal["first", "mean"] = Field(
        "first",
        description="score that counts: of the first dev split, or the mean over all languages",
    )
    hold_out: Fraction | None = Field(
        None,
        description="share of each dev split that is printed; trials are compared on the rest",
    )
    keep_predictions: Literal["confirmed", "all", "none"] = Field(
        "confirmed",
        description="trials whose dev predictions are kept: those that the table prints, or all"
        " that finish",
    )
    keep_weights: Literal["best", "confirmed"] = Field(
        "best",
        description="weights of the winner that are kept: of its best seed, or of all its"
        " confirmed seeds, for ensembles",
    )
    seed: Seed = Field(1, description="seed of the sampler and of every trial of the search")
    max_failures: Whole = Field(
        2, ge=0, le=1000, description="times that a failed trial is retried"
    )
    hang_after: Annotated[Number, Field(ge=1, le=10**6)] | None = Field(
        None,
        description="seconds without a sign of life after which a training worker counts as hung;"
        " by default 20 times its slowest step or evaluation, at least 60",
    )
    checkpoint_every: Annotated[Number, Field(ge=1, le=10**6)] = Field(
        600, description="seconds between checkpoints of a trial that takes longer"
    )


class Confirm(_Section):
    """The settings of the confirmation: the best configurations with fresh seeds."""

    top: Whole = Field(3, ge=1, le=10**6, description="number of configurations")
    choose: tuple[Seed, ...] = Field(
        (), description="seeds that choose the winner by their mean; empty: `seeds` choose it"
    )
    race: Switch = Field(
        False, description="drop configurations that have fallen behind, after each choosing seed"
    )
    seeds: tuple[Seed, ...] = Field(
        (), description="seeds whose scores are printed; empty: no confirmation"
    )
    report: Literal["median", "mean", "max"] = Field(
        "median", description="statistic over the seeds"
    )
    published: Switch = Field(
        False, description="train the published setting with the same seeds, for a row of its own"
    )


class Result(_Section):
    """The settings and scores that a paper prints for a task."""

    settings: Configuration = Field(default_factory=dict, description="configuration")
    scores: dict[str, Percent] = Field(default_factory=dict, description="metric: percent")


class Published(_Section):
    """A row of a published table."""

    row: str = Field(description="name of the row in the table")
    source: str = Field(description="paper or page that prints it")
    model: str | None = Field(None, description="model that the row is about")
    digits: Whole = Field(1, ge=1, le=4, description="minimum decimals of its scores: 2 for 94.50")
    results: dict[str, Result] = Field(description="task: settings and scores")


class Start(_Section):
    """What a task starts from instead of a model: the winner of another task of the study."""

    task: str = Field(description="task whose winner it starts from")
    seed: Literal["same"] | None = Field(
        None,
        description="same: a trial with one of confirm.seeds starts from the winner's trial with"
        " that seed",
    )


def _parse_start(value: Any) -> Any:
    if isinstance(value, str):
        return {"task": value}
    if not isinstance(value, Mapping | Start | None):
        forms = "a task's name, or {task: name, seed: same}"
        raise ValueError(f"{forms} is needed, got {reprlib.repr(value)}")
    return value


class PerTask(_Section):
    """The settings that differ for one task."""

    start: Annotated[Start | None, BeforeValidator(_parse_start)] = Field(
        None,
        alias="from",
        description="task of the study whose winner it starts from, as soon as that is known",
    )

    model: str | None = Field(
        None,
        description="model that it starts from instead: a run's winner on another task, or any",
    )
    space: dict[str, Dimension] = Field(default_factory=dict)
    fixed: Configuration = Field(default_factory=dict)


class Study(_Section):
    """A full study."""

    name: str = Field(
        pattern=r"^[^-./\\\s\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*$",
        max_length=255,
        description="name of the study and of its run folder",
    )
    tasks: tuple[str, ...] = Field(min_length=1, description="names or patterns such as glue/*")
    own: dict[str, OwnTask] = Field(
        default_factory=dict, description="tasks on your own files, which tasks names as own/NAME"
    )
    model: str = Field(description="a folder, a hub name, or scratch")
    recipe: str = "finetune"
    train: tuple[str, ...] = Field((), description="languages to train in; empty: the task's own")
    leave_out: Whole = Field(
        0, ge=0, description="unusable training examples that may be left out; the log names them"
    )
    space: dict[str, Dimension] = Field(default_factory=dict)
    fixed: Configuration = Field(default_factory=dict)
    per_task: dict[str, PerTask] = Field(default_factory=dict)
    search: Search = Search()
    confirm: Confirm = Confirm()
    published: tuple[Published, ...] = ()
    deviations: tuple[Deviation, ...] = Field(
        (), description="what the study does otherwise than its source, a text for each"
    )

    def task(self, name: str) -> Task:
        """Return a task by its name: one of the study's own, or one of a benchmark.

        Raises:
            InputError: there is no such task.
        """
        own = self.own.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        return own.task(name) if own else get_task(name)

    @property
    def own_files(self) -> tuple[str, ...]:
        """The files of its own tasks, as they are named, without repetitions."""
        return tuple(dict.fromkeys(file for block in self.own.values() for file in block.files))

    def resolve(self, task: str) -> TaskStudy:
        """Return everything that the study says about one task."""
        return TaskStudy(study=self, name=task, per_task=self.per_task.get(task, PerTask()))

    @property
    def models(self) -> tuple[str, ...]:
        """The models that tasks start from, without repetitions."""
        return tuple(dict.fromkeys(self.resolve(task).model for task in self.tasks))

    @property
    def remote_models(self) -> tuple[str, ...]:
        """The URIs of models and teachers, without repetitions."""
        resolved = [self.resolve(task) for task in self.tasks]
        teachers = [getattr(task.shared, "teacher", None) or "" for task in resolved]
        names = [*(task.model_name for task in resolved), *teachers]
        return tuple(dict.fromkeys(name for name in names if is_remote(name)))
