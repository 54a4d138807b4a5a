"""A text as blocks of so many sequences of tokens, some of them masked, anew in every pass.

The text is cut wherever a block is full, as fairseq cuts it: neither lines nor documents count. Of
it no more is in memory than the blocks of a batch."""

from copy import copy
from typing import Any, Self

import numpy as np
import torch

from .columns import BOS_ID, INPUT, MASK_ID, SPECIAL_IDS, VOCABULARY_SIZE
from .token_stream import TokenStream

LABELS = "masked"  # the column of what masked tokens were; -100 elsewhere
NOT_MASKED = -100


class MaskedBlocks:
    """Stands for the examples of a text: each is a block, which begins with <s>.

    Of a block of n tokens 15 %, rounded up or down at random so that the mean is right, are to be
    guessed: four fifths of them are masked, a tenth is another token, a tenth stays (fairseq).

    Args:
        text: its tokens.
        tokens: of a block, <s> among them.
        share: of tokens that are to be guessed.
    """

    group, language, labels = 1, None, None

    def __init__(self, text: TokenStream, tokens: int, share: float) -> None:
        self.text, self.size, self.share = text, tokens, share
        self._draw = 0, 0  # seed and pass
        self._begins, self._mask_id = int(text.facts[BOS_ID]), int(text.facts[MASK_ID])
        special = [int(one) for one in text.facts[SPECIAL_IDS].split()]
        self._words = np.setdiff1d(np.arange(int(text.facts[VOCABULARY_SIZE])), special)
        count = -(-len(text) // (tokens - 1))
        self.tokens = np.full(count, tokens)
        self.tokens[-1] = len(text) - (count - 1) * (tokens - 1) + 1
        self.lengths = self.tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def with_epoch(self, seed: int, number: int) -> Self:
        """The same blocks with the masks of a pass over them."""
        blocks = copy(self)
        blocks._draw = seed, number
        return blocks

    def loss_counts(self, rows: np.ndarray) -> dict[str, int]:
        """See Examples: the masked tokens of these blocks."""
        return {"units": sum(self._masked(row)[1] for row in rows)}

    def switched_share(self) -> float | None:
        """The share of words that views switched: there are none."""
        return None

    def _masked(self, row: int) -> tuple[np.random.Generator, int]:
        """What draws a block's masks, and how many it has."""
        random = np.random.default_rng([*self._draw, row])
        return random, max(1, int(self.share * self.tokens[row] + random.random()))

    def batch(self, rows: Any, device: torch.device) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask` and `masked`, int64 [blocks, tokens]; `shift`, float32
        [blocks], from 0 to below 1, for what a model draws once for a block."""
        rows = np.asarray(rows)
        shape = len(rows), int(self.tokens[rows].max())
        ids, real = np.full(shape, self.text.padding[INPUT], np.int64), np.zeros(shape, np.int64)
        gold, shift = np.full(shape, NOT_MASKED, np.int64), np.zeros(len(rows), np.float32)
        for at, row in enumerate(rows):
            begin, size = int(row) * (self.size - 1), int(self.tokens[row])
            ids[at, 0] = self._begins
            ids[at, 1:size] = self.text.read(begin, begin + size - 1)
            real[at, :size] = 1
            shift[at] = self._mask(row, ids[at], gold[at])
        batch = {INPUT: ids, "attention_mask": real, LABELS: gold, "shift": shift}
        return {n: torch.from_numpy(x).to(device, non_blocking=True) for n, x in batch.items()}

    def _mask(self, row: int, ids: np.ndarray, gold: np.ndarray) -> float:
        random, count = self._masked(row)
        places = random.choice(self.tokens[row], count, replace=False)
        gold[places] = ids[places]
        fate = random.random(count)
        ids[places[fate < 0.8]] = self._mask_id
        other = places[fate >= 0.9]
        ids[other] = random.choice(self._words, len(other))
        return random.random(dtype=np.float32)
