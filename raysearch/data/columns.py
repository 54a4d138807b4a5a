"""The columns of a prepared table, and how lists of numbers become one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

LABEL, ID, INPUT, TYPE = "label", "id", "input_ids", "token_type_ids"
# Metadata of a table: rows of an example, and the language whose rules compare its answers.
GROUP, LANGUAGE = "group", "language"
# And of a text: the ids of the mask, of <s>, of all special tokens; the size of the vocabulary.
MASK_ID, BOS_ID, SPECIAL_IDS, VOCABULARY_SIZE = "mask", "begins", "special", "words"
WORD, START, END, IMPOSSIBLE = "word", "start", "end", "impossible"
CONTEXT_START, CONTEXT_LENGTH, BEGIN, STOP, MAX_CONTEXT = "at", "count", "begin", "stop", "owned"
NO_ANSWER_POSITION = (
    "nowhere"  # the place in a row that stands for no answer, where it is not the first
)
CONTEXT, ANSWERS = "context", "answers"
# What views are made from: the words of the first text and of the second; for each token of a
# context its word's place among them, and the words of an answer that stay, or all of them.
FIRST_WORDS, SECOND_WORDS, WORD_INDEX, FROZEN_ENDS, FROZEN_ANSWER = (
    "said",
    "said_2",
    "spot",
    "kept",
    "whole",
)


def list_array(rows: Sequence[Sequence[int] | np.ndarray]) -> pa.ListArray:
    """A list column of int32."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    if rows and isinstance(rows[0], np.ndarray):
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(rows)))
    values = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def padding_values(tokenizer: Any) -> dict[str, int]:
    """What pads the columns that every model of this tokenizer reads."""
    names = {INPUT: tokenizer.pad_token_id or 0, TYPE: tokenizer.pad_token_type_id}
    return {n: fill for n, fill in names.items() if n == INPUT or n in tokenizer.model_input_names}


def sentence_special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens before and after the words of one sentence: [CLS], [SEP].

    Where a pair's texts stand apart by two ends, a sentence of words has both of them, as in the
    scripts of XTREME and xTune (`sep_token_extra`): RoBERTa's and XLM-R's are <s>, </s></s>.
    """
    begin, middle, end = pair_special_tokens(tokenizer)
    return begin, middle if end and middle == end * 2 else end


def pair_special_tokens(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """The special tokens before, between and after a pair of texts: [CLS], [SEP], [SEP].

    RoBERTa's are <s>, </s></s>, </s>.
    """
    inner = tokenizer("a", add_special_tokens=False)[INPUT]
    single, pair = tokenizer("a")[INPUT], tokenizer("a", "a")[INPUT]
    start = next(at for at in range(len(single)) if single[at : at + len(inner)] == inner)
    stop = len(single) - start - len(inner)
    second = len(pair) - stop - len(inner)
    return single[:start], pair[start + len(inner) : second], pair[len(pair) - stop :]


@dataclass(frozen=True, kw_only=True)
class TokenTypes:
    """The token types of a row, as its tokenizer's template has them.

    BERT's are 0 for [CLS], the first text and its [SEP], then 1. XLNet's <cls> at the end is 2, and
    so is Funnel's [CLS].

    Attributes:
        begin, middle, end: of the special tokens before, between and after a pair; `alone` of those
            after a lone text.
        first, second: of every token of the two texts.
    """

    begin: tuple[int, ...] = ()
    first: int = 0
    middle: tuple[int, ...] = ()
    second: int = 1
    end: tuple[int, ...] = ()
    alone: tuple[int, ...] = ()

    @property
    def highest(self) -> int:
        """The highest token type."""
        return max(*self.begin, self.first, *self.middle, self.second, *self.end, *self.alone)

    def of_pair(self, first: int, second: int) -> list[int]:
        """Return the token types of a pair.

        Args:
            first: tokens before the second text, special tokens among them.
            second: tokens from there, special tokens among them.
        """
        inner, outer = first - len(self.begin) - len(self.middle), second - len(self.end)
        head = [*self.begin, *[self.first] * inner, *self.middle]
        return [*head, *[self.second] * outer, *self.end][: first + second]

    def of_text(self, tokens: int) -> list[int]:
        """Return the token types of a lone text of so many tokens, special tokens among them."""
        inner = tokens - len(self.begin) - len(self.alone)
        return [*self.begin, *[self.first] * inner, *self.alone][:tokens]


def token_types(tokenizer: Any) -> TokenTypes:
    """Return the token types of a tokenizer's template; of one that has none, 0 then 1."""
    inner = len(tokenizer("a", add_special_tokens=False)[INPUT])
    begin, middle, end = map(len, pair_special_tokens(tokenizer))
    behind, size = begin + inner + middle, len(tokenizer("a")[INPUT])
    alone, pair = [0] * size, [0] * behind + [1] * (inner + end)
    if tokenizer.is_fast:
        alone = tokenizer("a", return_token_type_ids=True)[TYPE]
        pair = tokenizer("a", "a", return_token_type_ids=True)[TYPE]
    return TokenTypes(
        begin=tuple(pair[:begin]),
        first=pair[begin],
        middle=tuple(pair[begin + inner : behind]),
        second=pair[behind],
        end=tuple(pair[behind + inner :]),
        alone=tuple(alone[begin + inner :]),
    )
