"""Plain text: a row of tokens for each line, which ends with the separator."""

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

SHAPE = ()
LINES, CHARACTERS = 10_000, 2**20  # that are encoded at once


def padding(tokenizer: Any) -> dict[str, int]:
    """Column -> what fills a short row."""
    return {INPUT: tokenizer.pad_token_id or 0}


def facts(tokenizer: Any) -> dict[str, str]:
    """What masking needs to know of the vocabulary."""
    begin, _, _ = pair_special_tokens(tokenizer)
    special = " ".join(map(str, sorted(tokenizer.all_special_ids)))
    return {
        MASK_ID: str(tokenizer.mask_token_id),
        BOS_ID: str(begin[0]),
        SPECIAL_IDS: special,
        VOCABULARY_SIZE: str(len(tokenizer)),
    }


def chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    """Lines that are encoded at once: fewer where they are long, as a tokenizer needs a hundred
    times their size."""
    chunk, size = [], 0
    for example in examples:
        chunk.append(example)
        size += sum(len(value) for value in example.values() if value)
        if len(chunk) == LINES or size >= CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Token ids, never cut."""
    texts = [example[task.inputs[0]] for example in chunk]
    ids = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)[INPUT]
    _, _, end = pair_special_tokens(tokenizer)
    rows = list_array([[*row, *end] for row in ids])
    return {INPUT: rows, ID: pa.array([example["id"] for example in chunk], pa.string())}
