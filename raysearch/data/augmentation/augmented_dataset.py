"""AugmentedDataset: training examples in two views, with augmented copies.

Views and copies are drawn anew in every epoch. It is apart from the losses that compare views, and
knows neither model nor loss.
"""

from collections import Counter
from collections.abc import Mapping
from copy import copy
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch

from ...recipes.stabletune import AUGMENTED, NOISED, NOISED_SHARED, REAL_WORDS, SHARED_TOKENS
from ...recipes.task_losses import IGNORE_INDEX
from ..columns import INPUT, WORD, WORD_INDEX, WORD_STARTS
from ..dataset import EncodedDataset
from ..device_batches import to_device, word_starts
from ..encoding_cache import example_ends
from .code_switching import rng_for
from .operations import WordOperations
from .view_pairs import ViewPair, view_builder_of


class AugmentedDataset:
    """The examples of a training set, followed by their augmented copies in the same order.

    Args:
        examples: the training set, with its words.
        hyper: the kinds of views and their strength.
        view_inputs: `tokenizer`; `dictionaries`; `pool`, the table and padding of the translations;
            `candidates`, the rows of the pool that translate each training row, as offsets and
            rows, see `TranslationPool`.
        draw: the (seed, epoch) that views are drawn from.

    Attributes:
        tokens, lengths: see `EncodedDataset`; of the examples and then of their copies.
    """

    group, language, labels = 1, None, None

    def __init__(
        self,
        examples: EncodedDataset,
        hyper: Any,
        view_inputs: Mapping[str, Any],
        draw: tuple[int, int] = (0, 0),
    ) -> None:
        self.examples, self.hyper, self.draw = examples, hyper, draw
        # The training row of each example and of each copy.
        self._base = np.resize(np.arange(len(examples)), hyper.examples_per_epoch(len(examples)))
        self.lengths, self.tokens = examples.lengths[self._base], examples.tokens[self._base]
        pool = view_inputs.get("pool")
        self._pool = EncodedDataset(*pool) if pool else None
        self._candidates: tuple[np.ndarray, np.ndarray] | None = view_inputs.get("candidates")
        self._prefetched_views: dict[int, ViewPair] = {}
        self._tagged = WORD in examples.padding
        # The first window of each question, in the training set and in the pool.
        self._question_starts: tuple[np.ndarray, np.ndarray] | None = None
        if examples.has(WORD_INDEX) and self._pool is not None:
            self._question_starts = (
                _example_starts(examples.table),
                _example_starts(self._pool.table),
            )
        operations = WordOperations(
            hyper, view_inputs["tokenizer"], view_inputs["dictionaries"], hyper.view_kinds()
        )
        corpus = hyper.corpus if len(self) > len(examples) else None
        builder = view_builder_of(examples)
        self._builder = builder(examples, self._pool, operations, corpus, self._view)

    @property
    def _view(self) -> str:
        """Return the operation that makes the noised view; `same` if its text does not differ."""
        differs = self.hyper.lambda1 and self.hyper.view != "noise"
        return str(self.hyper.view) if differs else "same"

    def __len__(self) -> int:
        return len(self._base)

    def with_epoch(self, seed: int, epoch: int) -> Self:
        """Return the same examples with the views of an epoch."""
        result = copy(self)
        result.draw, result._prefetched_views = (seed, epoch), {}
        return result

    def loss_counts(self, rows: np.ndarray) -> dict[str, int]:
        """Return the number of terms of each mean in the loss of a step.

        Words that do not fit into a view count too: all words of the training row, or of the
        translation.

        Args:
            rows: the examples and copies of the step.

        Returns:
            See `EncodedDataset.loss_counts`.
        """
        copies = rows >= len(self.examples)
        if not self._tagged:
            return {"units": len(rows), "compared": len(rows), "augmented": int(copies.sum())}
        words = self.examples.units[self._base[rows]].copy()
        labelled = words.copy()
        if self._builder.corpus == "translation":
            for index in np.flatnonzero(copies):
                translation, _ = self._draw_translations(int(rows[index]))
                if translation is not None and self._pool is not None:
                    words[index] = self._pool.units[translation]
            labelled[copies] = 0
        return {
            "units": int(labelled.sum()),
            "compared": int(words.sum()),
            "augmented": int(words[copies].sum()),
        }

    def _draw_translations(self, row: int) -> tuple[int | None, int | None]:
        """Return the rows of the pool that a copy and a noised view may be, each or None."""
        if self._pool is None:
            return None, None
        base = int(self._base[row])
        if self._question_starts is not None:
            return self._draw_window(row, base, *self._question_starts, len(self._pool)), None
        candidates, random = self._candidate_rows(base), rng_for("translation", *self.draw, row)
        if not len(candidates):
            return None, None
        first = int(candidates[random.randrange(len(candidates))])
        return first, int(candidates[random.randrange(len(candidates))])

    def _candidate_rows(self, base: int) -> np.ndarray:
        """Return the rows of the pool that translate a training row."""
        assert self._candidates is not None, "a pool without candidates"
        offsets, rows = self._candidates
        return rows[offsets[base] : offsets[base + 1]]

    def _draw_window(
        self, row: int, base: int, starts: np.ndarray, pool_starts: np.ndarray, pool_size: int
    ) -> int:
        """Return a window of a translated question, a row of the pool.

        The windows of a question get those of one translated question, in their order. A question
        without a translation gets any other question, as in the released code.

        Args:
            row: the example or copy.
            base: its training row.
            starts: the first window of each question in the training set.
            pool_starts: the first window of each question in the pool.
            pool_size: the number of rows of the pool.
        """
        window = base - int(starts[np.searchsorted(starts, base, "right") - 1])
        candidates = self._candidate_rows(base)
        indices = np.searchsorted(pool_starts, candidates).clip(max=len(pool_starts) - 1)
        questions = (
            candidates[pool_starts[indices] == candidates] if len(candidates) else pool_starts
        )
        random = rng_for("translation", *self.draw, row - window)
        start = int(questions[random.randrange(len(questions))])
        following = int(np.searchsorted(pool_starts, start, "right"))
        stop = int(pool_starts[following]) if following < len(pool_starts) else pool_size
        return start + window % (stop - start)

    def build(self, row: int) -> ViewPair:
        """Return the views of a row in this epoch, the same in every process."""
        is_copy = row >= len(self.examples)
        translation, view_translation = self._draw_translations(row)
        if not is_copy or self._builder.corpus != "translation":
            translation = None
        random = rng_for(*self.draw, row)
        base = int(self._base[row])
        return self._builder.build(base, is_copy, translation, view_translation, random)

    def prefetched(self, rows: np.ndarray) -> tuple[dict[int, ViewPair], dict[str, int]]:
        """Return views of this epoch for `add_prefetched` of another process.

        Returns:
            The views of each row, and the counts of words that were switched in them.
        """
        self.switched.clear()
        return {int(row): self.build(int(row)) for row in rows}, dict(self.switched)

    def add_prefetched(self, views: Mapping[int, ViewPair], switched: Mapping[str, int]) -> None:
        """Add views of this epoch that another process has built, see `prefetched`."""
        self._prefetched_views.update(views)
        self.switched.update(switched)

    def switched_share(self) -> float | None:
        """Return the share of words that dictionaries have switched since the last call.

        It is None if no words were to be switched.
        """
        words, switched = self.switched["words"], self.switched["switched"]
        self.switched.clear()
        return switched / words if words else None

    @property
    def switched(self) -> Counter[str]:
        """Return the counts of words seen, selected and switched since they were last cleared."""
        return self._builder.operations.switched

    def batch(self, rows: np.ndarray, device: torch.device) -> dict[str, Any]:
        """Return a padded batch of both views on a device.

        Returns:
            The columns of `EncodedDataset.collate`, and those of views that `recipes.stabletune`
            names.
        """
        pairs = [self._pop_views(int(row)) for row in rows]
        batch: dict[str, Any] = {
            **self._collate(
                [pair.original for pair in pairs], [pair.head_inputs for pair in pairs], device
            )
        }
        copies = np.flatnonzero(np.asarray(rows) >= len(self.examples))
        others: dict[str, np.ndarray] = {AUGMENTED: copies}
        if any(pair.noised is not None for pair in pairs):
            noised = [pair.noised or pair.original for pair in pairs]
            batch[NOISED] = self._collate(
                noised, [pair.noised_head_inputs for pair in pairs], device
            )
        if self._tagged:
            sizes = np.array([len(pair.head_inputs["labels"]) for pair in pairs])
            others[REAL_WORDS] = np.arange(sizes.max()) < sizes[:, None]
        if pairs[0].shared is not None:
            masks = {
                SHARED_TOKENS: [pair.shared for pair in pairs],
                NOISED_SHARED: [pair.noised_shared for pair in pairs],
            }
            for name, mask in masks.items():
                others[name] = _pad(mask, False, bool, _padded_length(mask, device))
        return batch | to_device(others, device)

    def _pop_views(self, row: int) -> ViewPair:
        """Return the views of a row, from those that were built ahead if it is among them."""
        pair: ViewPair | None = self._prefetched_views.pop(row, None)
        return pair or self.build(row)

    def _collate(
        self, rows: list[Any], head_inputs: list[dict[str, Any]], device: torch.device
    ) -> dict[str, torch.Tensor]:
        """Return the padded token columns of one view, and what the head reads besides them."""
        ids = [row[INPUT] for row in rows]
        width, sizes = _padded_length(ids, device), np.array(list(map(len, ids)))
        batch = {"attention_mask": (np.arange(width) < sizes[:, None]).astype(np.int64)}
        for name in rows[0]:
            fill = self.examples.padding[name]
            batch[name] = _pad([row[name] for row in rows], fill, np.int64, width)
        for name in head_inputs[0]:
            values = [inputs[name] for inputs in head_inputs]
            if name == "labels" and self._tagged:
                batch[name] = _pad(values, IGNORE_INDEX, np.int64, max(map(len, values)))
            else:
                batch[name] = np.asarray(values)
        if self._tagged:
            batch[WORD_STARTS] = word_starts(batch[WORD])
        return to_device(batch, device)


def _example_starts(table: pa.Table) -> np.ndarray:
    """Return the first row of each example."""
    return np.concatenate([[0], example_ends(table)[:-1]])


def _padded_length(rows: list[Any], device: torch.device) -> int:
    """Return the padded length of rows; on an accelerator a multiple of 8."""
    multiple = 1 if device.type == "cpu" else 8
    return -(-max(map(len, rows)) // multiple) * multiple


def _pad(rows: list[Any], fill: Any, kind: Any, width: int) -> np.ndarray:
    padded = np.full((len(rows), width), fill, dtype=kind)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded
