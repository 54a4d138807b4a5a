"""The rows of every optimizer step, and their division into batches of similar length.

It is apart from the datasets because it needs only lengths and seeds. The division never changes
the result of a step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np


def step_batches(examples: int, batch: int, seed: int, *, start: int = 0) -> Iterator[np.ndarray]:
    """Yield the rows of every optimizer step, without end.

    Each epoch is a permutation seeded by (seed, epoch). Only the last step of an epoch may be
    smaller than `batch`.

    Args:
        examples: the number of training examples.
        batch: BSZ, the examples of a step.
        seed: the seed of the trial.
        start: the number of steps to leave out, to continue from a checkpoint.
    """
    steps_per_epoch = -(-examples // batch)
    epoch, skip = divmod(start, steps_per_epoch)
    while True:
        order = epoch_order(examples, seed, epoch)
        for step in range(skip, steps_per_epoch):
            yield step_rows(order, batch, step)
        epoch, skip = epoch + 1, 0


def step_rows(order: np.ndarray, batch: int, step: int) -> np.ndarray:
    """Return the rows of a step.

    Args:
        order: the order of the rows in the epoch of the step.
        batch: BSZ.
        step: the step, counted from the first of any epoch.
    """
    start = step % -(-len(order) // batch) * batch
    return order[start : start + batch]


def epoch_order(examples: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the rows in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(examples)


def epoch_of(examples: int, batch: int, step: int) -> int:
    """Return the epoch of a step, counted from 0."""
    return step // -(-examples // batch)


def rank_share(rows: np.ndarray, lengths: np.ndarray, rank: int, size: int) -> np.ndarray:
    """Return the rows of a step that one worker computes: every `size`-th, the longest first.

    Args:
        rows: the rows of the step.
        lengths: tokens of every example of the split.
        rank: the rank of the worker.
        size: the number of workers.
    """
    longest_first = rows[np.argsort(-lengths[rows], kind="stable")]
    return longest_first[rank::size]


@dataclass(frozen=True, kw_only=True)
class MicroBatchCost:
    """The cost model that divides a step into micro-batches.

    Attributes:
        overhead: the cost of one more micro-batch, in tokens.
        limit: the maximum of padded tokens of a micro-batch.
    """

    overhead: float
    limit: int


def pack_micro_batches(
    rows: np.ndarray, lengths: np.ndarray, cost: MicroBatchCost
) -> list[np.ndarray]:
    """Sort rows by length and divide them so that padded tokens plus overhead are minimal.

    It takes O(rows^2), vectorised over the previous cut.

    Args:
        rows: indices of examples.
        lengths: tokens of every example of the split.
        cost: the overhead and the limit of a micro-batch.

    Returns:
        The rows of each micro-batch, longest first. A single row may exceed the limit.
    """
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    longest = lengths[rows].astype(np.float64)

    def costs(end: int) -> np.ndarray:
        tokens = (end - np.arange(end)) * longest[:end]
        total: np.ndarray = tokens + cost.overhead
        total[: end - 1][tokens[: end - 1] > cost.limit] = np.inf
        return total

    return [rows[start:end] for start, end in cheapest_division(len(rows), costs)]


def cheapest_division(count: int, costs: Callable[[int], np.ndarray]) -> list[tuple[int, int]]:
    """Divide a sequence into parts whose costs have the least sum, an exact shortest path.

    Args:
        count: the length of the sequence.
        costs: gives, for an end, the costs of the parts [0, end), [1, end), ..., [end - 1, end).

    Returns:
        The start and the end of each part.
    """
    best, previous = np.zeros(count + 1), np.zeros(count + 1, dtype=np.int64)
    for end in range(1, count + 1):
        total = best[:end] + costs(end)
        previous[end] = np.argmin(total)
        best[end] = total[previous[end]]
    parts, end = [], count
    while end > 0:
        start = int(previous[end])
        parts.append((start, end))
        end = start
    return parts[::-1]


def divide_by_tokens(rows: np.ndarray, tokens: np.ndarray, limit: int) -> list[np.ndarray]:
    """Sort rows by length and divide them into the fewest parts without padding.

    Args:
        rows: indices of examples.
        tokens: of every example of the split, without padding.
        limit: the maximum of tokens of a part.

    Returns:
        The rows of each part, longest first. A single row may exceed the limit.
    """
    parts: list[list[int]] = []
    room = 0
    for row in rows[np.argsort(-tokens[rows], kind="stable")].tolist():
        if not parts or tokens[row] > room:
            parts.append([])
            room = limit
        parts[-1].append(row)
        room -= int(tokens[row])
    return [np.array(part) for part in parts]


def length_sorted_batches(lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Return all rows of a split, longest first, in batches of at most `tokens` padded tokens."""
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        count = max(1, tokens // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + count])
        start += count
    return batches


def padded_share(batches: Sequence[np.ndarray], lengths: np.ndarray) -> float:
    """Return the share of padding among all tokens of these batches."""
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in batches)
    return 1 - sum(int(lengths[rows].sum()) for rows in batches) / padded
