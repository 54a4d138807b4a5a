"""How much of what a model computes is padding, by the way in which batches are formed.

python benchmarks/padding.py --data DATA/glue --tokenizer FOLDER
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from raysearch import tasks
from raysearch.data.dataset import EncodedDataset
from raysearch.data.encoding_cache import prepare
from raysearch.data.sampling import MicroBatchCost, pack_micro_batches, padded_share, step_batches
from raysearch.heads import HEADS
from raysearch.models.pretrained import read_tokenizer
from raysearch.recipes import Hyperparameters

TASKS = ("glue/rte", "glue/cola", "glue/mrpc")
BATCH, LONGEST, SEED = 32, 128, 1
MEGA = 50  # batches that transformers' group_by_length sorts together
OVERHEADS = {"BERT 2x128": 162, "MiniLM 6x384": 19}  # tokens, by `micro_batch_overhead`

Parts = list[np.ndarray]


def one_batch(lengths: np.ndarray) -> Iterator[Parts]:
    """A step is one batch, padded to its longest example."""
    for rows in epoch(lengths):
        yield [rows]


def grouped(lengths: np.ndarray) -> Iterator[Parts]:
    """As transformers' group_by_length: sorted within mega-batches, which changes the batches."""
    order = np.random.default_rng(SEED).permutation(len(lengths))
    for start in range(0, len(order), MEGA * BATCH):
        mega = order[start : start + MEGA * BATCH]
        mega = mega[np.argsort(-lengths[mega], kind="stable")]
        for at in range(0, len(mega), BATCH):
            yield [mega[at : at + BATCH]]


def micro_batches(overhead: float) -> Callable[[np.ndarray], Iterator[Parts]]:
    """Ours: the same batches, each cut into micro-batches of like lengths."""

    def steps(lengths: np.ndarray) -> Iterator[Parts]:
        for rows in epoch(lengths):
            yield pack_micro_batches(rows, lengths, MicroBatchCost(overhead=overhead, limit=2**20))

    return steps


def epoch(lengths: np.ndarray) -> Iterator[np.ndarray]:
    return islice(step_batches(len(lengths), BATCH, SEED), -(-len(lengths) // BATCH))


def describe(steps: Iterator[Parts], lengths: np.ndarray) -> str:
    """The share of padding, and the micro-batches of a step."""
    steps = list(steps)
    parts = [part for step in steps for part in step]
    return f"{padded_share(parts, lengths):6.1%}  {len(parts) / len(steps):4.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", required=True)
    given = parser.parse_args()
    tokenizer = read_tokenizer(given.tokenizer, ())
    ways = {"one padded batch": one_batch, "grouped by length": grouped}
    ways |= {f"ours, {name}": micro_batches(cost) for name, cost in OVERHEADS.items()}
    print(f"padding, micro-batches a step; BSZ {BATCH}, at most {LONGEST} tokens")
    for name in TASKS:
        task = tasks.get(name)
        made = prepare(
            HEADS[task.head].encoder,
            task,
            task.train,
            given.data,
            tokenizer,
            Hyperparameters(max_length=LONGEST),
        )
        lengths = EncodedDataset(made.table, made.padding).lengths
        print(f"{name}: {len(lengths)} examples of {lengths.mean():.1f} tokens")
        print(f"  {f'padded to {LONGEST}':<22}{1 - lengths.mean() / LONGEST:6.1%}   1.0")
        for way, steps in ways.items():
            print(f"  {way:<22}{describe(steps(lengths), lengths)}")


if __name__ == "__main__":
    main()
