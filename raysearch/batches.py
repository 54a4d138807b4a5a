"""Batches of token ids: which examples a step sees, and how they are cut and padded.

It knows lengths and seeds, neither model nor loss. The cut never changes the mathematics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from .prepare.columns import AT, COUNT, END, GROUP, ID, IMPOSSIBLE, INPUT, LABEL, LANGUAGE, START

_SCALARS = (LABEL, AT, COUNT, START, END, IMPOSSIBLE)


class Examples:
    """The examples of one prepared split, ready to be collated.

    Args:
        table: list columns of token values (`input_ids` first), columns of labels and `id`; its
            metadata tells how many rows make an example.
        padding: list column -> the value that fills a short row.
    """

    def __init__(self, table: pa.Table, padding: dict[str, int]) -> None:
        self.table, self.padding = table, padding
        facts = table.schema.metadata or {}
        self.group = int(facts.get(GROUP.encode(), b"1"))
        self.language = facts.get(LANGUAGE.encode(), b"").decode() or None
        self._flat = {name: _flat(table, name) for name in padding}
        sizes = np.diff(self._flat[INPUT][1])
        self._sizes = sizes
        self.tokens = sizes.reshape(-1, self.group).sum(axis=1)
        # What an example costs: the rows of a group are padded together.
        self.lengths = sizes.reshape(-1, self.group).max(axis=1) * self.group
        names = [n for n in _SCALARS if n in table.column_names and n not in padding]
        scalars = {name: table.column(name).to_numpy() for name in names}
        self._scalars = {name: column[:: self.group] for name, column in scalars.items()}
        self.labels: np.ndarray | None = self._scalars.get(LABEL)
        self.units = _units(self._flat.get(LABEL), len(self))

    def __len__(self) -> int:
        return self.table.num_rows // self.group

    def ids(self) -> list[str]:
        """The example ids, in the file's order."""
        return self.table.column(ID).to_pylist()[:: self.group]

    def values(self, name: str) -> list[np.ndarray]:
        """A list column as an array for each row, without copies."""
        values, offsets = self._flat.get(name) or _flat(self.table, name)
        return np.split(values[offsets[0] :], offsets[1:-1] - offsets[0])

    def collate(self, rows: Sequence[int], *, multiple: int = 1) -> dict[str, torch.Tensor]:
        """One padded batch.

        Args:
            rows: indices of examples.
            multiple: the padded length is a multiple of this.

        Returns:
            For each token column and `attention_mask` int64 [rows, length], for groups [rows,
            group, length]; `labels` [rows] where the split is labelled, int64 classes or float32
            scores, [rows, words] for tags; for spans the int64 [rows] that its head reads.
        """
        rows = np.asarray(rows)
        lines = (rows[:, None] * self.group + np.arange(self.group)).ravel()
        sizes = self._sizes[lines]
        length = -(-int(sizes.max()) // multiple) * multiple
        batch = {}
        for name, (values, offsets) in self._flat.items():
            wide = length if name != LABEL else int((offsets[lines + 1] - offsets[lines]).max())
            batch[name] = _pad(values, offsets, lines, wide, self.padding[name])
        batch["attention_mask"] = (np.arange(length)[None, :] < sizes[:, None]).astype(np.int64)
        if self.group > 1:
            batch = {n: x.reshape(len(rows), self.group, -1) for n, x in batch.items()}
        batch |= {name: column[rows] for name, column in self._scalars.items()}
        if LABEL in batch:
            batch["labels"] = batch.pop(LABEL)
        return {name: torch.from_numpy(x) for name, x in batch.items()}

    def batch(self, rows: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """One padded batch on a device; on an accelerator its length is a multiple of 8."""
        batch = self.collate(rows, multiple=1 if device.type == "cpu" else 8)
        return {name: x.to(device, non_blocking=True) for name, x in batch.items()}

    def vocabulary(self) -> np.ndarray:
        """The token ids that a batch can hold, padding among them: int64, sorted."""
        values, offsets = self._flat[INPUT]
        return np.union1d(values[offsets[0] : offsets[-1]], self.padding[INPUT]).astype(np.int64)


def _units(labels: tuple[np.ndarray, np.ndarray] | None, examples: int) -> np.ndarray:
    """What a mean loss is over: an example each, or the words of each."""
    return np.ones(examples, np.int64) if labels is None else np.diff(labels[1])


def _flat(table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A list column as its values and where each row begins."""
    column = table.column(name).combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return column.values.to_numpy(), column.offsets.to_numpy()


def _pad(
    values: np.ndarray, offsets: np.ndarray, rows: Sequence[int], length: int, fill: int
) -> np.ndarray:
    out = np.full((len(rows), length), fill, dtype=np.int64)
    for at, row in enumerate(rows):
        start, end = offsets[row], offsets[row + 1]
        out[at, : end - start] = values[start:end]
    return out


def stream(examples: int, batch: int, seed: int, *, start: int = 0) -> Iterator[np.ndarray]:
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
        order = np.random.default_rng([seed, number]).permutation(examples)
        for at in range(skip * batch, examples, batch):
            yield order[at : at + batch]
        number, skip = number + 1, 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What decides where a step is cut into micro-batches.

    Attributes:
        overhead: what a further micro-batch costs, in tokens.
        limit: the most padded tokens of one micro-batch.
    """

    overhead: float
    limit: int


def cut(rows: np.ndarray, lengths: np.ndarray, cost: Cost) -> list[np.ndarray]:
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


def by_length(lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
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
