"""Builds the two views of a training example as rows of tokens.

There is a builder for pairs of texts, for tagged words and for windows on a context. Each knows
what must be the same in both views. They are apart from the operations, which know words only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from ...recipes.task_losses import IGNORE_INDEX
from ..columns import (
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
from .alignment import Row as AlignedRow
from .alignment import align_window, align_words
from .operations import AugmentedWords, WordOperations
from .subword_sampling import Tokens

Row = dict[str, Sequence[int] | np.ndarray]  # token columns


@dataclass(frozen=True, kw_only=True)
class ViewPair:
    """An example in two views.

    Attributes:
        original, noised: the token columns of each view. `noised` is None if its text is the same.
        head_inputs: what the head reads besides the tokens: labels, and the positions of a window.
        noised_head_inputs: the same for the noised view, without labels.
        shared, noised_shared: for each token of a window whether both views have it.
    """

    original: Row
    noised: Row | None = None
    head_inputs: dict[str, Any] = field(default_factory=dict)
    noised_head_inputs: dict[str, Any] = field(default_factory=dict)
    shared: Sequence[bool] | None = None
    noised_shared: Sequence[bool] | None = None


class ViewBuilder:
    """A builder of the views of one kind of example.

    The noised view of an augmented copy is made from the words from which the copy was made, as in
    the released code. The noised view of a translation is made from the translation.

    Args:
        examples: the training set.
        pool: its translations.
        operations: the operations on words.
        corpus: the operation that makes copies; None if there are none.
        view: the operation that makes the noised view.
    """

    def __init__(
        self,
        examples: EncodedDataset,
        pool: EncodedDataset | None,
        operations: WordOperations,
        corpus: str | None,
        view: str,
    ) -> None:
        self.examples, self.pool, self.operations = examples, pool, operations
        self.corpus, self.view = corpus, view
        self.changes_words = view in ("subwords", "switch")

    def build(
        self,
        row: int,
        copy: bool,
        translation: int | None,
        view_translation: int | None,
        random: Random,
    ) -> ViewPair:
        """Return the views of a training row, or of an augmented copy of it.

        Args:
            row: the training row.
            copy: whether to build the views of a copy.
            translation: the row of the pool that is the copy, if copies are translations.
            view_translation: the row of the pool that the noised view may be.
            random: the random generator of the views.
        """
        raise NotImplementedError

    def _source(self, row: int, translation: int | None) -> tuple[EncodedDataset, int]:
        """Return the dataset and the row that views are made from."""
        if translation is None:
            return self.examples, row
        assert self.pool is not None, "a translation without a pool"
        return self.pool, translation

    def _copy_operation(self, copy: bool) -> str | None:
        """Return the operation on words that makes a copy; None if there is none."""
        return self.corpus if copy and self.corpus != "translation" else None

    def _token_columns(self, examples: EncodedDataset, row: int) -> Row:
        return {name: examples.row(name, row) for name in examples.padding if name != LABEL}

    def _model_columns(self, row: Row) -> Row:
        """Return the columns of a row that the model reads."""
        return {name: row[name] for name in self.examples.padding if name != LABEL}


class TextViewBuilder(ViewBuilder):
    """A builder of views of one text or a pair. Each text is changed independently."""

    def build(
        self,
        row: int,
        copy: bool,
        translation: int | None,
        view_translation: int | None,
        random: Random,
    ) -> ViewPair:
        """Return the views of a row, see `ViewBuilder.build`. All views have the same label."""
        examples, index = self._source(row, translation if copy else None)
        original, texts = self._token_columns(examples, index), self._texts(examples, index)
        operation = self._copy_operation(copy)
        if operation is not None:
            original = self._join([self.operations.apply(operation, t, random) for t in texts])
        noised = None
        if self.changes_words:
            noised = self._join([self.operations.apply(self.view, t, random) for t in texts])
        elif self.view == "translation" and view_translation is not None:
            # The noised view of a copy that is this translation is the English text.
            english = copy and view_translation == translation
            noised = self._token_columns(*self._source(row, None if english else view_translation))
        assert self.examples.labels is not None, "a training set without labels"
        labels = {"labels": self.examples.labels[row]}
        return ViewPair(original=original, noised=noised, head_inputs=labels)

    def _texts(self, examples: EncodedDataset, row: int) -> list[list[str]]:
        names = (FIRST_WORDS, SECOND_WORDS)
        return [examples.words(name, row) for name in names if examples.has(name)]

    def _join(self, texts: list[AugmentedWords]) -> Row:
        """Return the token columns of one text or a pair."""
        ids, first = self.operations.pair([text.tokens for text in texts])
        types, second = self.operations.types, len(ids) - first
        values = types.of_pair(first, second) if len(texts) > 1 else types.of_text(len(ids))
        return self._model_columns({INPUT: ids, TYPE: values})


class TagViewBuilder(ViewBuilder):
    """A builder of views of tagged words.

    Both views hold the same words, cut before the first one that does not fit into either. The tags
    of a translation are unknown.
    """

    def build(
        self,
        row: int,
        copy: bool,
        translation: int | None,
        view_translation: int | None,
        random: Random,
    ) -> ViewPair:
        """Return the views of a row, see `ViewBuilder.build`.

        A copy of a sentence without a translation is the sentence itself with unknown tags.
        """
        examples, index = self._source(row, translation)
        words, tags = examples.words(FIRST_WORDS, index), examples.row(LABEL, index)
        if copy and self.corpus == "translation":
            tags = np.full(len(words), IGNORE_INDEX)
        original = self.operations.pieces.of(words)
        operation = self._copy_operation(copy)
        if operation is not None:
            original = self.operations.apply(operation, words, random).tokens
        noised = original
        if self.changes_words:
            noised = self.operations.apply(self.view, words, random).tokens
        begin, end = self.operations.begin, self.operations.sentence_end
        room = self.operations.length - len(begin) - len(end)
        first, second = align_words(original, noised, room, self.operations.unknown)
        count = first.words[-1] + 1 if first.words else 0
        return ViewPair(
            original=self._add_special_tokens(first),
            noised=self._add_special_tokens(second) if self.changes_words else None,
            head_inputs={"labels": tags[:count]},
        )

    def _add_special_tokens(self, row: AlignedRow) -> Row:
        begin, end = self.operations.begin, self.operations.sentence_end
        ids = [*begin, *row.tokens, *end]
        words = [-1] * len(begin) + row.words + [-1] * len(end)
        types = self.operations.types.of_text(len(ids))
        return self._model_columns({INPUT: ids, WORD: words, TYPE: types})


class WindowViewBuilder(ViewBuilder):
    """A builder of views of a window.

    The question stays, and so do the words at the ends of the answer. A copy holds the words of its
    window, cut where the row is full.
    """

    def build(
        self,
        row: int,
        copy: bool,
        translation: int | None,
        view_translation: int | None,
        random: Random,
    ) -> ViewPair:
        """Return the views of a row, see `ViewBuilder.build`.

        If a cut removes the answer, there is none: its first and last token are the first token.
        """
        examples, index = self._source(row, translation)
        original = self._token_columns(examples, index)
        names = (CONTEXT_START, CONTEXT_LENGTH, START, END, IMPOSSIBLE)
        inputs = {name: int(examples.scalar(name, index)) for name in names}
        words = examples.words(FIRST_WORDS, index)
        start, stop = inputs[CONTEXT_START], inputs[CONTEXT_START] + inputs[CONTEXT_LENGTH]
        context = np.asarray(original[INPUT])[start:stop]
        tokens = _tokens_by_word(context, examples.row(WORD_INDEX, index), len(words))
        changed = [False] * len(words)
        operation = self._copy_operation(copy)
        if operation is not None:
            column = FROZEN_ANSWER if operation == "switch" else FROZEN_ENDS
            frozen = examples.row(column, index).tolist()
            result = self.operations.apply(operation, words, random, frozen)
            new_tokens = _replace_changed(tokens, result)
            original, inputs, tokens = self._rebuild_window(original, inputs, tokens, new_tokens)
            changed = result.changed
        inputs |= self._no_answer_position(original)
        if not self.changes_words:
            return ViewPair(original=original, head_inputs=inputs)
        frozen = examples.row(FROZEN_ENDS, index).tolist()
        result = self.operations.apply(self.view, words, random, frozen)
        # The noised view is made from the words of the window, not from those of the copy.
        usual = [
            self.operations.pieces.of([word])[0] if is_changed else of_word
            for word, of_word, is_changed in zip(words, tokens, changed, strict=True)
        ]
        switched = [a or b for a, b in zip(result.changed, changed, strict=True)]
        noised = _replace_changed(usual, result)
        return self._pair(original, inputs, tokens, noised, switched)

    def _pair(
        self,
        original: Row,
        inputs: dict[str, int],
        tokens: list[Tokens],
        noised_tokens: list[Tokens],
        switched: list[bool],
    ) -> ViewPair:
        """Return a window with the noised view that has these tokens.

        Args:
            original: the token columns of the original view.
            inputs: what the head reads besides them.
            tokens: the tokens of each word in the original view.
            noised_tokens: the tokens of each word in the noised view.
            switched: for each word whether it may differ between the views.
        """
        start = inputs[CONTEXT_START]
        head = original[INPUT][:start]
        window = (0, sum(map(len, tokens)))
        first, second = align_window(tokens, noised_tokens, switched, window, self._room(head))
        noised = self._join(head, second.tokens)
        return ViewPair(
            original=original,
            noised=noised,
            head_inputs=inputs,
            noised_head_inputs={
                CONTEXT_START: start,
                CONTEXT_LENGTH: len(second.tokens),
                **self._no_answer_position(noised),
            },
            shared=self._shared(start, first.shared, len(original[INPUT])),
            noised_shared=self._shared(start, second.shared, len(noised[INPUT])),
        )

    def _no_answer_position(self, row: Row) -> dict[str, int]:
        """Return the index of the token that stands for no answer, if it is not the first one."""
        return {} if self.operations.begin else {NO_ANSWER_POSITION: len(row[INPUT]) - 1}

    def _shared(self, start: int, context: Sequence[bool], length: int) -> list[bool]:
        """Return for each token of a row whether both views have it.

        The token that stands for no answer is shared, the other special tokens and the question are
        not.

        Args:
            start: the index of the first token of the context.
            context: for each token of the context whether both views have it.
            length: the number of tokens of the row.
        """
        shared = [False] * start + [*context] + [False] * (length - start - len(context))
        shared[0 if self.operations.begin else -1] = True
        return shared

    def _room(self, head: Sequence[int] | np.ndarray) -> int:
        """Return the number of context tokens that fit into a row after its head."""
        return max(0, self.operations.length - len(head) - len(self.operations.end))

    def _join(self, head: Sequence[int] | np.ndarray, tokens: Sequence[int]) -> Row:
        """Return the token columns of a window."""
        ids = [*head, *tokens, *self.operations.end]
        types = self.operations.types.of_pair(len(head), len(ids) - len(head))
        return self._model_columns({INPUT: ids, TYPE: types})

    def _rebuild_window(
        self, row: Row, inputs: dict[str, int], old: list[Tokens], new: list[Tokens]
    ) -> tuple[Row, dict[str, int], list[Tokens]]:
        """Return a window with other tokens, cut to its room.

        Args:
            row: the token columns of the window.
            inputs: what the head reads besides them.
            old: the tokens of each word in `row`.
            new: the tokens of each word in the result.

        Returns:
            The token columns, what the head reads, and the tokens of each word.
        """
        offset = inputs[CONTEXT_START]
        head = row[INPUT][:offset]
        room = self._room(head)
        shown: list[Tokens] = []
        for tokens in new:
            shown.append(tokens[:room])
            room -= len(shown[-1])
        starts = np.cumsum([0, *map(len, shown)])
        inputs = {**inputs, CONTEXT_LENGTH: int(starts[-1])}
        if inputs[START]:
            start, end = (_shift_position(inputs[n] - offset, old, starts) for n in (START, END))
            if start is not None and end is not None and max(start, end) < starts[-1]:
                inputs |= {START: offset + start, END: offset + end}
            else:
                inputs |= {START: 0, END: 0, IMPOSSIBLE: 1}
        return self._join(head, [token for tokens in shown for token in tokens]), inputs, shown


def _replace_changed(tokens: list[Tokens], result: AugmentedWords) -> list[Tokens]:
    """Return the tokens of each word, with new ones for changed words."""
    rows = zip(tokens, result.tokens, result.changed, strict=True)
    return [new if changed else old for old, new, changed in rows]


def _tokens_by_word(ids: np.ndarray, word_of_token: np.ndarray, words: int) -> list[Tokens]:
    """Return the tokens of each word that a window shows."""
    ends = np.searchsorted(word_of_token, np.arange(words), side="right")
    begins = [0, *ends][: len(ends)]
    tokens = ids.tolist()
    return [tuple(tokens[begin:end]) for begin, end in zip(begins, ends, strict=True)]


def _shift_position(position: int, old: list[Tokens], starts: np.ndarray) -> int | None:
    """Return the new position of a token whose word kept its tokens; None for no position.

    Args:
        position: the old position in the context; negative for none.
        old: the tokens of each word before.
        starts: the position of the first token of each word after.
    """
    if position < 0:
        return None
    ends = np.cumsum([len(tokens) for tokens in old])
    word = int(np.searchsorted(ends, position, side="right"))
    return int(starts[word]) + position - (int(ends[word]) - len(old[word]))


def view_builder_of(examples: EncodedDataset) -> type[ViewBuilder]:
    """Return the builder for a training set: of windows, of tagged words, or of whole texts."""
    if examples.has(WORD_INDEX):
        return WindowViewBuilder
    return TagViewBuilder if WORD in examples.padding else TextViewBuilder
