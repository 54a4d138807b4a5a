"""Training examples as consistency training sees them: each beside another view of it, augmented
copies behind them, all drawn anew in every pass. It knows neither model nor loss."""

from collections import Counter
from collections.abc import Mapping
from copy import copy
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch

from ...recipes.finetune import IGNORE_INDEX
from ...recipes.stabletune import AUGMENTED, NOISED, NOISED_SHARED, REAL_WORDS, SHARED_TOKENS
from ..columns import INPUT, WORD, WORD_INDEX
from ..dataset import EncodedDataset
from ..encoding_cache import example_ends
from .code_switching import rng_for
from .operations import WordOperations
from .view_pairs import VIEW_BUILDERS, ViewPair


class AugmentedDataset:
    """Stands for the examples of a training set.

    Rows below the set's size are its own, those above copies of them in the same order.

    Args:
        examples: the training set, with its words.
        hyper: which views, and how strong.
        material: `tokenizer`, `dictionaries`, `pool` (table and padding) and `candidates`: the rows
            of the pool that translate each training row, as offsets and rows.
        draw: (seed, pass) that views are drawn from.
    """

    group, language, labels = 1, None, None

    def __init__(
        self, examples: EncodedDataset, hyper: Any, material: Mapping[str, Any],
        draw: tuple[int, int] = (0, 0),
    ) -> None:  # fmt: skip
        self.examples, self.hyper, self.draw = examples, hyper, draw
        # The rows of the set, and again for the copies.
        self._base = np.resize(np.arange(len(examples)), hyper.examples_per_epoch(len(examples)))
        self.lengths, self.tokens = examples.lengths[self._base], examples.tokens[self._base]
        pool = material.get("pool")
        self._pool = pool and EncodedDataset(*pool)
        self._candidates = material.get("candidates")
        self._made: dict[int, ViewPair] = {}
        head = (
            "span"
            if examples.has(WORD_INDEX)
            else "tag"
            if WORD in examples.padding
            else "classify"
        )
        self._words, self._questions = head == "tag", None
        if head == "span" and self._pool is not None:  # the first windows, of both
            self._questions = tuple(_begins(one.table) for one in (examples, self._pool))
        operations = WordOperations(
            hyper, material["tokenizer"], material["dictionaries"], hyper.view_kinds()
        )
        corpus = hyper.corpus if len(self) > len(examples) else None
        self._maker = VIEW_BUILDERS[head](examples, self._pool, operations, corpus, self._view)

    @property
    def _view(self) -> str:
        """How the other view's text is made; `same` where its text is none other."""
        made = self.hyper.lambda1 and self.hyper.view != "noise"
        return self.hyper.view if made else "same"

    def __len__(self) -> int:
        return len(self._base)

    def with_epoch(self, seed: int, number: int) -> Self:
        """The same examples with the views of a pass over them."""
        other = copy(self)
        other.draw, other._made = (seed, number), {}
        return other

    def loss_counts(self, rows: np.ndarray) -> dict[str, int]:
        """What a loss over these rows, a step, is a mean over.

        Words that a view has no room for count as well: as many as the rows of the training set
        have, or of a translation.
        """
        copies = rows >= len(self.examples)
        if not self._words:
            return {"units": len(rows), "compared": len(rows), "augmented": int(copies.sum())}
        words = self.examples.units[self._base[rows]].copy()
        labelled = words.copy()
        if self._maker.corpus == "translation":
            for at in np.flatnonzero(copies):
                found, _ = self._translations(int(rows[at]))
                words[at] = words[at] if found is None else self._pool.units[found]
            labelled[copies] = 0
        return {
            "units": int(labelled.sum()), "compared": int(words.sum()),
            "augmented": int(words[copies].sum()),
        }  # fmt: skip

    def _translations(self, row: int) -> tuple[int | None, int | None]:
        """Rows of the pool: what a copy is, and what the other view may be; none for some."""
        if self._pool is None:
            return None, None
        base = int(self._base[row])
        if self._questions is not None:
            return self._question(row, base), None
        found, random = self._found(base), rng_for("translation", *self.draw, row)
        if not len(found):
            return None, None
        return tuple(int(found[random.randrange(len(found))]) for _ in range(2))

    def _found(self, base: int) -> np.ndarray:
        """The rows of the pool that translate a training row."""
        offsets, rows = self._candidates
        return rows[offsets[base] : offsets[base + 1]]

    def _question(self, row: int, base: int) -> int:
        """A window of a translated question. All windows of a question have those of the same one,
        in their order; a question without a translation has any other, as in the released code."""
        begins, starts = self._questions
        number = base - int(begins[np.searchsorted(begins, base, "right") - 1])
        found = self._found(base)
        places = np.searchsorted(starts, found).clip(max=len(starts) - 1)
        whole = found[starts[places] == found] if len(found) else starts
        random = rng_for("translation", *self.draw, row - number)
        start = int(whole[random.randrange(len(whole))])
        behind = int(np.searchsorted(starts, start, "right"))
        stop = int(starts[behind]) if behind < len(starts) else len(self._pool)
        return start + number % (stop - start)

    def build(self, row: int) -> ViewPair:
        """The views of a row in this pass: the same in every process."""
        twin = row >= len(self.examples)
        found, other = self._translations(row)
        found = found if twin and self._maker.corpus == "translation" else None
        random = rng_for(*self.draw, row)
        return self._maker.build(int(self._base[row]), twin, found, other, random)

    def prefetched(self, rows: np.ndarray) -> tuple[dict[int, ViewPair], dict[str, int]]:
        """Views of this pass for another process to `provide`, and what was switched meanwhile."""
        self.switched.clear()
        return {int(row): self.build(int(row)) for row in rows}, dict(self.switched)

    def add_prefetched(self, made: Mapping[int, ViewPair], switched: Mapping[str, int]) -> None:
        """Take in views of this pass that were made ahead."""
        self._made.update(made)
        self.switched.update(switched)

    def switched_share(self) -> float | None:
        """The share of the words seen since the last call that dictionaries switched."""
        words, switched = self.switched["words"], self.switched["switched"]
        self.switched.clear()
        return switched / words if words else None

    @property
    def switched(self) -> Counter[str]:
        """Words that were seen since this was last cleared, asked for, and switched."""
        return self._maker.do.switched

    def batch(self, rows: np.ndarray, device: torch.device) -> dict[str, Any]:
        """A padded batch, see Examples, and of the views what `recipes.stabletune` names."""
        seen = [self._made.pop(int(row), None) or self.build(int(row)) for row in rows]
        batch = self._inputs([one.original for one in seen], [one.facts for one in seen], device)
        copies = np.flatnonzero(np.asarray(rows) >= len(self.examples))
        batch[AUGMENTED] = torch.from_numpy(copies).to(device, non_blocking=True)
        if seen[0].noised is not None or any(one.noised is not None for one in seen):
            noised = [one.noised or one.original for one in seen]
            batch[NOISED] = self._inputs(noised, [one.noised_facts for one in seen], device)
        if self._words:
            sizes = np.array([len(one.facts["labels"]) for one in seen])
            real = np.arange(sizes.max()) < sizes[:, None]
            batch[REAL_WORDS] = torch.from_numpy(real).to(device, non_blocking=True)
        if seen[0].shared is not None:
            for name, marks in ((SHARED_TOKENS, [one.shared for one in seen]),
                                (NOISED_SHARED, [one.noised_shared for one in seen])):  # fmt: skip
                padded = torch.from_numpy(_pad(marks, False, bool, _wide(marks, device)))
                batch[name] = padded.to(device, non_blocking=True)
        return batch

    def _inputs(
        self, rows: list[dict[str, Any]], facts: list[dict[str, Any]], device: torch.device
    ) -> dict[str, torch.Tensor]:
        ids = [row[INPUT] for row in rows]
        wide, sizes = _wide(ids, device), np.array(list(map(len, ids)))
        batch = {"attention_mask": (np.arange(wide) < sizes[:, None]).astype(np.int64)}
        for name in rows[0]:
            fill = self.examples.padding[name]
            batch[name] = _pad([row[name] for row in rows], fill, np.int64, wide)
        for name in facts[0]:
            values = [fact[name] for fact in facts]
            if name == "labels" and self._words:
                batch[name] = _pad(values, IGNORE_INDEX, np.int64, max(map(len, values)))
            else:
                batch[name] = np.asarray(values)
        return {n: torch.from_numpy(x).to(device, non_blocking=True) for n, x in batch.items()}


def _begins(table: pa.Table) -> np.ndarray:
    """The first row of each run of rows that share an id."""
    return np.concatenate([[0], example_ends(table)[:-1]])


def _wide(rows: list[Any], device: torch.device) -> int:
    """The padded length: on an accelerator a multiple of 8."""
    multiple = 1 if device.type == "cpu" else 8
    return -(-max(map(len, rows)) // multiple) * multiple


def _pad(rows: list[Any], fill: Any, kind: Any, wide: int) -> np.ndarray:
    out = np.full((len(rows), wide), fill, dtype=kind)
    for at, row in enumerate(rows):
        out[at, : len(row)] = row
    return out
