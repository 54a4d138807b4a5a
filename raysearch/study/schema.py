"""What a study holds: the schema of its YAML file, frozen once read. It never opens data."""

import reprlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from .. import search_space as spaces
from .. import tasks as task_table
from ..recipes import RECIPES, Hyperparameters
from ..search_space import Dimension, Number
from .model_names import resolve_model_folder

Configuration = dict[str, Any]


def _whole(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a whole number is needed, got {value}")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Seed = Annotated[Whole, Field(ge=0, lt=2**31)]
Fraction = Annotated[Number, Field(gt=0, lt=1)]
Percent = Annotated[Number, Field(ge=-100, le=100)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Halving(_Part):
    """Asynchronous successive halving at equal fractions of each trial's own schedule."""

    at: tuple[Fraction, ...] = Field(
        (0.25, 0.5), min_length=1, description="fractions at which trials compete"
    )
    keep: Fraction = Field(0.5, description="share that goes on at each of them")

    @field_validator("at")
    @classmethod
    def _ascending(cls, at: tuple[float, ...]) -> tuple[float, ...]:
        if any(one >= other for one, other in pairwise(at)):
            raise ValueError(f"fractions ascend, each stands once, got {reprlib.repr(list(at))}")
        return at


def _halving(value: Any) -> Any:
    if not isinstance(value, Mapping | Halving | bool | None):
        seen = reprlib.repr(value)
        raise ValueError(f"true, false or {{at: [fractions], keep: share}}, got {seen}")
    return Halving() if value is True else None if value is False else value


def _start(value: Any) -> Any:
    listed = isinstance(value, list | tuple) and all(isinstance(one, Mapping) for one in value)
    if value != "published" and not listed:
        raise ValueError(f"'published' or a list of configurations, got {reprlib.repr(value)}")
    return value


class Search(_Part):
    """How configurations are chosen."""

    sampler: Literal["tpe", "random", "grid", "cmaes"] = Field("tpe", description="who chooses")
    trials: Whole = Field(16, ge=1, le=10**6, description="configurations per task")
    hours: Annotated[Number, Field(gt=0, le=10**6)] | None = Field(
        None, description="no new trial after so many hours; one that awaits its teacher is begun"
    )
    start_from: Annotated[
        Literal["published"] | tuple[Configuration, ...], BeforeValidator(_start)
    ] = Field((), description="tried first: 'published' or a list of configurations")
    stop_early: Annotated[Halving | None, BeforeValidator(_halving)] = Field(
        None, description="true, false, or {at: [fractions], keep: share}"
    )
    select: Literal["best", "last"] = Field("best", description="the evaluation that counts")
    select_on: Literal["first", "mean"] = Field(
        "first", description="the dev split that counts: the first, or the mean over all languages"
    )
    seed: Seed = Field(1, description="of the sampler and of every trial of the search")
    max_failures: Whole = Field(2, ge=0, le=1000, description="times that a trial is tried again")


class Confirm(_Part):
    """The best configurations again, over fresh seeds."""

    top: Whole = Field(3, ge=1, le=10**6, description="how many configurations")
    seeds: tuple[Seed, ...] = Field((), description="empty: no confirmation")
    report: Literal["median", "mean", "max"] = Field("median", description="over the seeds")


class Result(_Part):
    """What a paper prints for a task."""

    settings: Configuration = Field(default_factory=dict, description="its configuration")
    scores: dict[str, Percent] = Field(default_factory=dict, description="metric: percent")


class Published(_Part):
    """A row of a published table."""

    row: str = Field(description="its name in the table")
    source: str = Field(description="where it is printed")
    model: str | None = Field(None, description="the model that it speaks of")
    digits: Whole = Field(1, ge=1, le=4, description="decimals of its scores, at least: 94.50")
    results: dict[str, Result] = Field(description="task: settings and scores")


class PerTask(_Part):
    """What differs for one task."""

    model: str | None = Field(
        None, description="what it starts from instead: a run's winner on another task, or a model"
    )
    space: dict[str, Dimension] = Field(default_factory=dict)
    fixed: Configuration = Field(default_factory=dict)


class Study(_Part):
    """A search, whole: see DESIGN for the words."""

    name: str = Field(
        pattern=r"^[^-./\\\s\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*$",
        max_length=255,
        description="and that of its run folder",
    )
    tasks: tuple[str, ...] = Field(min_length=1, description="names or patterns such as glue/*")
    model: str = Field(description="a folder, a hub name, or scratch")
    recipe: str = "finetune"
    train: tuple[str, ...] = Field((), description="languages to train in; empty: the task's own")
    leave_out: Whole = Field(
        0, ge=0, description="unusable training examples that may be left out, told in the log"
    )
    space: dict[str, Dimension] = Field(default_factory=dict)
    fixed: Configuration = Field(default_factory=dict)
    per_task: dict[str, PerTask] = Field(default_factory=dict)
    search: Search = Search()
    confirm: Confirm = Confirm()
    published: tuple[Published, ...] = ()

    def model_of(self, task: str) -> str:
        """What a task's trials start from: a folder, a hub name, or scratch."""
        return resolve_model_folder(self.per_task.get(task, PerTask()).model or self.model)

    @property
    def models(self) -> tuple[str, ...]:
        """Everything that some task starts from, each once."""
        return tuple(dict.fromkeys(self.model_of(task) for task in self.tasks))

    def training_splits(self, task: str) -> tuple[task_table.Split, ...]:
        """The training sets of a task: its own, or those in the study's languages."""
        row = task_table.get(task)
        chosen = [row.training_split_of(language) for language in self.train if row.languages]
        return tuple(split for split in chosen or [row.train] if split)

    def space_of(self, task: str) -> dict[str, Dimension]:
        """The dimensions that are searched for a task: neither what the task fixes, nor what
        changes nothing beside what is fixed."""
        own = self.per_task.get(task, PerTask())
        out = {*own.fixed, *self.hyperparameters(task, {}).ineffective_fields()}
        return {name: d for name, d in {**self.space, **own.space}.items() if name not in out}

    def fixed_of(self, task: str) -> Configuration:
        """What a task's configurations share; the task's own dimensions win over the study's."""
        own = self.per_task.get(task, PerTask())
        return {**{k: v for k, v in self.fixed.items() if k not in own.space}, **own.fixed}

    def hyperparameters(self, task: str, configuration: Mapping[str, Any]) -> Hyperparameters:
        """A point of the space with what is fixed, typed."""
        recipe = RECIPES[self.recipe]
        return recipe.hyper.model_validate({**self.fixed_of(task), **configuration})

    def initial_points(self, task: str) -> list[Configuration]:
        """The configurations to try first, restricted to what is searched, each once."""
        space = self.space_of(task)
        if self.search.start_from == "published":
            rows = [row.results[task].settings for row in self.published if task in row.results]
        else:
            rows = list(self.search.start_from)
        found: dict[str, Configuration] = {}
        for row in rows:
            point = {name: row[name] for name in space if name in row and row[name] in space[name]}
            if len(point) == len(space) and point:
                found.setdefault(repr(point), point)
        return list(found.values())

    def selection_metric(self, task: str) -> str:
        """The score that selects: "dev.accuracy", or "dev.mean.accuracy" over languages."""
        row = task_table.get(task)
        mean = self.search.select_on == "mean" and row.languages
        return f"dev.mean.{row.metric}" if mean else f"dev.{row.metric}"

    def planned_trials(self, task: str) -> int:
        """How many different configurations the search tries; none where there is but one, and
        seeds confirm it."""
        if not self.space_of(task) and self.confirm.seeds:
            return 0
        return int(min(self.search.trials, spaces.count_points(self.space_of(task))))
