"""Which other split predictions are of, told by what is in them: ids, or numbers of lines or words.
Knows no labels."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..data import readers
from ..errors import InputError, Problem
from ..tasks import Example, Split, Task
from . import text_files

Keys = frozenset[str] | list[int]
_SAID = {"json": "ids", "glue": "ids", "numbered": "numbers"}


def matching_splits(
    task: Task, split: Split, data: Path, found: Any, examples: Iterable[Example]
) -> list[Problem]:
    """A problem where predictions are not of these examples and those of another split fit them.

    Args:
        split: the one that the examples are of.
        data: the data folder; of a lone gold file nothing else is known.
        found: what was read of the predictions, a mapping or lines.
    """
    keys = _keys(task, found)
    if not data.is_dir() or _same(task, keys, examples):
        return []
    here = {*readers.present_splits(task, data)} - {split.name}
    others = [other for other in (*task.dev, *task.test) if other.name in here]
    fitting = [other for other in others if _fits(task, other, data, keys)]
    if not fitting:
        return []
    said = _SAID.get(task.layout, "sentences" if task.head == "tag" else "number of lines")
    names = [other.name for other in fitting]
    text = f"the {said} of the predictions fit {', '.join(names)} and not {split.name}; "
    if any(split.labelled or split.gold for split in fitting):
        text += f"name {'it' if len(names) == 1 else 'the one that they are of'}"
    else:
        text += "labels of that are not published"
    return [Problem(location="--split", text=text)]


def _fits(task: Task, split: Split, data: Path, keys: Keys) -> bool:
    try:
        return _same(task, keys, readers.read(task, replace(split, labelled=False), data))
    except InputError:  # it is damaged
        return False


def _keys(task: Task, found: Any) -> Keys:
    """What tells which examples predictions are of: ids, or how many words each sentence has, or
    only how many there are."""
    if task.layout == "json":
        return frozenset(found)
    if task.head == "tag":
        return [len(sentence) for sentence in text_files.sentences_of(found)]
    if task.layout == "lines":
        return [1] * len(found)
    rows = found[1:] if task.layout == "glue" else found
    return frozenset(line.partition("\t")[0] for _, line in rows)


def _same(task: Task, keys: Keys, examples: Iterable[Example]) -> bool:
    """Whether examples have these keys, and no others; of most that have not, few are read."""
    if isinstance(keys, frozenset):
        left = set(keys)
        strange = any(e["id"] not in keys or left.discard(e["id"]) for e in examples)
        return not strange and not left
    sizes = (len(example["words"]) if task.head == "tag" else 1 for example in examples)
    return all(one == other for one, other in zip_longest(keys, sizes))
