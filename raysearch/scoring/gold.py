"""The labelled examples that predictions are scored on: from a data folder, or from a lone file."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .. import readers
from ..errors import InputError, Problem, unknown
from ..metrics.pairing import ids
from ..readers.places import present
from ..tasks import Example, Split, Task


@dataclass(frozen=True, kw_only=True)
class Gold:
    """Examples of one split, all with labels.

    Attributes:
        split: with its labels read.
        examples: in the file's order.
        parts: how many examples each part of the split has, in order; empty where it is whole.
    """

    split: Split
    examples: list[Example]
    parts: dict[str, int]


def load(task: Task, data: Path, name: str | None) -> Gold:
    """Read a split for scoring.

    Args:
        data: the folder that holds the benchmark's folders, or a gold file under any name. The
            published name of a file tells its split.
        name: the split; by default that of the file, else the first dev split.

    Raises:
        InputError: no such file or split, one without published labels, or damaged files.
    """
    if not data.exists():
        text = "there is no such file or folder"
        raise InputError(str(data), [Problem(place="--data", text=text)])
    split = _choose(task, data, name).with_gold()
    root = data
    if data.is_file():
        task, split, root = _lone(task, split, data)
    examples = list(readers.read(task, split, root))
    counts = Counter(example["id"] for example in examples)
    if not examples:
        raise InputError(str(data), [Problem(place=split.name, text="has no examples")])
    if twice := [identity for identity, count in counts.items() if count > 1]:
        text = f"{len(twice):,} stand more than once, so that no prediction is theirs: {ids(twice)}"
        raise InputError(str(data), [Problem(place="ids", text=text)])
    return Gold(split=split, examples=examples, parts=_parts(task, split, root))


def _choose(task: Task, data: Path, name: str | None) -> Split:
    """The split that is meant, which has labels."""
    splits = task.splits()
    scored = [split for split in (*task.dev, *task.test, *task.trainings())
              if split.labelled or split.gold]  # fmt: skip
    there = ", ".join(split.name for split in scored) or "none"
    if name is not None and name not in splits:
        text = unknown("split", name, splits)
    elif name is not None and splits[name] not in scored:
        text = f"the labels of '{name}' are not published; labelled are: {there}"
    elif name is None and not scored:
        text = "no labels of this task are published"
    elif name is not None:
        return splits[name]
    else:
        known = data.name if data.is_file() else None
        named = [split for split in scored if _form(split, known)]
        if named or not (task.by_language and known):
            return (named or scored)[0]
        text = f"'{known}' tells no language, by which answers are compared; there are: {there}"
    raise InputError(f"score {task.name}", [Problem(place="--split", text=text)])


def _form(split: Split, name: str | None) -> list[int]:
    """Which of a split's published forms is a file of that name."""
    return [at for at, file in enumerate(split.files) if Path(file.path).name == name]


def _lone(task: Task, split: Split, data: Path) -> tuple[Task, Split, Path]:
    """A task, split and data folder of which the one file is all."""
    form = split.files[(_form(split, data.name) or [0])[0]] if split.files else None
    if form is None or form.parts:
        text = "is a file; give the folder that holds the benchmark's folders"
        raise InputError(str(data), [Problem(place="--data", text=text)])
    file = replace(form, path=data.name, folder="")
    return replace(task, folder=""), replace(split, files=(file,)), data.parent


def _parts(task: Task, split: Split, root: Path) -> dict[str, int]:
    if not split.files:
        return {}
    file = present(task, split, root)
    if len(file.parts) < 2:
        return {}
    return {part: sum(1 for _ in _part(task, split, root, part)) for part in file.parts}


def _part(task: Task, split: Split, root: Path, part: str) -> Iterator[Example]:
    files = tuple(replace(file, parts=(part,)) for file in split.files)
    return readers.read(task, replace(split, files=files), root)
