"""The division of dev splits: trials are compared on one part, the other one is printed.

It is apart from the encoders because `raysearch check` divides the examples too, without a
tokenizer. The division depends on ids, labels and shared texts alone, and on the seed: neither on
the order of a file, unless ids are the numbers of its rows, nor on trials, lanes or workers.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..tasks import Example, Task
from ..tasks.example_ids import id_parts
from . import readers

BINS = 10  # of the labels of a regression: as many examples in each
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class DevExample:
    """One example of a dev split, as far as its division depends on it.

    Attributes:
        keys: examples that share a key, in one split or in several, stay on one side.
        label: the class or the number; of a choice the level of its passage; else None.
    """

    keys: tuple[str, ...]
    label: int | float | str | None = None


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


def held_out(
    task: Task, splits: Mapping[str, Sequence[DevExample]], share: float, seed: int
) -> dict[str, Mask]:
    """Return for each dev split which examples are held out: they are printed, not searched on.

    Groups of examples that share keys go to one side. Of each class, or of each tenth of the
    numbers, the held-out part has its share as closely as whole groups allow: within one example
    where an example shares no key with another one of its split. The split in which a group occurs
    first decides; later ones, such as translations, follow.

    Args:
        task: the task; its head says whether labels are numbers.
        splits: of `read_dev`.
        share: the share of the examples that is held out.
        seed: of the random order in which groups are considered.

    Returns:
        Split -> [examples].
    """
    groups = _group_names([example for examples in splits.values() for example in examples])
    side: dict[str, bool] = {}
    masks, start = {}, 0
    for split, examples in splits.items():
        names = groups[start : start + len(examples)]
        start += len(examples)
        strata = _strata(examples, names, seed, task.facts.numeric_labels)
        sizes: dict[str, int] = {}
        first: dict[str, str] = {}  # group -> the stratum of its first example
        for name, stratum in zip(names, strata, strict=True):
            sizes[name] = sizes.get(name, 0) + 1
            first.setdefault(name, stratum)
        new = [name for name in sizes if name not in side]
        side |= _divide(sorted(new, key=lambda n: (first[n], _random(seed, n))), sizes, share)
        masks[split] = np.array([side[name] for name in names], dtype=bool)
    return masks


def _divide(order: Sequence[str], sizes: Mapping[str, int], share: float) -> dict[str, bool]:
    """Return which groups are held out; at each point of the order the share is met most closely.

    Args:
        order: the groups, those of a stratum together.
        sizes: group -> number of examples.
        share: the share of the examples.
    """
    side, excess = {}, 0.0  # examples held out so far, beyond the share of those considered
    for name in order:
        size = sizes[name]
        without = excess - share * size
        side[name] = abs(without + size) <= abs(without)
        excess = without + size * side[name]
    return side


def _strata(
    examples: Sequence[DevExample], names: Sequence[str], seed: int, numeric: bool
) -> list[str]:
    """Return the stratum of each example, as a text."""
    if not numeric:
        return [f"{example.label}" for example in examples]
    ranked = sorted(
        range(len(examples)), key=lambda i: (float(examples[i].label or 0), _random(seed, names[i]))
    )
    strata = [""] * len(examples)
    for rank, index in enumerate(ranked):
        strata[index] = str(rank * BINS // len(examples))
    return strata


def _random(seed: int, name: str) -> bytes:
    """Return a random text that follows from seed and name, on every machine."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _group_names(examples: Sequence[DevExample]) -> list[str]:
    """Return the name of each example's group: one of the keys that connect the group."""
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while (parent := parents.setdefault(key, key)) != key:
            parents[key] = key = parents[parent]
        return key

    for example in examples:
        for key in example.keys[1:]:
            low, high = sorted((root(example.keys[0]), root(key)))
            parents[high] = low  # the smallest key names the group, whatever the order
    return [root(example.keys[0]) for example in examples]
