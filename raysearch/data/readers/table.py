"""Reads a user's own tables: CSV, TSV, JSON lines, parquet, and folders of the library `datasets`.

The files and the columns come from the study. It is apart from the readers of benchmarks because
one split may be several files of several formats, and because a training file may hold the dev set.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import compress
from pathlib import Path

from ...tasks.example_ids import format_ids
from ...tasks.task import Example, File, HeldOut, Split, Task
from .paths import file_path, part_path, present_paths, split_paths
from .row_errors import RowErrors
from .table_examples import UnusableRowError, parser_of, plain_text
from .table_files import Row, open_table

__all__ = ["read", "split_paths"]

_Pair = tuple[Example, str]  # an example and its group


def read(task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
    """Yield the examples of all files of a split, in the order of the study.

    A row with a blank text is unusable. Ids are those of the named column, else they count the rows
    of all files from 0, usable or not. A training set and a dev set that share a file have the ids
    of the whole, and what is wrong with its rows is noted for the training set.
    """
    file = present_paths(task, split, root)
    errors.source = str(file_path(task, file, root))
    if len(file.parts) == 1:
        errors.source = str(Path(errors.source) / file.parts[0])
    held_out = file.held_out
    examples: Iterator[Example]
    if held_out is None:
        examples = (example for example, _ in _pairs(task, split, file, root, errors))
    else:
        row_errors = RowErrors(source=errors.source)
        examples = _part(task, split, file, root, held_out, row_errors)
    ids = None if _is_training(task, split) or "id" not in file.columns else Counter[str]()
    for example in examples:
        if ids is not None:
            ids[str(example["id"])] += 1
        yield example
    if held_out is not None and (row_errors.refused or not held_out.inside):
        errors.merge(row_errors)
    if repeated := [identity for identity, count in (ids or {}).items() if count > 1]:
        text = f"{len(repeated):,} occur more than once, so predictions cannot be matched to rows"
        errors.refuse("ids", f"{text}: {format_ids(repeated)}")


def _is_training(task: Task, split: Split) -> bool:
    return split.name in {training.name for training in task.training_splits()}


def _part(
    task: Task, split: Split, file: File, root: Path, held_out: HeldOut, errors: RowErrors
) -> Iterator[Example]:
    """Yield the examples of a file that are held out, or all others."""
    from ..stratified_division import DevExample  # imports numpy
    from ..stratified_division import held_out as divide

    pairs = list(_pairs(task, split, file, root, errors))
    shared = task.facts.shared_input
    divided = []
    for example, group in pairs:
        keys = [f"id {example['id']}", *([f"group {group}"] if group else [])]
        if shared and example[shared]:
            keys.append(f"{shared} {example[shared]}")
        label = example["label"] if task.facts.labels_examples else None
        assert isinstance(label, int | float | None)
        divided.append(DevExample(keys=tuple(keys), label=label))
    mask = divide(task, {"": divided}, held_out.share, held_out.seed)[""]
    mask = mask if held_out.inside else ~mask
    if pairs and not mask.any():
        part = "dev" if held_out.inside else "training"
        text = f"{held_out.share:g} of {len(pairs):,} rows leaves no {part} row"
        if shared:
            count = len({example[shared] for example, _ in pairs})
            text += f"; rows with the same '{file.columns.get(shared, shared)}' stay on one side,"
            text += f" and these have {count:,}"
        errors.refuse("hold_out", f"{text}: another share, or a dev file, would do")
    for example, _ in compress(pairs, mask):
        yield example


def _pairs(task: Task, split: Split, file: File, root: Path, errors: RowErrors) -> Iterator[_Pair]:
    """Yield every usable example of the files of a split, with its group."""
    columns = dict(file.columns)
    if not split.labelled:
        del columns["label"]
    if file.held_out is None:
        columns.pop("group", None)
    wanted = tuple(dict.fromkeys(map(str, columns.values())))
    total = 0
    for part in file.parts:
        path = part_path(file_path(task, file, root), part)
        part_errors = RowErrors(source=str(path))
        table = open_table(path, wanted, part_errors)
        if table is not None:
            parser = parser_of(task)(
                task=task,
                file=file,
                labelled=split.labelled,
                exact=_is_training(task, split) or file.held_out is not None,
                classes=table.classes,
                errors=part_errors,
            )
            before = total
            for place, row in table.rows:
                try:
                    identity, group = _names(row, columns, total)
                    yield {"id": identity, **parser.parse(row)}, group
                except UnusableRowError as error:
                    part_errors.add(place, str(error), value=error.value)
                total += 1
            if total == before and not part_errors.count:
                part_errors.refuse("file", "has a header and no rows")
        errors.merge(part_errors, file=part if len(file.parts) > 1 else "")


def _names(row: Row, columns: dict[str, str | int], number: int) -> tuple[str, str]:
    """Return the id and the group of a row. Raises UnusableRowError if they have no value."""
    names = []
    for key, default in (("id", str(number)), ("group", "")):
        if key not in columns:
            names.append(default)
            continue
        column = str(columns[key])
        name = plain_text(row[column], column)
        if not name.strip() or set(name) & {"\t", "\n", "\r"}:
            text = f"'{column}' is '{name[:40]}'; a text without tabs and line breaks is needed"
            raise UnusableRowError(text)
        names.append(name)
    return names[0], names[1]
