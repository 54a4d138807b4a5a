"""The columns of a prepared table, and how lists of numbers become one."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

LABEL, ID, INPUT, TYPE = "label", "id", "input_ids", "token_type_ids"
# Metadata of a table: rows of an example, and the language whose rules compare its answers.
GROUP, LANGUAGE = "group", "language"
# And of a text: the ids of the mask, of <s>, of all special tokens; the size of the vocabulary.
MASK, BEGINS, SPECIAL, WORDS = "mask", "begins", "special", "words"
WORD, START, END, IMPOSSIBLE = "word", "start", "end", "impossible"
AT, COUNT, BEGIN, STOP, OWNED = "at", "count", "begin", "stop", "owned"
CONTEXT, ANSWERS = "context", "answers"
# What views are made from: the words of the first text and of the second; for each token of a
# context its word's place among them, and the words of an answer that stay, or all of them.
SAID, SAID_2, SPOT, KEPT, WHOLE = "said", "said_2", "spot", "kept", "whole"


def lists(rows: Sequence[Sequence[int] | np.ndarray]) -> pa.ListArray:
    """A list column of int32."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    if rows and isinstance(rows[0], np.ndarray):
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(rows)))
    values = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def fills(tokenizer: Any) -> dict[str, int]:
    """What pads the columns that every model of this tokenizer reads."""
    names = {INPUT: tokenizer.pad_token_id or 0, TYPE: tokenizer.pad_token_type_id}
    return {n: fill for n, fill in names.items() if n == INPUT or n in tokenizer.model_input_names}


def sentence_frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens before and after the words of one sentence: [CLS], [SEP].

    Where a pair's texts stand apart by two ends, a sentence of words has both of them, as in the
    scripts of XTREME and xTune (`sep_token_extra`): RoBERTa's and XLM-R's are <s>, </s></s>.
    """
    begin, middle, end = frame(tokenizer)
    return begin, middle if end and middle == end * 2 else end


def frame(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """The special tokens before, between and after a pair of texts: [CLS], [SEP], [SEP].

    RoBERTa's are <s>, </s></s>, </s>.
    """
    inner = tokenizer("a", add_special_tokens=False)[INPUT]
    single, pair = tokenizer("a")[INPUT], tokenizer("a", "a")[INPUT]
    start = next(at for at in range(len(single)) if single[at : at + len(inner)] == inner)
    stop = len(single) - start - len(inner)
    second = len(pair) - stop - len(inner)
    return single[:start], pair[start + len(inner) : second], pair[len(pair) - stop :]


def segments(first: int, second: int) -> Iterable[int]:
    """Token types of a pair: 0 for so many tokens, then 1."""
    return [0] * first + [1] * second
