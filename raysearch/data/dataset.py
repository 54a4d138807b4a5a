"""The examples of a split as padded batches of token ids. It knows neither model nor loss."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch

from .columns import (
    CONTEXT_LENGTH,
    CONTEXT_START,
    END,
    GROUP,
    ID,
    IMPOSSIBLE,
    INPUT,
    LABEL,
    LANGUAGE,
    NO_ANSWER_POSITION,
    START,
)

_SCALARS = (LABEL, CONTEXT_START, CONTEXT_LENGTH, NO_ANSWER_POSITION, START, END, IMPOSSIBLE)


class EncodedDataset:
    """The examples of one prepared split, ready to be collated.

    Args:
        table: list columns of token values (`input_ids` first), columns of labels and `id`; its
            metadata tells how many rows make an example.
        padding: list column -> the value that fills a short row.
    """

    def __init__(self, table: pa.Table, padding: dict[str, int]) -> None:
        self.table, self.padding = table, padding
        metadata = table.schema.metadata or {}
        self.facts = {name.decode(): value.decode() for name, value in metadata.items()}
        self.group = int(self.facts.get(GROUP, "1"))
        self.language = self.facts.get(LANGUAGE) or None
        self._flat = {name: _flat(table, name) for name in padding}
        self._further: dict[str, tuple[np.ndarray, np.ndarray]] = {}
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

    def has(self, name: str) -> bool:
        """Whether the table has a column."""
        return name in self.table.column_names

    def row(self, name: str, at: int) -> np.ndarray:
        """One row of a list column of numbers."""
        if (found := self._flat.get(name) or self._further.get(name)) is None:
            found = self._further[name] = _flat(self.table, name)
        values, offsets = found
        return values[offsets[at] : offsets[at + 1]]

    def words(self, name: str, at: int) -> list[str]:
        """One row of a list column of texts."""
        return self.table.column(name)[at].as_py()

    def scalar(self, name: str, at: int) -> Any:
        """One row of a column of numbers."""
        return self._scalars[name][at]

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

    def with_epoch(self, seed: int, number: int) -> Self:
        """The examples as a pass over them sees them: always the same."""
        return self

    def loss_counts(self, rows: np.ndarray) -> dict[str, int]:
        """What a loss over these rows, a step, is a mean over: see `recipes`."""
        units = int(self.units[rows].sum())
        return {"units": units, "compared": units, "augmented": 0}

    def switched_share(self) -> float | None:
        """The share of words that views switched: there are none."""
        return None

    def flat_values(self, name: str) -> np.ndarray:
        """The values of a list column, those of one row behind those of the other."""
        values, offsets = self._flat[name]
        return values[offsets[0] : offsets[-1]]

    def vocabulary(self) -> np.ndarray:
        """The token ids that a batch can hold, padding among them: int64, sorted."""
        return np.union1d(self.flat_values(INPUT), self.padding[INPUT]).astype(np.int64)


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
