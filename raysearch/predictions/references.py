"""The labelled examples that predictions are scored on, and the fields of an example by type.

It is apart from the readers because scoring also takes a single gold file under any name.
"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from ..data import readers
from ..errors import InputError, Problem
from ..tasks import Example, Split, Task
from ..tasks.example_ids import format_ids
from ..tasks.own_forms import READER


@dataclass(frozen=True, kw_only=True)
class References:
    """The labelled examples of one split.

    Attributes:
        split: the split, with its labels read.
        examples: in the file's order.
        parts: the number of examples in each part of the split, in order; empty for a split without
            several parts.
    """

    split: Split
    examples: list[Example]
    parts: dict[str, int]


def load_references(task: Task, data: Path, split: Split) -> References:
    """Read a split for scoring.

    Args:
        task: the task.
        data: the folder that holds the benchmark's folders, or a gold file under any name.
        split: the split.

    Raises:
        InputError: there is no such file, or it is damaged, has no labels or repeats an id.
    """
    split, root = split.labelled_copy(), data
    if data.is_file():
        task, split, root = _single_file(task, split, data)
    examples = list(readers.read(task, split, root))
    if not examples:
        raise InputError(str(data), [Problem(location=split.name, text="has no examples")])
    counts = Counter(example_id(example) for example in examples)
    if repeated := [identity for identity, count in counts.items() if count > 1]:
        text = f"{len(repeated):,} occur more than once, so predictions cannot be matched to them: "
        text += format_ids(repeated)
        raise InputError(str(data), [Problem(location="ids", text=text)])
    parts = Counter(cast(str, example["part"]) for example in examples if "part" in example)
    return References(split=split, examples=examples, parts=dict(parts) if len(parts) > 1 else {})


def example_id(example: Example) -> str:
    """Return the id of an example."""
    return cast(str, example["id"])


def example_words(example: Example) -> tuple[str, ...]:
    """Return the words of an example of a tagging task."""
    return cast(tuple[str, ...], example["words"])


def _single_file(task: Task, split: Split, data: Path) -> tuple[Task, Split, Path]:
    """Return a task, a split and a data folder that consist of one gold file."""
    if task.reader == READER:
        (table,) = split.files
        file = replace(table, parts=(str(data.absolute()),), held_out=None)
        return task, replace(split, files=(file,)), data.parent
    same_name = [file for file in split.files if Path(file.path).name == data.name]
    form = next(iter((*same_name, *split.files)), None)
    if form is None or form.parts:
        text = "is a file; give the folder that holds the benchmark's folders"
        raise InputError(str(data), [Problem(location="--data", text=text)])
    file = replace(form, path=data.name, folder="")
    return replace(task, folder=""), replace(split, files=(file,)), data.parent
