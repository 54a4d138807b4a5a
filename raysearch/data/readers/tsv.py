"""Reads tab-separated text: one example a line, quotes literal, UTF-8.

The files and the columns come from the task. It is apart from `text_lines`, which only divides a
file into lines.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

from ...errors import unknown_name
from ...tasks.example_ids import format_ids
from ...tasks.task import Example, File, IdList, Split, Task
from .decimal_numbers import decimal
from .paths import file_path, present_paths, split_paths
from .row_errors import VALUE, RowErrors
from .text_lines import EMPTY, iter_lines

__all__ = ["read", "split_paths"]

Row = list[str]


def read(task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
    """Yield the examples of the first published form that exists, one block of it in memory."""
    file = present_paths(task, split, root)
    path = file_path(task, file, root)
    errors.source = str(path)
    rows = _rows(path, errors)
    first = next(rows, None)
    if first is None:
        errors.refuse("file", EMPTY)
        return
    if file.header and first[0] > 1:
        errors.refused = True  # the header is one of the lines that cannot be read
        return
    columns = _columns(task, split, file, first[1], errors)
    if columns is None:
        return
    width = _width(split, file, first[1])
    belongs = _row_filter(file, path.parent, first[1], errors)
    rows = rows if file.header else chain([first], rows)
    trained = split.name in {training.name for training in task.training_splits()}
    ids = None if trained or "id" not in columns else Counter[str]()
    yield from _examples(task, file, columns, rows, width, belongs, ids, errors)
    if repeated := [identity for identity, count in (ids or {}).items() if count > 1]:
        text = f"{len(repeated):,} occur more than once, so predictions cannot be matched to rows"
        errors.refuse("ids", f"{text}: {format_ids(repeated)}")


def _examples(
    task: Task,
    file: File,
    columns: dict[str, int],
    rows: Iterator[tuple[int, Row]],
    width: int,
    belongs: Callable[[Row], bool] | None,
    ids: Counter[str] | None,
    errors: RowErrors,
) -> Iterator[Example]:
    """Yield the examples of rows, which are pairs of a line number and its fields.

    `columns` are the indices of the inputs, "id" and "label". `belongs` tells the rows of the
    split; None means all. `ids` counts the ids; None means that they need not be unique.
    """
    label_column = columns.pop("label", None)
    names = tuple(columns)
    # The first column twice, because a getter of a single one would not return a tuple.
    pick = itemgetter(*columns.values(), *list(columns.values())[:1])
    to_label, label_text = _label_parser(task, file), _label_text(task)
    ragged = RowErrors(source=errors.source) if file.tolerated_bad_rows else errors
    blank = {name for name in task.inputs if name in columns}  # in all rows so far
    used = total = 0
    for number, fields in rows:
        total += 1
        if len(fields) != width:
            ragged.add(f"line {number}", _width_text(len(fields), width))
            continue
        if belongs is not None and not belongs(fields):
            continue
        texts: dict[str, str] = dict(zip(names, pick(fields), strict=False))
        if "id" not in texts:
            texts["id"] = str(used)
        elif ids is not None:
            ids[texts["id"]] += 1
        used += 1
        blank -= {name for name in blank if texts[name].strip()}
        label = None
        if label_column is not None and (label := to_label(fields[label_column])) is None:
            label_value = f"'{fields[label_column][:40]}'"
            errors.add(f"line {number}", label_text, value=label_value)
            continue
        yield {**texts, "label": label}
    if ragged is not errors:
        if used and ragged.count <= _tolerated_rows(file, total):
            errors.tolerated = ragged
        else:
            errors.merge(ragged)
    _check_rows(file, belongs, total, used, errors)
    if used:
        _check_blank(blank, errors)


def _tolerated_rows(file: File, rows: int) -> int:
    """Return how many rows of another width are left out.

    It is the number that the published file is known for. In a part of that file it is at most one
    row in a hundred, and two at least, because a row that is cut leaves two pieces.
    """
    return min(file.tolerated_bad_rows, max(2, rows // 100))


def _width(split: Split, file: File, first: Row) -> int:
    """Return the number of columns.

    The header tells it. A file without a header has the columns of the published one, except that
    an unlabelled split may lack the label.
    """
    if file.header:
        return len(first)
    labelled = 1 + max(int(column) for column in file.columns.values())
    unlabelled = 1 + max(int(column) for name, column in file.columns.items() if name != "label")
    return unlabelled if not split.labelled and len(first) == unlabelled else labelled


def _rows(path: Path, errors: RowErrors) -> Iterator[tuple[int, Row]]:
    """Yield the number, counted from 1, and the fields of every line that can be read."""
    for first, lines in iter_lines(path, errors):
        for number, line in enumerate(lines, first):
            if line is not None:
                yield number, line.split("\t")


def _columns(
    task: Task, split: Split, file: File, first: Row, errors: RowErrors
) -> dict[str, int] | None:
    """Return the column indices of the inputs, the id and the label.

    Returns:
        None, with noted errors, if the header lacks one of them.
    """
    columns = dict(file.columns)
    missing = [name for name in task.inputs if name not in columns]
    assert not missing, f"{task.name}, {split.name}: no column for {missing}"
    if not split.labelled:
        columns.pop("label", None)
    if not file.header:
        if len(first) == columns.get("label"):
            text = f"has {len(first)} columns; the label would be the next"
            errors.refuse("line 1", f"{text}, but published test files often have none")
            return None
        return {name: int(column) for name, column in columns.items()}
    indices = {column: index for index, column in reversed(list(enumerate(first)))}
    absent = [str(column) for column in columns.values() if column not in indices]
    for name in absent:
        errors.refuse("line 1", unknown_name("column", name, (name[:40] for name in first)))
    for column in columns.values():
        if first.count(str(column)) > 1:
            errors.refuse("line 1", f"column '{column}' occurs more than once in the header")
    if absent:
        return None
    return {name: indices[str(column)] for name, column in columns.items()}


def _label_parser(task: Task, file: File) -> Callable[[str], int | float | None]:
    """Return a function from a label's text to its value, or to None if there is no such label."""
    if task.labels:
        ids = {label: number for number, label in enumerate(task.labels)}
        aliases = {alias: ids[label] for alias, label in file.label_aliases.items()}
        return (ids | aliases).get
    low, high = task.bounds or (float("-inf"), float("inf"))

    def bounded(text: str) -> float | None:
        value = decimal(text)
        return value if value is not None and low <= value <= high else None

    return bounded


@dataclass(kw_only=True)
class _IdFilter:
    """A filter of the rows of a split by a list of ids.

    Attributes:
        ids: the list.
        listed: the ids of each row of the list.
        pick: returns the ids of a row of the data file.
        unmatched: the listed ids that no row has had so far.
    """

    ids: IdList
    listed: frozenset[tuple[str, ...]]
    pick: Callable[[Row], tuple[str, ...]]
    unmatched: set[tuple[str, ...]]

    def __call__(self, fields: Row) -> bool:
        key = self.pick(fields)
        is_listed = key in self.listed
        if is_listed:
            self.unmatched.discard(key)
        return is_listed is self.ids.inside


def _row_filter(
    file: File, folder: Path, header: Row, errors: RowErrors
) -> Callable[[Row], bool] | None:
    """Return a function that tells the rows of a split; None if all rows belong to it."""
    if file.where is not None:
        column, value = file.where
        if column not in header:
            errors.refuse("line 1", unknown_name("column", str(column), header))
            return None
        index = header.index(str(column))
        return lambda fields: fields[index] == value
    ids = file.kept_ids
    if ids is None:
        return None
    for name in ids.columns:
        if name not in header:
            errors.refuse("line 1", unknown_name("column", name, header))
    indices = [header.index(name) for name in ids.columns if name in header]
    listed = frozenset(tuple(row) for _, row in _rows(folder / ids.path, errors))
    return _IdFilter(
        ids=ids,
        listed=listed,
        pick=lambda fields: tuple([fields[index] for index in indices]),
        unmatched=set(listed),
    )


def _check_rows(
    file: File, belongs: Callable[[Row], bool] | None, total: int, used: int, errors: RowErrors
) -> None:
    """Note if there were no rows, or if a filter selected none or missed some.

    Args:
        file: the published form.
        belongs: the filter; None if there is none.
        total: the number of rows of the file.
        used: the number of rows of the split.
        errors: collects what is wrong.
    """
    if not total:
        errors.refuse("file", "has a header and no rows")
    if file.where is not None and belongs is not None and not used:
        column, value = file.where
        errors.refuse("file", f"no row whose '{column}' is '{value}'")
    if not isinstance(belongs, _IdFilter):
        return
    if not belongs.listed:
        errors.refuse(belongs.ids.path, EMPTY)
    elif belongs.unmatched:
        example = ", ".join(min(belongs.unmatched))
        share = f"{len(belongs.unmatched)} of its {len(belongs.listed)} rows"
        text = f"{share} name ids that no row has, for example {example}"
        errors.refuse(belongs.ids.path, f"{text}; the files may be of other versions")


def _check_blank(names: set[str], errors: RowErrors) -> None:
    """Note the inputs that are blank in all rows."""
    for name in sorted(names):
        errors.refuse("file", f"every {name} is blank; are the columns in another order?")


def _width_text(columns: int, width: int) -> str:
    cause = (
        "a line break in a field, or a tab lost?" if columns < width else "a tab within a field?"
    )
    return f"{columns} column{'' if columns == 1 else 's'} where there should be {width}; {cause}"


def _label_text(task: Task) -> str:
    if task.labels:
        return f"label {VALUE}; the labels are: {', '.join(task.labels)}"
    bounds = f" from {task.bounds[0]:g} to {task.bounds[1]:g}" if task.bounds else ""
    return f"label {VALUE} is not a number{bounds}"
