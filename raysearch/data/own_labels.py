"""The labels of own tasks that name none: those that the training files have.

It is apart from the readers because it runs before them: a study that is checked or run has its
labels, and its run folder keeps them.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem, shorten
from ..study import Study
from ..study.own_tasks import MAX_LABELS, PREFIX, entry_problems
from ..study.value_limits import check_values
from ..tasks import Split, Task
from . import hub_datasets, readers
from .readers.paths import file_path, part_path, present_paths
from .readers.row_errors import RowErrors
from .readers.table_examples import LABELS_ARE, UnusableRowError, class_name, list_of
from .readers.table_files import open_table

LOCATION = "labels"
_FEW = 20  # labels; a smaller data set may have as many classes as it has rows


def with_labels(study: Study, root: Path | None) -> tuple[Study, dict[str, Problem]]:
    """Return a study whose own tasks have their labels, and download what is on a hub.

    They are in the order of their names, or of their numbers if all are whole numbers; those of a
    column that numbers named classes in the order of the classes.

    Args:
        study: the study.
        root: the data folder; None: only files with whole paths are read.

    Returns:
        The study, and task -> why it has no labels. A task whose training files are missing or
        cannot be read, of which the check of the data says why, has all labels that can be read,
        so that none is wrong.
    """
    own, problems = dict(study.own), {}
    unfetched = {} if root is None else {p.location: p for p in hub_datasets.fetch(study.own_files)}
    for key, block in study.own.items():
        name = f"{PREFIX}{key}"
        task = study.task(name)
        if name not in study.tasks or (root is None and readers.needs_root(task)):
            continue
        missing = [unfetched[file] for file in block.files if file in unfetched]
        if missing:
            problems[name] = replace(missing[0], location=f"own.{key} {missing[0].location}")
            continue
        if not lacks_labels(task):
            continue
        labels = training_labels(task, root or Path())
        if not labels:
            known = _readable_labels(task, root or Path())
            own[key] = block.model_copy(update={"labels": tuple(known)})
            continue
        if len(labels) > MAX_LABELS:
            text = f"'{_column(task)}' has more than {MAX_LABELS:,} different values, too many for"
            text = f"{text} classes; is it the right column, and the right head?"
        elif unusable := check_values({_column(task): [*labels]})[1]:
            text = f"'{_column(task)}' has a value that no study can hold: {unusable[0].text}"
        elif task.facts.labels_examples and len(labels) > max(_FEW, sum(labels.values()) / 2):
            text = f"'{_column(task)}' has {len(labels):,} different values in"
            text = f"{text} {sum(labels.values()):,} training rows, as an id has; is it the right"
            text = f"{text} column? If these are the classes, name them under labels"
        elif len(labels) == 1:
            text = (
                f"'{_column(task)}' has the same value in all rows: '{shorten(next(iter(labels)))}'"
            )
        else:
            own[key] = block.model_copy(update={"labels": tuple(labels)})
            for problem in entry_problems(key, own[key]):
                problems.setdefault(name, problem)
            continue
        problems[name] = Problem(location=f"own.{key}.{LOCATION}", text=text)
    return study.model_copy(update={"own": own}), problems


def lacks_labels(task: Task) -> bool:
    """Return whether a task has classes, and their names are not known yet."""
    facts = task.facts
    has_classes = facts.labels_words or (facts.labels_examples and not facts.numeric_labels)
    return has_classes and not task.labels


def is_unknown_label(text: str) -> bool:
    """Return whether a problem of a table's rows is that their labels are not in the list."""
    return text.startswith("label ") and LABELS_ARE in text


def _column(task: Task) -> str:
    assert task.train is not None
    return str(task.train.files[0].columns["label"])


def training_labels(task: Task, root: Path) -> dict[str, int]:
    """Return the labels of the training files, see `_labels`; none if one cannot be read."""
    splits = task.training_splits()
    try:
        present = readers.present_splits(task, root)
        return _labels(task, splits, root) if all(s.name in present for s in splits) else {}
    except (InputError, OSError):
        return {}


def _readable_labels(task: Task, root: Path) -> list[str]:
    """Return the labels of all files of training and dev splits that can be read."""
    names: dict[str, None] = {}
    for split in (*task.training_splits(), *task.dev):
        with suppress(InputError, OSError):
            if split.name in readers.present_splits(task, root):
                names |= dict.fromkeys(_labels(task, [split], root))
    return [*names][:MAX_LABELS]


def _labels(task: Task, splits: Iterable[Split], root: Path) -> dict[str, int]:
    """Return the labels of all files, in order, with how often each occurs.

    These are a few more than MAX_LABELS at most.

    Raises:
        InputError: a file cannot be read.
    """
    counts: dict[str, int] = {}
    declared = True  # whether every file names its classes
    for split in splits:
        for classes, values in _label_values(task, split, root):
            declared &= bool(classes)
            counts |= {name: 0 for name in classes if name not in counts}
            for value in values:
                counts[value] = counts.get(value, 0) + 1
                if len(counts) > MAX_LABELS:
                    return counts
    if declared:
        return counts
    numeric = all(name.isascii() and name.isdecimal() for name in counts)
    names = sorted(counts, key=lambda name: (int(name) if numeric else 0, name))
    return {name: counts[name] for name in names}


def _label_values(
    task: Task, split: Split, root: Path
) -> Iterator[tuple[tuple[str, ...], Iterator[str]]]:
    """Yield for each file of a split the names of its classes, if it has any, and its labels."""
    file = present_paths(task, split, root)
    column = str(file.columns["label"])
    for part in file.parts:
        path = part_path(file_path(task, file, root), part)
        errors = RowErrors(source=str(path))
        table = open_table(path, (column,), errors)
        if table is None:
            raise InputError(errors.source, errors.problems)
        # What is wrong with its rows the reader reports.
        rows = (row[column] for _, row in table.rows)
        classes = table.classes.get(column, ())
        yield classes, _names(rows, column, classes, lists=task.facts.labels_words)


def _names(
    values: Iterator[Any], column: str, classes: tuple[str, ...], *, lists: bool
) -> Iterator[str]:
    """Yield the labels of a column; what is none is left out."""
    for value in values:
        try:
            for label in list_of(value, column) if lists else [value]:
                name = class_name(label, column, classes)
                if name.strip():
                    yield name
        except UnusableRowError:
            continue
