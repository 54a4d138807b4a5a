"""Names of the columns and metadata of a prepared table, and the special tokens of a row.

It is apart from the encoders, so that models and training can name a column without importing them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

LABEL, ID, INPUT, TYPE = "label", "id", "input_ids", "token_type_ids"
# Metadata of a table: the number of rows of an example, and the language whose rules compare its
# answers.
GROUP, LANGUAGE = "group", "language"
# Metadata of plain text: the ids of the mask, of <s> and of all special tokens, and the size of the
# vocabulary.
MASK_ID, BOS_ID, SPECIAL_IDS, VOCABULARY_SIZE = "mask", "begins", "special", "words"
WORD, START, END, IMPOSSIBLE = "word", "start", "end", "impossible"
WORD_STARTS = "word_starts"  # of a batch: the position of each word's first token
CONTEXT_START, CONTEXT_LENGTH, BEGIN, STOP, MAX_CONTEXT = "at", "count", "begin", "stop", "owned"
# The index in a row of the token that stands for no answer, if that is not the first token.
NO_ANSWER_POSITION = "nowhere"
CONTEXT, ANSWERS, ENTITY = "context", "answers", "entity"
# The input of views: the words of the first and of the second text, the index of the word of each
# token of a context, and the indices of the words of an answer that may not change: the words at
# its ends, or all of them.
FIRST_WORDS, SECOND_WORDS, WORD_INDEX, FROZEN_ENDS, FROZEN_ANSWER = (
    "said",
    "said_2",
    "spot",
    "kept",
    "whole",
)


def list_array(rows: Sequence[Sequence[int] | np.ndarray]) -> pa.ListArray:
    """Return a list column of int32 with these rows."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    if rows and isinstance(rows[0], np.ndarray):
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(rows)))
    values = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def padding_values(tokenizer: Any) -> dict[str, int]:
    """Return the padding value of each column that every model of this tokenizer reads."""
    values = {INPUT: tokenizer.pad_token_id or 0, TYPE: tokenizer.pad_token_type_id}
    read = {INPUT, *tokenizer.model_input_names}
    return {name: value for name, value in values.items() if name in read}


def sentence_special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens before and after the words of one sentence: [CLS], [SEP].

    A tokenizer that puts two end tokens between the texts of a pair, such as RoBERTa's and XLM-R's
    (<s>, </s></s>), has both of them after a sentence of words, as in the scripts of XTREME and
    xTune (`sep_token_extra`).
    """
    begin, middle, end = pair_special_tokens(tokenizer)
    return begin, middle if end and middle == end * 2 else end


def pair_special_tokens(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """Return the special tokens before, between and after a pair of texts: [CLS], [SEP], [SEP].

    RoBERTa's are <s>, </s></s>, </s>.
    """
    inner = tokenizer("a", add_special_tokens=False)[INPUT]
    single, pair = tokenizer("a")[INPUT], tokenizer("a", "a")[INPUT]
    start = next(i for i in range(len(single)) if single[i : i + len(inner)] == inner)
    stop = len(single) - start - len(inner)
    second = len(pair) - stop - len(inner)
    return single[:start], pair[start + len(inner) : second], pair[len(pair) - stop :]


@dataclass(frozen=True, kw_only=True)
class TokenTypes:
    """The token types of a row, from the template of its tokenizer.

    BERT's are 0 for [CLS], the first text and its [SEP], then 1. XLNet's <cls> at the end is 2, and
    so is Funnel's [CLS].

    Attributes:
        begin, middle, end: types of the special tokens before, between and after a pair.
        alone: types of the special tokens after a single text.
        first, second: type of every token of the first and of the second text.
    """

    begin: tuple[int, ...] = ()
    first: int = 0
    middle: tuple[int, ...] = ()
    second: int = 1
    end: tuple[int, ...] = ()
    alone: tuple[int, ...] = ()

    @property
    def highest(self) -> int:
        """Return the highest token type."""
        return max(*self.begin, self.first, *self.middle, self.second, *self.end, *self.alone)

    def of_pair(self, first: int, second: int) -> list[int]:
        """Return the token types of a pair.

        Args:
            first: the number of tokens before the second text, special tokens included.
            second: the number of tokens from there on, special tokens included.
        """
        inner, outer = first - len(self.begin) - len(self.middle), second - len(self.end)
        head = [*self.begin, *[self.first] * inner, *self.middle]
        return [*head, *[self.second] * outer, *self.end][: first + second]

    def of_text(self, tokens: int) -> list[int]:
        """Return the token types of a single text.

        Args:
            tokens: the number of tokens, special tokens included.
        """
        inner = tokens - len(self.begin) - len(self.alone)
        return [*self.begin, *[self.first] * inner, *self.alone][:tokens]


def token_types(tokenizer: Any) -> TokenTypes:
    """Return the token types of a tokenizer's template; 0 then 1 if it has none."""
    inner = len(tokenizer("a", add_special_tokens=False)[INPUT])
    begin, middle, end = map(len, pair_special_tokens(tokenizer))
    second, length = begin + inner + middle, len(tokenizer("a")[INPUT])
    single, pair = [0] * length, [0] * second + [1] * (inner + end)
    if tokenizer.is_fast:
        single = tokenizer("a", return_token_type_ids=True)[TYPE]
        pair = tokenizer("a", "a", return_token_type_ids=True)[TYPE]
    return TokenTypes(
        begin=tuple(pair[:begin]),
        first=pair[begin],
        middle=tuple(pair[begin + inner : second]),
        second=pair[second],
        end=tuple(pair[second + inner :]),
        alone=tuple(single[begin + inner :]),
    )
