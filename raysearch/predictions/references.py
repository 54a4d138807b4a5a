"""The labelled examples that predictions are scored on: from a data folder, or from a lone file."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ..data import readers
from ..errors import InputError, Problem
from ..metrics.missing_ids import format_ids
from ..tasks import Example, Split, Task


@dataclass(frozen=True, kw_only=True)
class References:
    """Examples of one split, all with labels.

    Attributes:
        split: with its labels read.
        examples: in the file's order.
        parts: how many examples each part of the split has, in order; empty where it is whole.
    """

    split: Split
    examples: list[Example]
    parts: dict[str, int]


def load_references(task: Task, data: Path, split: Split) -> References:
    """Read a split for scoring.

    Args:
        data: the folder that holds the benchmark's folders, or a gold file under any name.

    Raises:
        InputError: no such file, or a damaged one, or one without labels.
    """
    split, root = split.labelled_copy(), data
    if data.is_file():
        task, split, root = _lone(task, split, data)
    examples = list(readers.read(task, split, root))
    if not examples:
        raise InputError(str(data), [Problem(location=split.name, text="has no examples")])
    counts = Counter(example["id"] for example in examples)
    if twice := [identity for identity, count in counts.items() if count > 1]:
        text = f"{len(twice):,} occur more than once, so predictions cannot be matched to rows: "
        text += format_ids(twice)
        raise InputError(str(data), [Problem(location="ids", text=text)])
    parts = Counter(example["part"] for example in examples if "part" in example)
    return References(split=split, examples=examples, parts=dict(parts) if len(parts) > 1 else {})


def _lone(task: Task, split: Split, data: Path) -> tuple[Task, Split, Path]:
    """A task, split and data folder of which the one file is all."""
    named = [file for file in split.files if Path(file.path).name == data.name]
    form = next(iter((*named, *split.files)), None)
    if form is None or form.parts:
        text = "is a file; give the folder that holds the benchmark's folders"
        raise InputError(str(data), [Problem(location="--data", text=text)])
    file = replace(form, path=data.name, folder="")
    return replace(task, folder=""), replace(split, files=(file,)), data.parent
