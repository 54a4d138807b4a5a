"""The division of dev splits: trials are compared on one part, the other one is printed.

It is apart from the encoders because `raysearch check` divides the examples too, without a
tokenizer. The division depends on ids, labels and shared texts alone, and on the seed: neither on
the order of a file, unless ids are the numbers of its rows, nor on trials, lanes or workers.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..tasks import Example, Task
from ..tasks.example_ids import id_parts
from . import readers
from .stratified_division import DevExample, Mask, held_out

__all__ = ["DevExample", "Mask", "held_out", "read_dev", "spread_indices"]


def read_dev(task: Task, root: Path, count: int | None) -> dict[str, list[DevExample]]:
    """Return the examples of a task's dev splits that are scored, in the order of their files.

    Args:
        task: the task.
        root: the data folder.
        count: the number of examples of each split that are scored, `dev_examples`; None for all.

    Raises:
        InputError: every broken row with its file and line.
    """
    present = readers.present_splits(task, root)
    splits = {}
    for split in (split for split in task.dev if split.name in present):
        examples = list(readers.read(task, split, root))
        # The ids of other splits than translations are numbers of rows, and mean other examples.
        prefix = "" if task.languages else f"{split.name} "
        chosen = spread_indices(len(examples), count)
        splits[split.name] = [_dev_example(task, examples[index], prefix) for index in chosen]
    return splits


def _dev_example(task: Task, example: Example, prefix: str) -> DevExample:
    facts, keys = task.facts, [f"id {prefix}{example['id']}"]
    if task.id_parts:
        keys.append(f"{task.id_parts[0]} {prefix}{id_parts(str(example['id']))[0]}")
    if facts.shared_input:
        keys.append(f"{facts.shared_input} {example[facts.shared_input]}")
    label = example["label"] if facts.labels_examples else example.get("part")
    assert isinstance(label, int | float | str | None)
    return DevExample(keys=tuple(keys), label=label)


def spread_indices(total: int, count: int | None) -> Sequence[int] | NDArray[np.int64]:
    """Return the indices of `count` of all examples, evenly spread; all indices for None."""
    if count is None or count >= total:
        return range(total)
    indices: NDArray[np.int64] = np.linspace(0, total - 1, count).astype(int)
    return indices
