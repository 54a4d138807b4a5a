"""Reads tab-separated text: one example a line, quotes literal, UTF-8. Knows a split's files and
columns from its row, and nothing of any particular task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

from ..errors import InputError, Problem, unknown
from ..tasks.task import Example, File, Listed, Split, Task
from .faults import Faults

_BLOCK = 1 << 20

Row = list[str]


def paths(task: Task, split: Split, folder: Path) -> tuple[tuple[Path, ...], ...]:
    """The files of each published form of a split, in the order of `split.files`."""
    return tuple(
        (folder / file.path, folder / file.keep.path) if file.keep else (folder / file.path,)
        for file in split.files
    )


def read(task: Task, split: Split, folder: Path) -> Iterator[Example]:
    """Examples of the first form that is there, one at a time and a block of the file in memory.

    Raises:
        InputError: after the last row, with the first problems found and how many there are.
    """
    forms = zip(split.files, paths(task, split, folder), strict=True)
    file, (path, *_) = next(form for form in forms if all(path.exists() for path in form[1]))
    faults = Faults(source=str(path))
    yield from _examples(task, split, file, folder, faults)
    faults.close()


def _examples(
    task: Task, split: Split, file: File, folder: Path, faults: Faults
) -> Iterator[Example]:
    rows = _rows(folder / file.path, faults)
    first = next(rows, None)
    if first is None:
        faults.add("file", "is empty; it may not have been downloaded whole")
        return
    columns = _columns(task, split, file, first[1], faults)
    if columns is None:
        return
    width = max(len(first[1]), *(column + 1 for column in columns.values()))
    label_at = columns.pop("label", None)
    names = tuple(columns)
    # The first column twice, because a getter of a single one would not give a tuple.
    pick = itemgetter(*columns.values(), *list(columns.values())[:1])
    to_label = _labeller(task)
    belongs = _filter(file.keep, folder, first[1], faults)
    torn = Faults(source=faults.source) if file.torn else faults
    kept = seen = 0
    if not file.header:
        rows = chain([first], rows)
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
        kept += 1
        example["label"] = None
        if label_at is not None:
            example["label"] = label = to_label(fields[label_at])
            if label is None:
                faults.add(f"line {number}", _label_text(task, fields[label_at]))
                continue
        yield example
    if torn is not faults and (torn.count > file.torn or not kept):
        faults.take(torn)
    if not seen:
        faults.add("file", "has a header and no rows")
    _check_list(file.keep, belongs, faults)


def _rows(path: Path, faults: Faults) -> Iterator[tuple[int, Row]]:
    """Line number, counted from 1, and fields."""
    number = 0
    for block in _blocks(path):
        text = _decode(block, number, faults)
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
        for line in text.split("\n"):
            number += 1
            yield number, line.split("\t")


def _blocks(path: Path) -> Iterator[bytes]:
    """Whole lines, many at a time, without the last line's end; blank lines at the end of the
    file are left out."""
    try:
        with path.open("rb") as stream:
            rest = stream.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
            if rest.startswith((b"\xff\xfe", b"\xfe\xff")):
                text = "is UTF-16; save it as UTF-8"
                raise InputError(str(path), [Problem(place="file", text=text)])
            while more := stream.read(_BLOCK):
                # The line ends of a block go on to the next, in case they end the file.
                body = rest.rstrip(b"\r\n")
                block, end, last = body.rpartition(b"\n")
                if end:
                    yield block
                rest = last + rest[len(body) :] + more
            if rest := rest.rstrip(b"\r\n"):
                yield rest
    except OSError as error:
        problem = Problem(place="file", text=f"cannot be read: {error.strerror}")
        raise InputError(str(path), [problem]) from None


def _decode(block: bytes, before: int, faults: Faults) -> str:
    """The block as text; `before` lines of the file stand above it."""
    try:
        text = block.decode()
    except UnicodeDecodeError:
        text = block.decode(errors="replace")
        for number, line in enumerate(block.split(b"\n"), before + 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                seen = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
                faults.add(f"line {number}", f"{seen} is not UTF-8; convert the file to UTF-8")
    if "\0" in text:
        for number, line in enumerate(text.split("\n"), before + 1):
            if "\0" in line:
                faults.add(f"line {number}", "holds a NUL byte; the file may be damaged")
    return text


def _columns(
    task: Task, split: Split, file: File, first: Row, faults: Faults
) -> dict[str, int] | None:
    """Where the inputs, the id and the label stand; None if the header lacks one of them."""
    wanted = dict(file.columns)
    missing = [name for name in task.inputs if name not in wanted]
    assert not missing, f"{task.name}, {split.name}: no column for {missing}"
    if not split.labelled:
        wanted.pop("label", None)
    if not file.header:
        return {name: int(column) for name, column in wanted.items()}
    places = {column: place for place, column in reversed(list(enumerate(first)))}
    lacking = [str(column) for column in wanted.values() if column not in places]
    for column in lacking:
        faults.add("line 1", unknown("column", column, (name[:40] for name in first)))
    return None if lacking else {name: places[str(column)] for name, column in wanted.items()}


def _labeller(task: Task) -> Callable[[str], int | float | None]:
    """A function from a label's text to its value, or to None where there is no such label."""
    if task.labels:
        return {label: number for number, label in enumerate(task.labels)}.get
    low, high = task.bounds or (float("-inf"), float("inf"))

    def number(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if low <= value <= high else None

    return number


@dataclass(kw_only=True)
class _Filter:
    """Tells the rows of a split by their ids, and remembers which listed ones never came."""

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


def _filter(keep: Listed | None, folder: Path, header: Row, faults: Faults) -> _Filter | None:
    if keep is None:
        return None
    lacking = [column for column in keep.columns if column not in header]
    for column in lacking:
        faults.add("line 1", unknown("column", column, header))
    places = [header.index(column) for column in keep.columns if column in header]
    listed = frozenset(tuple(ids) for _, ids in _rows(folder / keep.path, faults))
    return _Filter(
        listed=listed,
        pick=lambda fields: tuple([fields[place] for place in places]),
        inside=keep.inside,
        unseen=set(listed),
    )


def _check_list(keep: Listed | None, belongs: _Filter | None, faults: Faults) -> None:
    if keep is None or belongs is None:
        return
    if not belongs.listed:
        faults.add(keep.path, "is empty; it may not have been downloaded whole")
    elif belongs.unseen:
        example = ", ".join(min(belongs.unseen))
        seen = f"{len(belongs.unseen)} of its {len(belongs.listed)} rows name ids that no row has"
        faults.add(keep.path, f"{seen}, for example {example}; the files may be of other versions")


def _width_text(seen: int, width: int) -> str:
    cause = "a line break in a field, or a tab lost?" if seen < width else "a tab within a field?"
    return f"{seen} column{'' if seen == 1 else 's'} where there should be {width}; {cause}"


def _label_text(task: Task, text: str) -> str:
    if task.labels:
        return f"label '{text[:40]}'; the labels are: {', '.join(task.labels)}"
    bounds = f" from {task.bounds[0]:g} to {task.bounds[1]:g}" if task.bounds else ""
    return f"label '{text[:40]}' is not a number{bounds}"
