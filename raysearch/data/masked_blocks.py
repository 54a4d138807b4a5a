"""MaskedBlocks: a text as blocks of tokens, with masks that differ in every epoch.

A block ends as soon as it is full, as in fairseq, regardless of lines and documents. Memory holds
only the blocks of a batch. It is apart from `token_stream` because it needs torch.
"""

from copy import copy
from typing import Any, Self

import numpy as np
import torch

from .columns import BOS_ID, INPUT, MASK_ID, SPECIAL_IDS, VOCABULARY_SIZE
from .device_batches import MASK, to_device
from .token_stream import TokenStream

LABELS = "masked"  # the column with the original ids of masked tokens; -100 elsewhere
NOT_MASKED = -100


class MaskedBlocks:
    """The examples of a text: each is a block that begins with <s>.

    Of the tokens of a block a share, 15 % by default, is to be predicted. The number is rounded up
    or down at random so that its mean is exact. Of these tokens 80 % are masked, 10 % are replaced
    by another token, and 10 % stay (fairseq).

    Args:
        text: the tokens of the text.
        tokens: the length of a block, <s> included.
        share: the share of tokens that are to be predicted.

    Attributes:
        tokens, lengths: int [blocks], the tokens of each block.
    """

    group, language, labels = 1, None, None

    def __init__(self, text: TokenStream, tokens: int, share: float) -> None:
        self.text, self.size, self.share = text, tokens, share
        self._seed_and_epoch = 0, 0
        self._bos_id, self._mask_id = int(text.metadata[BOS_ID]), int(text.metadata[MASK_ID])
        special = [int(token) for token in text.metadata[SPECIAL_IDS].split()]
        self._words = np.setdiff1d(np.arange(int(text.metadata[VOCABULARY_SIZE])), special)
        count = -(-len(text) // (tokens - 1))
        self.tokens = np.full(count, tokens)
        self.tokens[-1] = len(text) - (count - 1) * (tokens - 1) + 1
        self.lengths = self.tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def with_epoch(self, seed: int, epoch: int) -> Self:
        """Return the same blocks with the masks of an epoch."""
        blocks = copy(self)
        blocks._seed_and_epoch = seed, epoch
        return blocks

    def loss_counts(self, rows: np.ndarray) -> dict[str, int]:
        """Return the number of masked tokens of these blocks, see `EncodedDataset.loss_counts`."""
        return {"units": sum(self._mask_count(row)[1] for row in rows)}

    def switched_share(self) -> float | None:
        """Return None: there are no views with switched words."""
        return None

    def batch(self, rows: Any, device: torch.device) -> dict[str, torch.Tensor]:
        """Return a padded batch on a device.

        Args:
            rows: indices of blocks.
            device: where the tensors go.

        Returns:
            `input_ids`, `attention_mask` and `masked`: int64 [blocks, tokens]. `shift`: float32
            [blocks] in [0, 1), for what a model draws once per block.
        """
        rows = np.asarray(rows)
        shape = len(rows), int(self.tokens[rows].max())
        ids, real = np.full(shape, self.text.padding[INPUT], np.int64), np.zeros(shape, np.int64)
        labels, shift = np.full(shape, NOT_MASKED, np.int64), np.zeros(len(rows), np.float32)
        for index, row in enumerate(rows):
            begin, size = int(row) * (self.size - 1), int(self.tokens[row])
            ids[index, 0] = self._bos_id
            ids[index, 1:size] = self.text.read(begin, begin + size - 1)
            real[index, :size] = 1
            shift[index] = self._mask(row, ids[index], labels[index])
        batch: dict[str, np.ndarray] = {INPUT: ids, MASK: real, LABELS: labels, "shift": shift}
        return to_device(batch, device)

    def _mask_count(self, row: int) -> tuple[np.random.Generator, int]:
        """Return the generator that draws the masks of a block, and the number of masks."""
        random = np.random.default_rng([*self._seed_and_epoch, row])
        return random, max(1, int(self.share * self.tokens[row] + random.random()))

    def _mask(self, row: int, ids: np.ndarray, labels: np.ndarray) -> float:
        """Mask `ids` and set `labels` in place; return the shift of the block."""
        random, count = self._mask_count(row)
        positions = random.choice(self.tokens[row], count, replace=False)
        labels[positions] = ids[positions]
        draws = random.random(count)
        ids[positions[draws < 0.8]] = self._mask_id
        replaced = positions[draws >= 0.9]
        ids[replaced] = random.choice(self._words, len(replaced))
        return random.random(dtype=np.float32)
