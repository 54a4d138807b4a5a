"""Columns with the words of rows, from which views are made.

It is apart from the encoders because several of them need it, and from the views because these are
made later, in every epoch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..columns import FIRST_WORDS, FROZEN_ANSWER, FROZEN_ENDS, WORD_INDEX, list_array
from .code_switching import answer_words, word_spans


def word_lists(rows: Sequence[Sequence[str]]) -> pa.ListArray:
    """Return a list column of strings."""
    return pa.array(rows, pa.list_(pa.string()))


class ContextWords:
    """The words of a context, and those of its answer.

    Args:
        text: the context.
        begin: the first character of each of its tokens, int32 [tokens].
        answer: the answer's first character and the one after its last; None if there is no answer.
    """

    def __init__(self, text: str, begin: np.ndarray, answer: tuple[int, int] | None) -> None:
        spans = word_spans(text) or [(0, len(text))]
        self._words = [text[first:stop] for first, stop in spans]
        stops = np.array([stop for _, stop in spans])
        # A token of white space alone belongs to the word after it.
        self._word_of_token = np.searchsorted(stops, begin, side="right").clip(max=len(spans) - 1)
        self._frozen_ends, self._frozen_answer = (
            sorted(answer_words(spans, *answer, all_words=all_words) if answer else ())
            for all_words in (False, True)
        )

    def window(self, first: int, last: int) -> dict[str, Any]:
        """Return the values of the columns for a window.

        Args:
            first: the first token of the window.
            last: the token after its last.
        """
        words = self._word_of_token[first:last]
        low, high = (int(words[0]), int(words[-1]) + 1) if len(words) else (0, 0)

        def inside(indices: list[int]) -> list[int]:
            return [index - low for index in indices if low <= index < high]

        return {
            FIRST_WORDS: self._words[low:high],
            WORD_INDEX: (words - low).astype(np.int32),
            FROZEN_ENDS: inside(self._frozen_ends),
            FROZEN_ANSWER: inside(self._frozen_answer),
        }


def window_columns(windows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """Return the columns of windows, see `ContextWords.window`."""
    columns = {
        name: [window[name] for window in windows]
        for name in (FIRST_WORDS, WORD_INDEX, FROZEN_ENDS, FROZEN_ANSWER)
    }
    return {
        name: word_lists(rows) if name == FIRST_WORDS else list_array(rows)
        for name, rows in columns.items()
    }
