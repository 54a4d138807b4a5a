"""The survey of a study: checks of its models, its data and its schedules before a run.

It calls the checks of the other modules. Problems of all tasks are reported together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..data import own_labels, readers
from ..error_pages import ADAPTERS
from ..errors import InputError, Problem
from ..study import Study, TaskStudy, samplers
from ..study.model_names import POSITIONS, model_problems, scratch_shape
from ..study.unused_fields import unused_field_notes
from ..tasks import Split, Task
from . import bad_rows, own_data, schedule_notes, view_resources
from .file_problems import task_problems, unreadable_problem

RANK = "lora_rank"


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The result of checking a study.

    Attributes:
        problems: of the names of models; of missing files of all tasks, and of every invalid row
            of existing files; of schedules and of resources for views.
        sizes: task -> split -> number of usable examples, for existing training and dev splits.
        held_out: task -> dev split -> number of examples that are held out; empty if none are.
        notes: fixed values without effect, unusual schedules, and the languages that have
            dictionaries or translations.
        duplicates: own task -> numbers of repeated examples, of tasks that have some.
    """

    problems: list[Problem]
    sizes: dict[str, dict[str, int]]
    held_out: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    duplicates: dict[str, dict[str, Any]] = field(default_factory=dict)


def survey(study: Study, root: Path | None) -> Survey:
    """Check the models of a study, and read all data of its tasks once.

    Args:
        study: to check.
        root: the folder of the data; None: only tasks that need none are read.
    """
    study, without_labels = own_labels.with_labels(study, root)
    problems = [*_model_name_problems(study), *_length_problems(study), *_adapter_problems(study)]
    problems += _package_problems(study)
    problems += without_labels.values()
    sizes: dict[str, dict[str, int]] = {}
    held_out: dict[str, dict[str, int]] = {}
    notes: list[str] = []
    duplicates: dict[str, dict[str, Any]] = {}
    for name in study.tasks:
        task = study.resolve(name)
        readable = root is not None or not readers.needs_root(task.row)
        if readable and name not in without_labels:
            overview = own_data.overview_of(task.row)
            sizes[name], data_problems = _data_sizes(task, root or Path(), overview)
            problems += data_problems
            if not data_problems:
                schedule_problems, lines = _schedules(task, sizes[name])
                problems += schedule_problems
                notes += lines
                if overview is not None:
                    notes += overview.notes()
                    duplicates |= {name: counts} if (counts := overview.duplicates()) else {}
                notes += _absent_tests(task.row, root or Path())
                if study.search.hold_out is not None:
                    from .dev_division import held_out_sizes  # imports numpy

                    held_out[name], part_problems = held_out_sizes(task, root or Path())
                    problems += part_problems
        missing, lines = view_resources.resource_problems(task, root)
        problems += missing
        notes += [f"{name} {line}" for line in lines]
    problems = list(dict.fromkeys(problems))
    notes = [*unused_field_notes(study), *notes]
    return Survey(
        problems=problems, sizes=sizes, held_out=held_out, notes=notes, duplicates=duplicates
    )


def _absent_tests(row: Task, root: Path) -> Iterator[str]:
    """Yield a note for each test split of own files that are not there: no trial reads them."""
    present = readers.present_splits(row, root) if row.is_own else ()
    for split in row.test if row.is_own else ():
        if split.name not in present:
            files = ", ".join(name for file in split.files for name in file.names)
            yield f"{row.name} {split.name}: {files} is not there; `raysearch predict` will need it"


def _data_sizes(
    task: TaskStudy, root: Path, overview: own_data.Overview | None
) -> tuple[dict[str, int], list[Problem]]:
    """Return the numbers of examples in the splits of a task, and the problems of its files.

    Args:
        task: the task.
        root: the data folder.
        overview: takes note of the examples; None of a benchmark's.
    """
    row, train = task.row, task.training_splits
    sizes: dict[str, int] = {}
    try:
        problems = [replace(p, location=task.name) for p in readers.locate(row, root, train)]
        present = readers.present_splits(row, root)
    except OSError as error:
        return {}, [unreadable_problem(task.name, error)]
    for split in (*train, *row.dev):
        if split.name in present and not (problems and _shares_file(split)):
            max_bad_rows = task.study.leave_out if split in train else 0
            sizes[split.name], split_problems = _split_size(
                row, split, root, max_bad_rows, overview
            )
            problems += split_problems
            if split_problems and split in train:
                problems += bad_rows.leave_out_hints(row, split, root, max_bad_rows)
    problems, wrong_labels = bad_rows.without_label_rows(task.row, root, problems)
    problems += wrong_labels
    return sizes, problems


def _shares_file(split: Split) -> bool:
    """Return whether a dev split is a share of a training file, whose problems are told there."""
    return any(file.held_out is not None and file.held_out.inside for file in split.files)


def _schedules(task: TaskStudy, sizes: dict[str, int]) -> tuple[list[Problem], list[str]]:
    """Return the schedules that no trial can have as problems, and other notes on schedules."""
    facts = task.row.facts
    if facts.joins_examples:  # the number of blocks depends on the tokenizer
        return [], []
    problems, notes = [], []
    examples = sum(sizes[split.name] for split in task.training_splits)
    for line in schedule_notes.schedule_notes(task, examples):
        if schedule_notes.is_refused(facts, line):
            text = f"{line}, of {examples:,} examples: a larger EPOCH or a smaller BSZ would do"
            problems.append(Problem(location=task.name, text=text))
        else:
            notes.append(f"{task.name} {line}")
    return problems, notes


def _split_size(
    task: Task,
    split: Split,
    root: Path,
    max_bad_rows: int,
    overview: own_data.Overview | None,
) -> tuple[int, list[Problem]]:
    """Return the number of examples in a split, and the problems of its files."""
    size = 0
    try:
        for example in readers.read(task, split, root, max_bad_rows=max_bad_rows):
            size += 1
            if overview is not None:
                overview.add(split.name, example)
    except InputError as error:
        return size, task_problems(task, error)
    return size, []


def _length_problems(study: Study) -> Iterator[Problem]:
    """Yield a problem for each max_length that exceeds the positions of a model from scratch."""
    for name in study.tasks:
        task = study.resolve(name)
        model, hyper = task.model, task.shared
        shape = scratch_shape(model)
        positions = POSITIONS.get(shape[0]) if shape else None
        if positions is None:
            continue
        if "max_length" in hyper.model_fields_set and hyper.max_length > positions:
            text = f"{name}: '{model}' has positions for {positions} tokens, got {hyper.max_length}"
            text = f"{text}; {positions} or fewer would do"
            yield Problem(location="max_length", text=text)


def _adapter_problems(study: Study) -> Iterator[Problem]:
    """Yield a problem for each place that asks for adapters on a model from scratch."""
    tasks: dict[str, list[TaskStudy]] = {}
    for task in map(study.resolve, study.tasks):
        values = task.space[RANK].ends if RANK in task.space else (getattr(task.shared, RANK),)
        if scratch_shape(task.model) and any(isinstance(rank, int) for rank in values):
            tasks.setdefault(task.location_of(RANK) or "recipe", []).append(task)
    for location, several in tasks.items():
        names = ", ".join(task.name for task in several)
        text = f"'{several[0].model}' has no pretrained weights that the adapters of {RANK} could"
        text = f"{names}: {text} keep: a pretrained model would do"
        yield Problem(location=location, text=text, page=ADAPTERS)


def _package_problems(study: Study) -> Iterator[Problem]:
    """Yield the package that the sampler needs and that is not installed."""
    package = samplers.facts(study.search.sampler).package
    if package and find_spec(package) is None:
        text = (
            f'{study.search.sampler} needs the package {package}: pip install "raysearch[samplers]"'
        )
        yield Problem(location="search.sampler", text=text)


def _model_name_problems(study: Study) -> list[Problem]:
    """Return the problems of the models that a study names, with the location of each name."""
    locations: dict[str, str] = {}
    for name in study.tasks or ("",):
        task = study.resolve(name).chain[0]
        location = f"per_task.{task.name}.model" if task.per_task.model else "model"
        locations.setdefault(task.written_model, location)
    return [
        replace(problem, location=location)
        for model, location in locations.items()
        for problem in model_problems(model)
    ]
