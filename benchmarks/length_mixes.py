"""The lengths of four training sets, as numbers, and examples of such lengths with drawn tokens.

It is apart from gpu.py because it measures the numbers below from the published files:

    python benchmarks/length_mixes.py --data DATA

Lengths are in tokens of BERT's uncased vocabulary, special tokens included, cut as the published
recipes cut them; a question of RACE has the length of its longest option. MRPC is whole; the others
are samples of their training sets: 8,999 rows of MNLI, 3,939 questions of SQuAD 1.1 and 1,029 of
RACE's high schools.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raysearch import tasks
from raysearch.data.columns import (
    CONTEXT_LENGTH,
    CONTEXT_START,
    END,
    GROUP,
    ID,
    INPUT,
    LABEL,
    START,
    TYPE,
    list_array,
)
from raysearch.data.dataset import EncodedDataset

PERCENTILES = (*range(0, 96, 5), 98, 99.5, 100)
SPECIAL, MARKS = 10, 4  # ids 4 to 9 are special or padding in one shape or another; marks follow


@dataclass(frozen=True, kw_only=True)
class LengthMix:
    """The lengths of a task's training set.

    Attributes:
        task: the task.
        settings: of fine-tuning, by which the lengths are cut.
        batch: the examples of a step.
        quantiles: tokens of an example's longest row at PERCENTILES.
        distinct: the number of distinct token ids in the sample.
    """

    task: str
    settings: dict[str, Any]
    batch: int
    quantiles: tuple[int, ...]
    distinct: int

    def draw(self, examples: int, seed: int) -> np.ndarray:
        """Return lengths of so many examples, int64, drawn by the quantiles."""
        shares = np.random.default_rng(seed).uniform(0, 100, examples)
        return np.rint(np.interp(shares, PERCENTILES, self.quantiles)).astype(np.int64)


MIXES = {
    "MRPC": LengthMix(
        task="glue/mrpc", settings={"max_length": 128}, batch=32, distinct=11564,
        quantiles=(19, 32, 36, 39, 41, 44, 45, 47, 50, 51, 53, 55,
                   57, 59, 61, 62, 64, 67, 70, 74, 79, 86, 103),
    ),
    "MNLI": LengthMix(
        task="glue/mnli", settings={"max_length": 128}, batch=32, distinct=16470,
        quantiles=(5, 16, 19, 22, 24, 27, 29, 31, 33, 35, 37, 40,
                   42, 45, 47, 50, 54, 58, 64, 73, 87, 119, 128),
    ),
    "SQuAD": LengthMix(
        task="squad/v1.1", settings={"max_length": 384}, batch=32, distinct=11539,
        quantiles=(43, 71, 86, 99, 108, 115, 121, 127, 134, 141, 147, 153,
                   159, 165, 173, 183, 199, 213, 229, 272, 311, 362, 384),
    ),
    "RACE": LengthMix(
        task="race/high", settings={"max_length": 512, "qa_length": 128}, batch=16, distinct=8939,
        quantiles=(165, 219, 271, 299, 315, 327, 340, 348, 358, 369, 379, 393,
                   403, 412, 421, 434, 444, 465, 484, 512, 512, 512, 512),
    ),
}  # fmt: skip


def measure(mix: LengthMix, data: Path) -> tuple[np.ndarray, int]:
    """Return the lengths of a task's training files, and the number of distinct token ids.

    Args:
        mix: its task and settings are used.
        data: folder with `glue`, `squad`, `race`, and BERT's vocabulary under `tokenizers`.

    Raises:
        OSError: the vocabulary is not there.
        InputError: files of the task are not there.
    """
    from transformers import BertTokenizerFast

    from raysearch.data import encoding_cache
    from raysearch.heads import HEADS
    from raysearch.recipes import RECIPES

    words = data / "tokenizers" / "bert-base-uncased" / "vocab.txt"
    vocabulary = {w: n for n, w in enumerate(words.read_text(encoding="utf-8").splitlines())}
    task = tasks.get(mix.task)
    prepared = encoding_cache.prepare(
        HEADS[task.head].encoder,
        task,
        task.train,
        data,
        BertTokenizerFast(vocab=vocabulary, model_max_length=512),
        RECIPES["finetune"].hyper(**mix.settings),
    )
    examples = EncodedDataset(prepared.table, prepared.padding)
    return examples.lengths // examples.group, len(examples.vocabulary())


def drawn_examples(
    task: tasks.Task, lengths: np.ndarray, distinct: int, *, types: bool, padding: int
) -> EncodedDataset:
    """Return examples of given lengths whose tokens are drawn, as a task's encoder returns them.

    Every third token of a row, from the second on, is a mark. In four of five examples it tells the
    label, so that a loss falls, but not to 0.

    Args:
        task: its head decides which columns there are.
        lengths: tokens of each example; all its rows have this length.
        distinct: how many token ids there are besides the special ones.
        types: whether the model reads token types.
        padding: the id that pads.
    """
    draw = np.random.default_rng(0)
    group = 4 if task.facts.name == "choose" else 1
    classes = group if group > 1 else max(2, len(task.labels))
    labels = draw.integers(0, classes, len(lengths))
    sizes = np.repeat(lengths, group)
    rows = [draw.integers(SPECIAL + MARKS, SPECIAL + MARKS + distinct, n) for n in sizes]
    noise = draw.integers(0, classes, len(lengths))
    marks = np.repeat(np.where(draw.random(len(lengths)) < 0.2, noise, labels), group)
    if group > 1:  # the right option is marked
        marks = (marks == np.tile(np.arange(group), len(lengths))).astype(np.int64)
    for row, mark in zip(rows, marks, strict=True):
        row[1::3] = SPECIAL + mark
        row[0], row[-1] = 2, 3
    columns = {INPUT: list_array([row.astype(np.int32) for row in rows])}
    pads = {INPUT: padding}
    if types:
        columns[TYPE] = list_array([(np.arange(n) >= n // 2).astype(np.int32) for n in sizes])
        pads[TYPE] = 0
    columns |= {
        name: pa.array(values) for name, values in _gold(task, sizes, marks, labels).items()
    }
    columns[ID] = pa.array([str(index) for index in range(len(rows))])
    table = pa.table(columns).replace_schema_metadata({GROUP: str(group)})
    return EncodedDataset(table, pads)


def _gold(
    task: tasks.Task, sizes: np.ndarray, marks: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the columns of the labels; an answer is one token, and the marks tell which."""
    if task.facts.name == "span":
        ends = 2 + marks
        return {
            CONTEXT_START: np.ones_like(sizes),
            CONTEXT_LENGTH: sizes - 2,
            START: ends,
            END: ends,
        }
    return {LABEL: np.repeat(labels, len(sizes) // len(labels))}


def main() -> None:
    """Print the quantiles of every mix."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    for name, mix in MIXES.items():
        lengths, distinct = measure(mix, options.data)
        quantiles = tuple(int(x) for x in np.percentile(lengths, PERCENTILES, method="nearest"))
        print(
            f"{name}: {len(lengths)} examples, mean {lengths.mean():.1f}, {quantiles=} {distinct=}"
        )


if __name__ == "__main__":
    main()
