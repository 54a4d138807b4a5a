"""EncodedDataset: the examples of a split as padded batches of token ids.

It is apart from training because it knows neither model nor loss.
"""

import copy
from collections.abc import Mapping, Sequence
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
    WORD,
    WORD_STARTS,
)
from .device_batches import to_device, word_starts

_SCALARS = (LABEL, CONTEXT_START, CONTEXT_LENGTH, NO_ANSWER_POSITION, START, END, IMPOSSIBLE)


class EncodedDataset:
    """The examples of one prepared split, ready to be collated.

    Args:
        table: list columns of token values (`input_ids` first), columns of labels and `id`. The
            metadata holds the number of rows of an example.
        padding: list column -> the value that pads a short row.

    Attributes:
        metadata: the metadata of the table.
        group: the number of rows of an example: 1, or the number of options.
        language: the language whose rules compare the answers; None if it does not matter.
        tokens: int [examples], the tokens of each example.
        lengths: int [examples], the padded tokens that an example takes in a batch of its own.
        labels: the labels, [examples], or None.
        units: int64 [examples], how many terms an example adds to a mean loss.
    """

    def __init__(self, table: pa.Table, padding: dict[str, int]) -> None:
        self.table, self.padding = table, padding
        metadata = table.schema.metadata or {}
        self.metadata = {name.decode(): value.decode() for name, value in metadata.items()}
        self.group = int(self.metadata.get(GROUP, "1"))
        self.language = self.metadata.get(LANGUAGE) or None
        self._flat = {name: _flatten(table, name) for name in padding}
        self._flat_on_demand: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._sizes = np.diff(self._flat[INPUT][1])
        self.tokens = self._sizes.reshape(-1, self.group).sum(axis=1)
        # The rows of a group are padded together.
        self.lengths = self._sizes.reshape(-1, self.group).max(axis=1) * self.group
        names = [n for n in _SCALARS if n in table.column_names and n not in padding]
        scalars = {name: table.column(name).to_numpy() for name in names}
        self._scalars = {name: column[:: self.group] for name, column in scalars.items()}
        self.labels: np.ndarray | None = self._scalars.get(LABEL)
        self.units = _loss_units(self._flat.get(LABEL), len(self))

    def __len__(self) -> int:
        return int(self.table.num_rows) // self.group

    def ids(self) -> list[str]:
        """Return the ids of the examples, in the order of the file."""
        ids: list[str] = self.table.column(ID).to_pylist()
        return ids[:: self.group]

    def with_columns(self, columns: Mapping[str, np.ndarray]) -> Self:
        """Return the same examples, of which each batch also has its rows of these arrays.

        Args:
            columns: name -> int64 [examples, ..].
        """
        examples = copy.copy(self)
        examples._scalars = {**self._scalars, **columns}
        return examples

    def values(self, name: str) -> list[np.ndarray]:
        """Return the rows of a list column as arrays, without copies."""
        values, offsets = self._flat.get(name) or _flatten(self.table, name)
        return np.split(values[offsets[0] :], offsets[1:-1] - offsets[0])

    def has(self, name: str) -> bool:
        """Return whether the table has a column of this name."""
        return name in self.table.column_names

    def row(self, name: str, index: int) -> np.ndarray:
        """Return one row of a list column of numbers."""
        column = self._flat.get(name) or self._flat_on_demand.get(name)
        if column is None:
            column = self._flat_on_demand[name] = _flatten(self.table, name)
        values, offsets = column
        return values[offsets[index] : offsets[index + 1]]

    def words(self, name: str, index: int) -> list[str]:
        """Return one row of a list column of strings."""
        words: list[str] = self.table.column(name)[index].as_py()
        return words

    def scalar(self, name: str, index: int) -> Any:
        """Return one value of a column of numbers."""
        return self._scalars[name][index]

    def collate(
        self, rows: Sequence[int] | np.ndarray, *, multiple: int = 1
    ) -> dict[str, torch.Tensor]:
        """Return a padded batch.

        Args:
            rows: indices of examples.
            multiple: the padded length is a multiple of this.

        Returns:
            Each token column and `attention_mask`: int64 [rows, length], or [rows, group, length]
            for groups. If the split is labelled, `labels`: int64 classes or float32 scores [rows],
            or tags [rows, words]. For spans, the int64 [rows] that the span head reads.
        """
        return to_device(self._arrays(rows, multiple), torch.device("cpu"))

    def _arrays(self, rows: Sequence[int] | np.ndarray, multiple: int) -> dict[str, np.ndarray]:
        """Return the arrays of `collate`."""
        examples = np.asarray(rows)
        table_rows = (examples[:, None] * self.group + np.arange(self.group)).ravel()
        sizes = self._sizes[table_rows]
        length = -(-int(sizes.max()) // multiple) * multiple
        batch = {}
        for name, (values, offsets) in self._flat.items():
            width = length
            if name == LABEL:
                width = int((offsets[table_rows + 1] - offsets[table_rows]).max())
            batch[name] = _pad(values, offsets, table_rows, width, self.padding[name])
        if WORD in batch:
            batch[WORD_STARTS] = word_starts(batch[WORD])
        batch["attention_mask"] = (np.arange(length)[None, :] < sizes[:, None]).astype(np.int64)
        if self.group > 1:
            batch = {n: x.reshape(len(examples), self.group, -1) for n, x in batch.items()}
        batch |= {name: column[examples] for name, column in self._scalars.items()}
        if LABEL in batch:
            batch["labels"] = batch.pop(LABEL)
        return batch

    def batch(
        self, rows: Sequence[int] | np.ndarray, device: torch.device
    ) -> dict[str, torch.Tensor]:
        """Return a padded batch on a device; on an accelerator its length is a multiple of 8."""
        return to_device(self._arrays(rows, 1 if device.type == "cpu" else 8), device)

    def with_epoch(self, seed: int, epoch: int) -> Self:
        """Return the examples as they are in an epoch: always the same."""
        return self

    def loss_counts(self, rows: np.ndarray) -> dict[str, int]:
        """Return the number of terms of each mean in the loss of a step.

        Args:
            rows: the examples of the step.

        Returns:
            units: terms of the supervised loss; compared: of the consistency loss; augmented: of
            the loss over augmented copies.
        """
        units = int(self.units[rows].sum())
        return {"units": units, "compared": units, "augmented": 0}

    def switched_share(self) -> float | None:
        """Return None: there are no views with switched words."""
        return None

    def flat_values(self, name: str) -> np.ndarray:
        """Return the values of all rows of a list column, concatenated."""
        values, offsets = self._flat[name]
        return values[offsets[0] : offsets[-1]]

    def vocabulary(self) -> np.ndarray:
        """Return the token ids that a batch can hold, padding included: int64, sorted."""
        return np.union1d(self.flat_values(INPUT), self.padding[INPUT]).astype(np.int64)


def _loss_units(labels: tuple[np.ndarray, np.ndarray] | None, examples: int) -> np.ndarray:
    """Return the number of terms of each example in a mean loss: 1, or its number of words."""
    return np.ones(examples, np.int64) if labels is None else np.diff(labels[1])


def _flatten(table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a list column and the offsets of its rows."""
    column = table.column(name).combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return column.values.to_numpy(), column.offsets.to_numpy()


def _pad(
    values: np.ndarray, offsets: np.ndarray, rows: np.ndarray, length: int, fill: int
) -> np.ndarray:
    """Return the rows of a flat list column as int64 [rows, length]."""
    padded = np.full((len(rows), length), fill, dtype=np.int64)
    for index, row in enumerate(rows):
        start, end = offsets[row], offsets[row + 1]
        padded[index, : end - start] = values[start:end]
    return padded
