"""Which examples a step sees, and how they are cut into batches of like length.

It knows lengths and seeds only. The cut never changes the mathematics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


def step_batches(examples: int, batch: int, seed: int, *, start: int = 0) -> Iterator[np.ndarray]:
    """The rows of every optimizer step, without end.

    Each pass over the data is a permutation seeded by (seed, pass); only the last step of a pass
    may be smaller than `batch`.

    Args:
        examples: rows of the training split.
        batch: BSZ.
        start: steps to leave out, for going on from a checkpoint.
    """
    per_pass = -(-examples // batch)
    number, skip = divmod(start, per_pass)
    while True:
        order = epoch_order(examples, seed, number)
        for step in range(skip, per_pass):
            yield step_rows(order, batch, step)
        number, skip = number + 1, 0


def step_rows(order: np.ndarray, batch: int, step: int) -> np.ndarray:
    """The rows of a step, counted from any pass's first, in the order of its own pass."""
    at = step % -(-len(order) // batch) * batch
    return order[at : at + batch]


def epoch_order(examples: int, seed: int, number: int) -> np.ndarray:
    """The order of the rows in a pass over them."""
    return np.random.default_rng([seed, number]).permutation(examples)


def epoch_of(examples: int, batch: int, step: int) -> int:
    """The pass over the data that a step belongs to, counted from 0."""
    return step // -(-examples // batch)


def rank_share(rows: np.ndarray, lengths: np.ndarray, rank: int, size: int) -> np.ndarray:
    """A worker's share of a step: every `size`-th of its rows, the longest first."""
    longest_first = rows[np.argsort(-lengths[rows], kind="stable")]
    return longest_first[rank::size]


@dataclass(frozen=True, kw_only=True)
class MicroBatchCost:
    """What decides where a step is cut into micro-batches.

    Attributes:
        overhead: what a further micro-batch costs, in tokens.
        limit: the most padded tokens of one micro-batch.
    """

    overhead: float
    limit: int


def pack_micro_batches(
    rows: np.ndarray, lengths: np.ndarray, cost: MicroBatchCost
) -> list[np.ndarray]:
    """Sort rows by length and cut them where padded tokens plus overhead are least.

    An exact shortest path over cut points: O(rows^2), vectorised over the previous cut.

    Args:
        rows: indices of examples.
        lengths: tokens of every example of the split.

    Returns:
        The rows in micro-batches, longest first; a lone row may exceed the limit.
    """
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    longest, count = lengths[rows].astype(np.float64), len(rows)
    best, previous = np.zeros(count + 1), np.zeros(count + 1, dtype=np.int64)
    for end in range(1, count + 1):
        tokens = (end - np.arange(end)) * longest[:end]
        total = best[:end] + tokens + cost.overhead
        total[: end - 1][tokens[: end - 1] > cost.limit] = np.inf
        previous[end] = np.argmin(total)
        best[end] = total[previous[end]]
    parts, end = [], count
    while end > 0:
        parts.append(rows[previous[end] : end])
        end = previous[end]
    return parts[::-1]


def length_sorted_batches(lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """All rows of a split, longest first, in batches of at most `tokens` padded tokens."""
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        count = max(1, tokens // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + count])
        start += count
    return batches


def padded_share(parts: Sequence[np.ndarray], lengths: np.ndarray) -> float:
    """The share of padding among all tokens that these batches push through a model."""
    padded = sum(len(part) * int(lengths[part].max()) for part in parts)
    return 1 - sum(int(lengths[part].sum()) for part in parts) / padded
