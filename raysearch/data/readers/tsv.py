"""Reads tab-separated text: one example a line, quotes literal, UTF-8. Knows a split's files and
columns from its row, and nothing of any particular task."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

from ...errors import unknown_name
from ...metrics.missing_ids import format_ids as listed
from ...tasks.task import Example, File, Split, Task
from .decimal_numbers import decimal
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors
from .text_lines import EMPTY, iter_lines

__all__ = ["read", "split_paths"]

Row = list[str]


def read(task: Task, split: Split, root: Path, faults: RowErrors) -> Iterator[Example]:
    """Examples of the first form that is there, one at a time and a block of the file in memory."""
    file = present_paths(task, split, root)
    path = file_path(task, file, root)
    faults.source = str(path)
    rows = _rows(path, faults)
    first = next(rows, None)
    if first is None:
        faults.refuse("file", EMPTY)
        return
    if file.header and first[0] > 1:
        faults.refused = True  # the header is one of the lines that cannot be read
        return
    columns = _columns(task, split, file, first[1], faults)
    if columns is None:
        return
    width = _width(split, file, first[1])
    belongs = _filter(file, path.parent, first[1], faults)
    rows = rows if file.header else chain([first], rows)
    trained = split.name in {training.name for training in task.training_splits()}
    ids = None if trained or "id" not in columns else Counter[str]()
    yield from _examples(task, file, columns, rows, width, belongs, ids, faults)
    if twice := [identity for identity, count in (ids or {}).items() if count > 1]:
        text = f"{len(twice):,} stand more than once, so that no prediction is theirs"
        faults.refuse("ids", f"{text}: {listed(twice)}")


def _examples(
    task: Task,
    file: File,
    columns: dict[str, int],
    rows: Iterator[tuple[int, Row]],
    width: int,
    belongs: Callable[[Row], bool] | None,
    ids: Counter[str] | None,
    faults: RowErrors,
) -> Iterator[Example]:
    """Examples of rows. Counts their ids, unless `ids` is None as they need not tell rows apart."""
    label_at = columns.pop("label", None)
    names = tuple(columns)
    # The first column twice, because a getter of a single one would not give a tuple.
    pick = itemgetter(*columns.values(), *list(columns.values())[:1])
    to_label = _labeller(task, file)
    torn = RowErrors(source=faults.source) if file.tolerated_bad_rows else faults
    blank = {name for name in task.inputs if name in columns}  # as far as was read
    kept = seen = 0
    for number, fields in rows:
        seen += 1
        if len(fields) != width:
            torn.add(f"line {number}", _width_text(len(fields), width))
            continue
        if belongs is not None and not belongs(fields):
            continue
        example: Example = dict(zip(names, pick(fields), strict=False))
        if "id" not in example:
            example["id"] = str(kept)
        elif ids is not None:
            ids[example["id"]] += 1
        kept += 1
        blank -= {name for name in blank if example[name].strip()}
        example["label"] = None
        if label_at is not None:
            example["label"] = label = to_label(fields[label_at])
            if label is None:
                faults.add(f"line {number}", _label_text(task, fields[label_at]))
                continue
        yield example
    if torn is not faults and (torn.count > _torn(file, seen) or not kept):
        faults.merge(torn)
    elif torn is not faults:
        faults.tolerated = torn
    _check_rows(file, belongs, seen, kept, faults)
    for name in sorted(blank) if kept else ():
        faults.refuse("file", f"every {name} is blank; do the columns stand in another order?")


def _torn(file: File, rows: int) -> int:
    """How many torn rows are those that the published file is known for: of a part of it no more
    than one in a hundred, and the two pieces of one."""
    return min(file.tolerated_bad_rows, max(2, rows // 100))


def _width(split: Split, file: File, first: Row) -> int:
    """Columns of a row: those of the header; without one those that the published file has, whose
    label an unlabelled split may lack."""
    if file.header:
        return len(first)
    full = 1 + max(int(column) for column in file.columns.values())
    bare = 1 + max(int(column) for name, column in file.columns.items() if name != "label")
    return bare if not split.labelled and len(first) == bare else full


def _rows(path: Path, faults: RowErrors) -> Iterator[tuple[int, Row]]:
    """Line number, counted from 1, and fields of every line that can be read."""
    for first, found in iter_lines(path, faults):
        for number, line in enumerate(found, first):
            if line is not None:
                yield number, line.split("\t")


def _columns(
    task: Task, split: Split, file: File, first: Row, faults: RowErrors
) -> dict[str, int] | None:
    """Where the inputs, the id and the label stand; None if the header lacks one of them."""
    wanted = dict(file.columns)
    missing = [name for name in task.inputs if name not in wanted]
    assert not missing, f"{task.name}, {split.name}: no column for {missing}"
    if not split.labelled:
        wanted.pop("label", None)
    if not file.header:
        if len(first) == wanted.get("label"):
            text = f"has {len(first)} columns; the label would be the next"
            faults.refuse("line 1", f"{text}, but published test files often have none")
            return None
        return {name: int(column) for name, column in wanted.items()}
    places = {column: place for place, column in reversed(list(enumerate(first)))}
    lacking = [str(column) for column in wanted.values() if column not in places]
    for column in lacking:
        faults.refuse("line 1", unknown_name("column", column, (name[:40] for name in first)))
    for column in wanted.values():
        if first.count(str(column)) > 1:
            faults.refuse("line 1", f"column '{column}' stands more than once in the header")
    return None if lacking else {name: places[str(column)] for name, column in wanted.items()}


def _labeller(task: Task, file: File) -> Callable[[str], int | float | None]:
    """A function from a label's text to its value, or to None where there is no such label."""
    if task.labels:
        numbers = {label: number for number, label in enumerate(task.labels)}
        return (numbers | {seen: numbers[meant] for seen, meant in file.label_aliases.items()}).get
    low, high = task.bounds or (float("-inf"), float("inf"))

    def bounded(text: str) -> float | None:
        value = decimal(text)
        return value if value is not None and low <= value <= high else None

    return bounded


@dataclass(kw_only=True)
class _Filter:
    """Tells the rows of a split by listed ids, and remembers which listed ones never came."""

    listed: frozenset[tuple[str, ...]]
    pick: Callable[[Row], tuple[str, ...]]
    inside: bool
    unseen: set[tuple[str, ...]]

    def __call__(self, fields: Row) -> bool:
        key = self.pick(fields)
        found = key in self.listed
        if found:
            self.unseen.discard(key)
        return found is self.inside


def _filter(
    file: File, folder: Path, header: Row, faults: RowErrors
) -> Callable[[Row], bool] | None:
    """What tells a split's rows; None where all are."""
    if file.where is not None:
        column, said = file.where
        if column not in header:
            faults.refuse("line 1", unknown_name("column", str(column), header))
            return None
        at = header.index(str(column))
        return lambda fields: fields[at] == said
    if file.kept_ids is None:
        return None
    keep = file.kept_ids
    lacking = [column for column in keep.columns if column not in header]
    for column in lacking:
        faults.refuse("line 1", unknown_name("column", column, header))
    places = [header.index(column) for column in keep.columns if column in header]
    listed = frozenset(tuple(ids) for _, ids in _rows(folder / keep.path, faults))
    return _Filter(
        listed=listed,
        pick=lambda fields: tuple([fields[place] for place in places]),
        inside=keep.inside,
        unseen=set(listed),
    )


def _check_rows(
    file: File, belongs: Callable[[Row], bool] | None, seen: int, kept: int, faults: RowErrors
) -> None:
    """Whether there were rows, and a filter let them through as it should."""
    if not seen:
        faults.refuse("file", "has a header and no rows")
    if file.where is not None and belongs is not None and not kept:
        column, said = file.where
        faults.refuse("file", f"no row whose '{column}' is '{said}'")
    if not isinstance(belongs, _Filter):
        return
    if not belongs.listed:
        faults.refuse(file.kept_ids.path, EMPTY)
    elif belongs.unseen:
        example = ", ".join(min(belongs.unseen))
        seen = f"{len(belongs.unseen)} of its {len(belongs.listed)} rows name ids that no row has"
        text = f"{seen}, for example {example}; the files may be of other versions"
        faults.refuse(file.kept_ids.path, text)


def _width_text(seen: int, width: int) -> str:
    cause = "a line break in a field, or a tab lost?" if seen < width else "a tab within a field?"
    return f"{seen} column{'' if seen == 1 else 's'} where there should be {width}; {cause}"


def _label_text(task: Task, text: str) -> str:
    if task.labels:
        return f"label '{text[:40]}'; the labels are: {', '.join(task.labels)}"
    bounds = f" from {task.bounds[0]:g} to {task.bounds[1]:g}" if task.bounds else ""
    return f"label '{text[:40]}' is not a number{bounds}"
