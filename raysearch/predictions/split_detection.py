"""Detects from the contents of predictions that they are of another split.

The contents are ids, or numbers of lines or words, never labels. It is apart from `split_names`,
which uses only names.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from ..data import readers
from ..errors import InputError, Problem
from ..tasks import Example, Split, Task
from .references import example_words
from .text_files import Lines, prediction_ids, split_sentences, submission_id

Answers = dict[str, str]
Keys = frozenset[str] | list[int]
_KEY_NAMES = {
    "json": "ids",
    "glue": "ids",
    "numbered": "numbers",
    "jsonl": "ids",
    "nested_jsonl": "ids",
}


def matching_splits(
    task: Task,
    split: Split,
    data: Path,
    predictions: Answers | Lines,
    examples: Iterable[Example],
) -> list[Problem]:
    """Return a problem if predictions do not fit these examples but those of another split.

    Args:
        task: the task.
        split: the split of the examples.
        data: the data folder; with a single gold file there are no other splits.
        predictions: question -> answer, or the lines of a text file.
        examples: the examples of the split.
    """
    keys = _keys(task, predictions)
    if not data.is_dir() or _have_keys(task, keys, examples):
        return []
    present = {*readers.present_splits(task, data)} - {split.name}
    others = [other for other in (*task.dev, *task.test) if other.name in present]
    fitting = [other for other in others if _fits(task, other, data, keys)]
    if not fitting:
        return []
    labels_words = task.facts.labels_words
    kind = _KEY_NAMES.get(task.layout, "sentences" if labels_words else "number of lines")
    names = [other.name for other in fitting]
    text = f"the {kind} of the predictions fit {', '.join(names)} and not {split.name}; "
    if any(other.labelled or other.gold for other in fitting):
        text += f"name {'it' if len(names) == 1 else 'the one that they are of'}"
    else:
        text += "labels of that are not published"
    return [Problem(location="--split", text=text)]


def _fits(task: Task, split: Split, data: Path, keys: Keys) -> bool:
    try:
        return _have_keys(task, keys, readers.read(task, replace(split, labelled=False), data))
    except InputError:  # its file is damaged
        return False


def _keys(task: Task, predictions: Answers | Lines) -> Keys:
    """Return what identifies the examples of predictions.

    Returns:
        The ids; for tags the number of words of each sentence; for one label per line as many ones
        as there are lines.
    """
    if isinstance(predictions, dict):
        return frozenset(predictions)
    if task.facts.labels_words:
        return [len(sentence) for sentence in split_sentences(predictions)]
    if task.layout == "lines":
        return [1] * len(predictions)
    return frozenset(prediction_ids(task, predictions))


def _have_keys(task: Task, keys: Keys, examples: Iterable[Example]) -> bool:
    """Return whether the examples have exactly these keys.

    It stops at the first difference, so it reads few examples of most other splits.
    """
    if isinstance(keys, frozenset):
        missing = set(keys)
        for example in examples:
            identity = submission_id(task, example)
            if identity not in keys:
                return False
            missing.discard(identity)
        return not missing
    labels_words = task.facts.labels_words
    sizes = (len(example_words(example)) if labels_words else 1 for example in examples)
    return all(key == size for key, size in zip_longest(keys, sizes))
