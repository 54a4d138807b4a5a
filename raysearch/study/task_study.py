"""One task of a study, with everything that the study says about it.

It is apart from the schema because the schema is the form of a file, in which the settings of all
tasks and those of one task are in different places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import search_space as spaces
from ..recipes import RECIPES, Hyperparameters, Recipe
from ..search_space import Dimension
from ..storage.uris import is_remote
from ..tasks import Split, Task
from .model_names import resolve_model_folder

if TYPE_CHECKING:
    from .schema import Configuration, PerTask, Start, Study


@dataclass(frozen=True, kw_only=True)
class PublishedSetting:
    """A configuration that a published row has for a task.

    Attributes:
        row: the name of the row.
        configuration: the searched hyperparameters with its values.
    """

    row: str
    configuration: Configuration


@dataclass(frozen=True, kw_only=True)
class TaskStudy:
    """One task of a study; `Study.resolve` returns it.

    Every property is computed when it is first read, and then kept.

    Attributes:
        study: the study.
        name: the name of the task. It may name no task, as in a study whose file has problems; then
            the properties that need the task raise InputError.
        per_task: the settings that differ for this task.
    """

    study: Study
    name: str
    per_task: PerTask

    @cached_property
    def row(self) -> Task:
        """The facts of the task, of a benchmark or the study's own.

        Raises:
            InputError: there is no such task.
        """
        return self.study.task(self.name)

    @cached_property
    def recipe(self) -> Recipe:
        """The study's recipe."""
        return RECIPES[self.study.recipe]

    @cached_property
    def start(self) -> Start | None:
        """What `from` says: the task whose winner the trials start from; None for a model."""
        return self.per_task.start

    @cached_property
    def source(self) -> TaskStudy | None:
        """The task whose winner the trials start from; None if they start from a model."""
        return self.study.resolve(self.start.task) if self.start else None

    @cached_property
    def chain(self) -> tuple[TaskStudy, ...]:
        """The tasks that lead to this one, from the one that starts from a model to itself."""
        return (*(self.source.chain if self.source else ()), self)

    @cached_property
    def written_model(self) -> str:
        """The model with which the task's chain begins, as the study names it."""
        return self.chain[0].per_task.model or self.study.model

    @cached_property
    def model(self) -> str:
        """The model with which the task's chain begins: a folder, a hub name, or scratch.

        Without `from` the trials start from it. With it they start from a winner that was trained
        from it, which has the same encoder and the same tokenizer.
        """
        return resolve_model_folder(self.written_model)

    @cached_property
    def model_name(self) -> str:
        """The model as files name it that are read elsewhere: its URI if it has one."""
        return self.written_model if is_remote(self.written_model) else self.model

    @cached_property
    def origin(self) -> str:
        """What the trials start from, for readers: the model, and the tasks on the way."""
        tasks_between = ", then ".join(task.name for task in self.chain[:-1])
        return f"{self.model_name} by way of {tasks_between}" if self.source else self.model_name

    def location_of(self, field: str) -> str:
        """Return where the file sets a hyperparameter for this task; "" if it does not."""
        for part in ("fixed", "space"):
            if field in getattr(self.per_task, part):
                return f"per_task.{self.name}.{part}.{field}"
        return next(
            (f"{p}.{field}" for p in ("fixed", "space") if field in getattr(self.study, p)), ""
        )

    @cached_property
    def fixed(self) -> Configuration:
        """The fixed values; the task's own settings have precedence."""
        fixed = self.study.fixed.items()
        shared = {name: value for name, value in fixed if name not in self.per_task.space}
        return {**shared, **self.per_task.fixed}

    @cached_property
    def shared(self) -> Hyperparameters:
        """The hyperparameters as far as all trials share them: fixed values, else defaults."""
        return self.hyperparameters({})

    @cached_property
    def space(self) -> dict[str, Dimension]:
        """The dimensions that are searched.

        Those that the task fixes, and those without effect given the fixed values, are left out.
        So are those whose condition no fixed value meets; one that it meets is none.
        """
        excluded = {*self.per_task.fixed, *self.shared.ineffective_fields()}
        space = {**self.study.space, **self.per_task.space}
        space = {name: dimension for name, dimension in space.items() if name not in excluded}
        fixed = {name: getattr(self.shared, name, None) for name in _conditions(space)}
        fixed = {name: value for name, value in fixed.items() if name not in space}
        dimensions = {}
        for name, dimension in space.items():
            known = {key: of for key, of in (dimension.when or {}).items() if key in fixed}
            if all(fixed[key] in of for key, of in known.items()):
                left = {key: of for key, of in (dimension.when or {}).items() if key not in known}
                dimensions[name] = dimension.model_copy(update={"when": left or None})
        return dimensions

    @cached_property
    def training_splits(self) -> tuple[Split, ...]:
        """The training sets: the task's own, or those in the study's languages."""
        languages = self.study.train if self.row.languages else ()
        splits = [self.row.training_split_of(language) for language in languages]
        return tuple(split for split in splits or [self.row.train] if split)

    @cached_property
    def selection_metric(self) -> str:
        """The score that selects: "dev.accuracy", or "dev.mean.accuracy" over languages.

        With `hold_out` it is "search.accuracy": that of the part on which trials are compared.
        """
        part = "dev" if self.study.search.hold_out is None else "search"
        return f"{part}.{self.printed_metric.removeprefix('dev.')}"

    @cached_property
    def printed_metric(self) -> str:
        """The score that is printed for what was selected, with `hold_out` of the other part."""
        mean = self.study.search.select_on == "mean" and self.row.languages
        return f"dev.mean.{self.row.metric}" if mean else f"dev.{self.row.metric}"

    @cached_property
    def initial_points(self) -> list[Configuration]:
        """The configurations to try first, without repetitions.

        They hold the searched hyperparameters only. Those outside the space are left out.
        """
        if self.study.search.start_from == "published":
            results = [row.results.get(self.name) for row in self.study.published]
            start = [result.settings for result in results if result]
        else:
            start = list(self.study.search.start_from)
        points: dict[str, Configuration] = {}
        for values in start:
            known = {
                name: values[name]
                for name, dimension in self.space.items()
                if name in values and values[name] in dimension
            }
            active = spaces.active_space(self.space, known)
            point = {name: known[name] for name in active if name in known}
            if len(point) == len(active) and point:
                points.setdefault(repr(point), point)
        return list(points.values())

    @cached_property
    def published_setting(self) -> PublishedSetting | None:
        """The setting of the first published row whose settings the task's trials can have.

        Every searched hyperparameter is among its settings, with a value of the space, and every
        other setting has the value that the trials have anyway. None if there is no such row.
        """
        for row in self.study.published:
            settings = row.results[self.name].settings if self.name in row.results else {}
            active = spaces.active_space(self.space, settings)
            if not settings or any(name not in settings for name in active):
                continue
            point = {name: settings[name] for name in active}
            if any(point[name] not in dimension for name, dimension in active.items()):
                continue
            ours = self.hyperparameters(point)
            theirs = {n: self.recipe.hyper.model_validate({n: x}) for n, x in settings.items()}
            if all(getattr(ours, name) == getattr(one, name) for name, one in theirs.items()):
                return PublishedSetting(row=row.row, configuration=point)
        return None

    @cached_property
    def planned_trials(self) -> int:
        """The number of configurations that the search tries.

        It is 0 if the only configuration is confirmed with seeds anyway.
        """
        if not self.space and self.study.confirm.seeds:
            return 0
        return int(min(self.study.search.trials, spaces.count_points(self.space)))

    def hyperparameters(self, configuration: Mapping[str, Any]) -> Hyperparameters:
        """Return the hyperparameters of a configuration together with the fixed values.

        Raises:
            ValidationError: a value is invalid for its hyperparameter.
        """
        return self.recipe.hyper.model_validate({**self.fixed, **configuration})

    def teacher_configuration(self, configuration: Mapping[str, Any]) -> Configuration | None:
        """Return the full configuration of the teacher of a configuration's trials.

        None if they need no teacher that is trained first.
        """
        return self.recipe.teacher_configuration(self.hyperparameters(configuration))


def _conditions(space: Mapping[str, Dimension]) -> set[str]:
    """Return the names of the hyperparameters that conditions of a space name."""
    return {name for dimension in space.values() for name in dimension.when or ()}
