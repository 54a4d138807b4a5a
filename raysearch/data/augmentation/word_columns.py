"""The words of rows, which their views are made from. Knows the words of texts and where tokens
stand in them, and nothing of how a view is made."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..columns import FIRST_WORDS, FROZEN_ANSWER, FROZEN_ENDS, WORD_INDEX, list_array
from .code_switching import answer_words, word_spans


def word_lists(rows: Sequence[Sequence[str]]) -> pa.ListArray:
    """A column of words."""
    return pa.array(rows, pa.list_(pa.string()))


class ContextWords:
    """The words of a context, and those that an answer takes.

    Args:
        text: the context.
        begin: the first character of each of its tokens, [tokens].
        answer: the answer's first character and the one behind its last; None for no answer.
    """

    def __init__(self, text: str, begin: np.ndarray, answer: tuple[int, int] | None) -> None:
        places = word_spans(text) or [(0, len(text))]
        self._words = [text[first:stop] for first, stop in places]
        stops = np.array([stop for _, stop in places])
        # A token of white space alone is of the word behind it.
        self._spot = np.searchsorted(stops, begin, side="right").clip(max=len(places) - 1)
        found = [answer_words(places, *answer, whole=w) if answer else () for w in (False, True)]
        self._kept, self._whole = map(sorted, found)

    def window(self, first: int, last: int) -> dict[str, Any]:
        """What a window on some of the tokens says: a value for each of the columns."""
        spot = self._spot[first:last]
        low, high = (int(spot[0]), int(spot[-1]) + 1) if len(spot) else (0, 0)

        def inside(places: list[int]) -> list[int]:
            return [place - low for place in places if low <= place < high]

        return {
            FIRST_WORDS: self._words[low:high],
            WORD_INDEX: (spot - low).astype(np.int32),
            FROZEN_ENDS: inside(self._kept),
            FROZEN_ANSWER: inside(self._whole),
        }


def window_columns(windows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """The columns of so many windows."""
    told = {
        name: [window[name] for window in windows]
        for name in (FIRST_WORDS, WORD_INDEX, FROZEN_ENDS, FROZEN_ANSWER)
    }
    return {
        name: word_lists(rows) if name == FIRST_WORDS else list_array(rows)
        for name, rows in told.items()
    }
