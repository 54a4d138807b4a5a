"""Encodes sentences with a tag for each word.

A sentence that does not fit the model becomes several rows. The module is apart from the other
encoders because it tokenizes word by word.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa

from ...recipes import Hyperparameters
from ...recipes.task_losses import IGNORE_INDEX
from ...tasks import Task
from ..augmentation import word_columns
from ..augmentation.subword_sampling import WordPieces
from ..columns import (
    FIRST_WORDS,
    ID,
    INPUT,
    LABEL,
    TYPE,
    WORD,
    list_array,
    padding_values,
    sentence_special_tokens,
    token_types,
)
from .encoder import Encoder


def padding(tokenizer: Any) -> dict[str, int]:
    """Return the padding value of each list column."""
    return {**padding_values(tokenizer), WORD: -1, LABEL: IGNORE_INDEX}


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk of sentences.

    A sentence that is too long is divided between words, as in XTREME's script. A word without
    tokens, or with more than a row holds, becomes the unknown token.

    Returns:
        The token columns and `id`; `word`, the index in its row of the word of each token, -1 for
        special tokens; `label`, a tag for each word of the row, all 0 if the split is not labelled;
        the words, if views are made from them.
    """
    (begin, end), types = sentence_special_tokens(tokenizer), token_types(tokenizer)
    room = min(hyper.max_length, tokenizer.model_max_length) - len(begin) - len(end)
    rows: dict[str, list[Any]] = {INPUT: [], WORD: [], LABEL: [], FIRST_WORDS: [], ID: []}
    for example, words in zip(chunk, _word_tokens(tokenizer, chunk, room), strict=True):
        tags = example["label"] or (0,) * len(words)
        for first, last in _word_ranges(words, room):
            inside = words[first:last]
            indices = [index for index, word in enumerate(inside) for _ in word]
            rows[INPUT].append([*begin, *(token for word in inside for token in word), *end])
            rows[WORD].append([-1] * len(begin) + indices + [-1] * len(end))
            rows[LABEL].append(tags[first:last])
            rows[FIRST_WORDS].append(example["words"][first:last])
            rows[ID].append(example["id"])
    rows[TYPE] = [types.of_text(len(row)) for row in rows[INPUT]]
    columns = {name: list_array(rows[name]) for name in (*padding_values(tokenizer), WORD, LABEL)}
    if train and hyper.view_kinds():
        columns[FIRST_WORDS] = word_columns.word_lists(rows[FIRST_WORDS])
    columns[ID] = pa.array(rows[ID], pa.string())
    return columns


def _word_tokens(
    tokenizer: Any, chunk: list[dict[str, Any]], room: int
) -> Iterator[list[list[int]]]:
    """Yield for each sentence the tokens of every word, tokenized after a space."""
    pieces, unknown = _word_pieces(tokenizer), (tokenizer.unk_token_id,)
    for example in chunk:
        words = pieces.of(example["words"])
        yield [list(word if 0 < len(word) <= room else unknown) for word in words]


@lru_cache(maxsize=1)
def _word_pieces(tokenizer: Any) -> WordPieces:
    return WordPieces(tokenizer)


def _word_ranges(words: list[list[int]], room: int) -> Iterator[tuple[int, int]]:
    """Yield for each row of a sentence its first word and the one after its last."""
    first = used = 0
    for index, word in enumerate(words):
        if used + len(word) > room:
            yield first, index
            first, used = index, 0
        used += len(word)
    if used:
        yield first, len(words)


ENCODER = Encoder(shape=("max_length",), padding=padding, encode=encode)
