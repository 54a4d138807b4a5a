"""Encodes plain text for masked language modelling: a row of tokens for each line.

It is apart from the other encoders because its rows have no labels and are not padded: the rows of
a text are one stream of tokens.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ...recipes import Hyperparameters
from ...tasks import Example, Task
from ..columns import (
    BOS_ID,
    ID,
    INPUT,
    MASK_ID,
    SPECIAL_IDS,
    VOCABULARY_SIZE,
    list_array,
    pair_special_tokens,
)
from .encoder import Encoder

LINES, CHARACTERS = 10_000, 2**20  # the most that is encoded at once


def padding(tokenizer: Any) -> dict[str, int]:
    """Return the padding value of each list column."""
    return {INPUT: tokenizer.pad_token_id or 0}


def facts(tokenizer: Any) -> dict[str, str]:
    """Return the metadata of a table that masking reads."""
    begin, _, _ = pair_special_tokens(tokenizer)
    special = " ".join(map(str, sorted(tokenizer.all_special_ids)))
    return {
        MASK_ID: str(tokenizer.mask_token_id),
        BOS_ID: str(begin[0]),
        SPECIAL_IDS: special,
        VOCABULARY_SIZE: str(len(tokenizer)),
    }


def chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    """Yield the lines that are encoded at once.

    Long lines come in smaller chunks, because a tokenizer needs a hundred times their size.
    """
    chunk: list[Example] = []
    size = 0
    for example in examples:
        chunk.append(example)
        size += sum(len(value) for value in example.values() if isinstance(value, str))
        if len(chunk) == LINES or size >= CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk of lines.

    Lines are never truncated. Each ends with the separator.
    """
    texts = [example[task.inputs[0]] for example in chunk]
    ids = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)[INPUT]
    _, _, end = pair_special_tokens(tokenizer)
    rows = list_array([[*row, *end] for row in ids])
    return {INPUT: rows, ID: pa.array([example["id"] for example in chunk], pa.string())}


ENCODER = Encoder(shape=(), padding=padding, encode=encode, facts=facts, chunks=chunks)
