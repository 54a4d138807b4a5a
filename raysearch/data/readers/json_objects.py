"""Reads JSON objects, one a line, each of which holds one example or several.

What the members mean is the matter of a `Parse` function; here are lines, JSON and the notes of
what is wrong. It is apart from `json_stream`, which reads one object that is larger than memory.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.example_ids import format_ids, join_parts
from ...tasks.task import Example, File, Split, Task
from . import paths
from .json_stream import kind, parse_integer, shorten_value, surrogate_problem
from .paths import file_path, present_paths
from .row_errors import RowErrors
from .text_lines import EMPTY, iter_lines

Row = dict[str, Any]
Note = Callable[[str, str], None]  # the place within a row, and why its example is unusable
# Yields the examples of a row. It raises `UnusableRow` for a row that holds none, and notes each
# broken part of a row that holds others.
Parse = Callable[[Row, Task, Split, File, Note], Iterator[Example]]

_TYPES = {str: "a text", int: "a whole number", list: "a list", dict: "an object"}


class UnusableRow(Exception):
    """A row, or a part of one, of which no example can be made; the text says why."""


@dataclass(frozen=True, kw_only=True)
class JsonObjects:
    """A reader of objects, one a line.

    Attributes:
        parse: yields the examples of an object.
    """

    parse: Parse

    def split_paths(self, task: Task, split: Split, root: Path) -> tuple[tuple[Path, ...], ...]:
        """Return the paths of each published form of a split."""
        return paths.split_paths(task, split, root)

    def read(self, task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
        """Yield the examples of the first form that exists, with one block of it in memory.

        Where predictions are matched by ids, in all but training sets, an id may not occur twice.
        """
        file = present_paths(task, split, root)
        path = file_path(task, file, root)
        errors.source = str(path)
        trained = split.name in {training.name for training in task.training_splits()}
        ids, rows = Counter[str](), 0
        for first, block in iter_lines(path, errors):
            for number, line in enumerate(block, first):
                if line is None:
                    continue
                rows += 1
                for example in self._examples(line, f"line {number}", task, split, file, errors):
                    if not trained:
                        ids[str(example["id"])] += 1
                    yield example
        if not rows and not errors.count:
            errors.refuse("file", EMPTY)
        if repeated := [identity for identity, count in ids.items() if count > 1]:
            text = f"{len(repeated):,} occur more than once, so predictions cannot be matched to"
            errors.refuse("ids", f"{text} examples: {format_ids(repeated)}")

    def _examples(
        self, line: str, location: str, task: Task, split: Split, file: File, errors: RowErrors
    ) -> Iterator[Example]:
        """Yield the usable examples of a line, and note why others are not."""

        def note(place: str, text: str) -> None:
            errors.add(f"{location} {place}".rstrip(), text)

        row = _load(line, note)
        if row is None:
            return
        try:
            yield from self.parse(row, task, split, file, note)
        except UnusableRow as error:
            note("", str(error))


def _load(line: str, note: Note) -> Row | None:
    """Return the object in a line; None, with a note, if there is none."""
    try:
        row = json.loads(line, parse_int=parse_integer)
    except json.JSONDecodeError as error:
        blank = "is blank where an object should be"
        note("", f"broken JSON at character {error.colno}: {error.msg}" if line.strip() else blank)
    except ValueError as error:
        note("", f"holds {error}")
    except RecursionError:
        note("", "is nested too deeply for examples of a data set")
    else:
        if isinstance(row, dict):
            return row
        note("", f"is {kind(row)} where an object should be")
    return None


def member(owner: object, name: str, type_: type) -> Any:
    """Return a member of an object.

    Args:
        owner: the object.
        name: the name of the member.
        type_: str, int, list or dict.

    Raises:
        UnusableRow: there is none of this type, or a text cannot be written in UTF-8.
    """
    if not isinstance(owner, dict):
        raise UnusableRow(f"is {kind(owner)} where an object with '{name}' should be")
    if name not in owner:
        raise UnusableRow(f"'{name}' is missing; it should be {_TYPES[type_]}")
    value = owner[name]
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
        raise UnusableRow(f"'{name}' is {kind(value)} where {_TYPES[type_]} should be")
    if isinstance(value, str) and (problem := surrogate_problem(value)):
        raise UnusableRow(f"'{name}' {problem}")
    return value


def identity(row: Row, *names: str) -> str:
    """Return the id that members of a row make together, the widest first.

    Raises:
        UnusableRow: one of them is neither a whole number nor a text without "/".
    """
    values = [row.get(name) for name in names]
    for name, value in zip(names, values, strict=True):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not is_number and not (isinstance(value, str) and value and "/" not in value):
            actual = f"is {kind(value)}" if name in row else "is missing"
            raise UnusableRow(f"'{name}' {actual}; it should be a whole number or a name")
        if isinstance(value, str) and (problem := surrogate_problem(value)):
            raise UnusableRow(f"'{name}' {problem}")
    return join_parts(*values)


def label_of(row: Row, name: str, task: Task, split: Split, file: File) -> int | None:
    """Return the index of the label that a member of a row is; None if labels are not read.

    True and false are spelled as JSON spells them, numbers with their digits.

    Raises:
        UnusableRow: it is missing, or no label of the task.
    """
    if not split.labelled:
        return None
    labels = ", ".join(task.labels)
    if name not in row:
        raise UnusableRow(f"'{name}' is missing; the labels are: {labels}")
    value = row[name]
    text = value if isinstance(value, str) else shorten_value(value)
    text = file.label_aliases.get(text, text)
    if text not in task.labels:
        raise UnusableRow(f"'{name}' is '{text[:40]}'; the labels are: {labels}")
    return task.labels.index(text)
