"""What cannot run is refused in seconds, before anything starts, every problem named."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import tasks
from ..data import readers
from ..errors import InputError, Problem
from ..study import Study
from ..study.model_names import POSITIONS, model_problems, scratch_shape
from ..study.unused_fields import unused_field_notes
from . import schedule_notes, view_resources
from .file_problems import task_problems, unreadable


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a study starts from, looked at.

    Attributes:
        problems: of its models' names; missing files of all tasks, and every broken row of those
            that are there.
        sizes: task -> split -> usable examples, of what trains and selects and is there.
        notes: what views are made from: languages with dictionaries or translations, and without.
    """

    problems: list[Problem]
    sizes: dict[str, dict[str, int]]
    notes: list[str] = field(default_factory=list)


def survey(study: Study, root: Path | None) -> Survey:
    """Look at the models of a study, and read all data of its tasks once if there is a folder."""
    found, sizes, notes = [*_named_models(study), *_lengths(study)], {}, []
    for name in study.tasks:
        if root or not readers.has_files(tasks.get(name)):
            sizes[name], wrong = _read(study, name, root or Path())
            found += wrong
            if not wrong:
                wrong, told = _schedules(study, name, sizes[name])
                found += wrong
                notes += told
        lacking, seen = view_resources.resource_problems(study, tasks.get(name), root)
        found += [problem for problem in lacking if problem not in found]
        notes += [f"{name} {note}" for note in seen]
    found = list(dict.fromkeys(found))
    return Survey(problems=found, sizes=sizes, notes=[*unused_field_notes(study), *notes])


def _read(study: Study, name: str, root: Path) -> tuple[dict[str, int], list[Problem]]:
    """How many examples the splits of a task have, and what is wrong with them."""
    task, train, sizes = tasks.get(name), study.training_splits(name), {}
    try:
        found = [replace(problem, location=name) for problem in readers.locate(task, root, train)]
        present = readers.present_splits(task, root)
    except OSError as error:
        return {}, [unreadable(name, error)]
    for split in (*train, *task.dev):
        if split.name in present:
            spare = study.leave_out if split in train else 0
            sizes[split.name], wrong = _size(task, split, root, spare)
            found += wrong
    return sizes, found


def _schedules(study: Study, name: str, sizes: dict[str, int]) -> tuple[list[Problem], list[str]]:
    """Schedules that no trial can have, and what else of them is to be told."""
    head, problems, notes = tasks.get(name).head, [], []
    if head in schedule_notes.UNKNOWN:
        return [], []
    examples = sum(sizes[split.name] for split in study.training_splits(name))
    for line in schedule_notes.schedule_notes(study, name, examples):
        if schedule_notes.refused(head, line):
            text = f"{line}, of {examples:,} examples: a larger EPOCH or a smaller BSZ would do"
            problems.append(Problem(location=name, text=text))
        else:
            notes.append(f"{name} {line}")
    return problems, notes


def _size(
    task: tasks.Task, split: tasks.Split, root: Path, spare: int
) -> tuple[int, list[Problem]]:
    """How many examples a split has, and what is wrong with it."""
    size = 0
    try:
        for _ in readers.read(task, split, root, spare=spare):
            size += 1
    except InputError as error:
        return size, task_problems(task, error)
    return size, []


def _lengths(study: Study) -> list[Problem]:
    """Rows that are asked for and longer than a model from scratch has positions for."""
    problems = []
    for name in study.tasks:
        model = study.model_of(name)
        shape = scratch_shape(model)
        most = POSITIONS.get(shape[0]) if shape and name in tasks.TASKS else None
        hyper = study.hyperparameters(name, {}) if most else None
        if hyper and "max_length" in hyper.model_fields_set and hyper.max_length > most:
            text = f"{name}: '{model}' has positions for {most} tokens, got {hyper.max_length}"
            problems.append(
                Problem(location="max_length", text=f"{text}; {most} or fewer would do")
            )
    return problems


def _named_models(study: Study) -> list[Problem]:
    """What is wrong with the models that a study and its tasks name, told where they are named."""
    places: dict[str, str] = {}
    for name in study.tasks or ("",):
        own = name in study.per_task and study.per_task[name].model
        places.setdefault(study.model_of(name), f"per_task.{name}.model" if own else "model")
    found = [(place, model_problems(model)) for model, place in places.items()]
    return [replace(problem, location=place) for place, problems in found for problem in problems]
