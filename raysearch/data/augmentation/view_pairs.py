"""One training example in two views, as rows of tokens: of a pair of texts, of tagged words, of a
window on a context. Each kind knows what must stay alike in both views."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from ...recipes.finetune import IGNORE_INDEX
from ..columns import (  # fmt: skip
    CONTEXT_LENGTH,
    CONTEXT_START,
    END,
    FIRST_WORDS,
    FROZEN_ANSWER,
    FROZEN_ENDS,
    IMPOSSIBLE,
    INPUT,
    LABEL,
    NO_ANSWER_POSITION,
    SECOND_WORDS,
    START,
    TYPE,
    WORD,
    WORD_INDEX,
)
from ..dataset import EncodedDataset
from .alignment import align_window, align_words
from .operations import AugmentedWords, WordOperations

Row = dict[str, Sequence[int]]  # token columns


@dataclass(frozen=True, kw_only=True)
class ViewPair:
    """An example in its own view, and in the other.

    Attributes:
        own, noised: token columns; of the other view none where its text is the same.
        facts: the labels, and what else a batch holds of a row.
        noised_facts: the same of the other view.
        shared, noised_shared: of a window, for each token whether both views have it.
    """

    original: Row
    noised: Row | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    noised_facts: dict[str, Any] = field(default_factory=dict)
    shared: Sequence[bool] | None = None
    noised_shared: Sequence[bool] | None = None


class ViewBuilder:
    """Makes the views of a kind of example. The other view of an augmented copy is one of the words
    that the copy was made from, as in the released code; of a translation one of its own.

    Args:
        examples: the training set.
        pool: its translations.
        operations: what is done to words.
        corpus: how copies are made.
        view: how the other view is made.
    """

    def __init__(
        self, examples: EncodedDataset, pool: EncodedDataset | None, operations: WordOperations,
        corpus: str | None, view: str,
    ) -> None:  # fmt: skip
        self.examples, self.pool, self.do = examples, pool, operations
        self.corpus, self.view = corpus, view
        self.changes = view in ("subwords", "switch")

    def build(self, row: int, copy: bool, found: int | None, other: int | None, random: Random
             ) -> ViewPair:  # fmt: skip
        """The views of a training row, or of an augmented copy of it.

        Args:
            found: the translation that a copy is, a row of the pool.
            other: a translation that the other view may be.
        """
        raise NotImplementedError

    def _row(self, examples: EncodedDataset, at: int) -> Row:
        return {name: examples.row(name, at) for name in examples.padding if name != LABEL}

    def _fit(self, row: Row) -> Row:
        """The columns that this model reads."""
        return {name: row[name] for name in self.examples.padding if name != LABEL}


class TextViewBuilder(ViewBuilder):
    """Views of one text or a pair, of which each is changed on its own."""

    def build(self, row: int, copy: bool, found: int | None, other: int | None, random: Random
             ) -> ViewPair:  # fmt: skip
        """See Maker: the label stays, whatever the view."""
        own, texts = self._row(self.examples, row), self._said(self.examples, row)
        if copy and found is not None:
            own, texts = self._row(self.pool, found), self._said(self.pool, found)
        elif copy and self.corpus != "translation":
            own = self._assembled([self.do.apply(self.corpus, words, random) for words in texts])
        noised = None
        if self.changes:
            noised = self._assembled([self.do.apply(self.view, words, random) for words in texts])
        elif self.view == "translation" and other is not None:
            english = copy and other == found  # what is a translation already becomes English
            noised = self._row(*((self.examples, row) if english else (self.pool, other)))
        return ViewPair(original=own, noised=noised, facts={"labels": self.examples.labels[row]})

    def _said(self, examples: EncodedDataset, at: int) -> list[list[str]]:
        return [
            examples.words(name, at) for name in (FIRST_WORDS, SECOND_WORDS) if examples.has(name)
        ]

    def _assembled(self, texts: list[AugmentedWords]) -> Row:
        ids, first = self.do.pair([text.tokens for text in texts])
        of, rest = self.do.types, len(ids) - first
        types = of.of_pair(first, rest) if len(texts) > 1 else of.of_text(len(ids))
        return self._fit({INPUT: ids, TYPE: types})


class TagViewBuilder(ViewBuilder):
    """Views of tagged words: both hold the same words, cut before the first that either has no room
    for. Of a translation the tags are unknown."""

    def build(self, row: int, copy: bool, found: int | None, other: int | None, random: Random
             ) -> ViewPair:  # fmt: skip
        """See Maker. A sentence without a translation stays as it is, its tags unknown."""
        examples, at = (self.pool, found) if found is not None else (self.examples, row)
        words, tags = examples.words(FIRST_WORDS, at), examples.row(LABEL, at)
        if copy and self.corpus == "translation":
            tags = np.full(len(words), IGNORE_INDEX)
        own = self.do.pieces.of(words)
        if copy and self.corpus != "translation":
            own = self.do.apply(self.corpus, words, random).tokens
        theirs = self.do.apply(self.view, words, random).tokens if self.changes else own
        room = self.do.length - len(self.do.begin) - len(self.do.sentence_end)
        first, second = align_words(own, theirs, room, self.do.unknown)
        kept = first.words[-1] + 1 if first.words else 0
        return ViewPair(
            original=self._framed(first),
            noised=self._framed(second) if self.changes else None,
            facts={"labels": tags[:kept]},
        )

    def _framed(self, row: Any) -> Row:
        begin, end = self.do.begin, self.do.sentence_end
        ids = [*begin, *row.tokens, *end]
        places = [-1] * len(begin) + row.words + [-1] * len(end)
        return self._fit({INPUT: ids, WORD: places, TYPE: self.do.types.of_text(len(ids))})


class WindowViewBuilder(ViewBuilder):
    """Views of a window: the question stays, and so do the words at the answer's ends. A copy holds
    the words of its window, cut where it has no more room."""

    def build(self, row: int, copy: bool, found: int | None, other: int | None, random: Random
             ) -> ViewPair:  # fmt: skip
        """See Maker. An answer that a cut takes away is none: both its ends are the first token."""
        examples, at = (self.pool, found) if found is not None else (self.examples, row)
        own = self._row(examples, at)
        facts = {
            name: int(examples.scalar(name, at))
            for name in (CONTEXT_START, CONTEXT_LENGTH, START, END)
        }
        facts[IMPOSSIBLE] = int(examples.scalar(IMPOSSIBLE, at))
        words, spot = examples.words(FIRST_WORDS, at), examples.row(WORD_INDEX, at)
        tokens = _grouped(
            own[INPUT][facts[CONTEXT_START] : facts[CONTEXT_START] + facts[CONTEXT_LENGTH]],
            spot,
            len(words),
        )
        before = [False] * len(words)
        if copy and self.corpus in ("subwords", "switch"):
            frozen = examples.row(
                FROZEN_ANSWER if self.corpus == "switch" else FROZEN_ENDS, at
            ).tolist()
            done = self.do.apply(self.corpus, words, random, frozen)
            rows = zip(tokens, done.tokens, done.changed, strict=True)
            kept = [new if changed else old for old, new, changed in rows]
            own, facts, tokens = self._rebuild_window(own, facts, tokens, kept)
            before = done.changed
        facts |= self._nowhere(own)
        if not self.changes:
            return ViewPair(original=own, facts=facts)
        frozen = examples.row(FROZEN_ENDS, at).tolist()
        done = self.do.apply(self.view, words, random, frozen)
        theirs = [
            new if changed else self.do.pieces.of([word])[0] if already else old
            for word, old, new, changed, already in zip(
                words, tokens, done.tokens, done.changed, before, strict=True
            )
        ]
        switched = [a or b for a, b in zip(done.changed, before, strict=True)]
        head = own[INPUT][: facts[CONTEXT_START]]
        room = self._room(head)
        first, second = align_window(tokens, theirs, switched, (0, sum(map(len, tokens))), room)
        noised = self._framed(head, second.tokens)
        return ViewPair(
            original=own,
            noised=noised,
            facts=facts,
            noised_facts={
                CONTEXT_START: facts[CONTEXT_START],
                CONTEXT_LENGTH: len(second.tokens),
                **self._nowhere(noised),
            },
            shared=self._shared(facts[CONTEXT_START], first.shared, len(own[INPUT])),
            noised_shared=self._shared(facts[CONTEXT_START], second.shared, len(noised[INPUT])),
        )

    def _nowhere(self, row: Row) -> dict[str, int]:
        """The place that stands for no answer, where it is not the first token."""
        return {} if self.do.begin else {NO_ANSWER_POSITION: len(row[INPUT]) - 1}

    def _shared(self, at: int, inside: Sequence[bool], length: int) -> list[bool]:
        """Return which tokens of a window both views have; the one for no answer among them."""
        shared = [False] * at + [*inside] + [False] * (length - at - len(inside))
        shared[0 if self.do.begin else -1] = True
        return shared

    def _room(self, head: Sequence[int]) -> int:
        """Tokens of a context that a row takes behind its head."""
        return max(0, self.do.length - len(head) - len(self.do.end))

    def _framed(self, head: Sequence[int], tokens: Sequence[int]) -> Row:
        ids = [*head, *tokens, *self.do.end]
        return self._fit({INPUT: ids, TYPE: self.do.types.of_pair(len(head), len(ids) - len(head))})

    def _rebuild_window(
        self, own: Row, facts: dict[str, int], old: list[tuple[int, ...]],
        new: list[tuple[int, ...]],
    ) -> tuple[Row, dict[str, int], list[tuple[int, ...]]]:  # fmt: skip
        """The window with other tokens, cut to its room: its row, facts, and each word's tokens."""
        head = own[INPUT][: facts[CONTEXT_START]]
        left, shown = self._room(head), []
        for tokens in new:
            shown.append(tokens[:left])
            left -= len(shown[-1])
        starts = np.cumsum([0, *map(len, shown)])
        places = [
            _shift_position(facts[name] - facts[CONTEXT_START], old, starts)
            for name in (START, END)
        ]
        facts = {**facts, CONTEXT_LENGTH: int(starts[-1])}
        if facts[START] and all(place is not None and place < starts[-1] for place in places):
            facts[START], facts[END] = (facts[CONTEXT_START] + place for place in places)
        elif facts[START]:
            facts |= {START: 0, END: 0, IMPOSSIBLE: 1}
        return self._framed(head, [t for tokens in shown for t in tokens]), facts, shown


def _grouped(ids: np.ndarray, spot: np.ndarray, words: int) -> list[tuple[int, ...]]:
    """The tokens of each word that a window shows."""
    ends = np.searchsorted(spot, np.arange(words), side="right")
    begins = [0, *ends][: len(ends)]
    ids = ids.tolist()
    return [tuple(ids[a:b]) for a, b in zip(begins, ends, strict=True)]


def _shift_position(place: int, old: list[tuple[int, ...]], starts: np.ndarray) -> int | None:
    """Where a token of a word that kept its tokens has come to; None for none."""
    if place < 0:
        return None
    ends = np.cumsum([len(tokens) for tokens in old])
    word = int(np.searchsorted(ends, place, side="right"))
    return int(starts[word]) + place - (int(ends[word]) - len(old[word]))


VIEW_BUILDERS = {"classify": TextViewBuilder, "tag": TagViewBuilder, "span": WindowViewBuilder}
