"""Sentences of words with a tag each: a row for each piece of a sentence that fits the model."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa

from ...recipes import Hyperparameters
from ...recipes.finetune import IGNORE_INDEX
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

SHAPE = ("max_length",)


def padding(tokenizer: Any) -> dict[str, int]:
    """Column -> what fills a short row."""
    return {**padding_values(tokenizer), WORD: -1, LABEL: IGNORE_INDEX}


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Token ids; `word`, the place in its row of the word that a token is of, -1 for none; `label`,
    a tag for each of the row's words, all 0 where there are none; to make views, the words.

    A sentence that is too long is cut between words, as XTREME's script does; a word of no token,
    or of more than a row holds, is the unknown token.
    """
    (begin, end), types = sentence_special_tokens(tokenizer), token_types(tokenizer)
    room = min(hyper.max_length, tokenizer.model_max_length) - len(begin) - len(end)
    rows: dict[str, list[Any]] = {INPUT: [], WORD: [], LABEL: [], FIRST_WORDS: [], ID: []}
    for example, words in zip(chunk, _pieces(tokenizer, chunk, room), strict=True):
        tags = example["label"] or (0,) * len(words)
        for first, last in _cut(words, room):
            inside = words[first:last]
            places = [at for at, word in enumerate(inside) for _ in word]
            rows[INPUT].append([*begin, *(token for word in inside for token in word), *end])
            rows[WORD].append([-1] * len(begin) + places + [-1] * len(end))
            rows[LABEL].append(tags[first:last])
            rows[FIRST_WORDS].append(example["words"][first:last])
            rows[ID].append(example["id"])
    rows[TYPE] = [types.of_text(len(row)) for row in rows[INPUT]]
    columns = {name: list_array(rows[name]) for name in (*padding_values(tokenizer), WORD, LABEL)}
    if train and hyper.view_kinds():
        columns[FIRST_WORDS] = word_columns.word_lists(rows[FIRST_WORDS])
    columns[ID] = pa.array(rows[ID], pa.string())
    return columns


def _pieces(tokenizer: Any, chunk: list[dict[str, Any]], room: int) -> Iterator[list[list[int]]]:
    """The tokens of every word of every sentence, as they are behind a space."""
    pieces, unknown = _known(tokenizer), (tokenizer.unk_token_id,)
    for example in chunk:
        words = pieces.of(example["words"])
        yield [list(word if 0 < len(word) <= room else unknown) for word in words]


@lru_cache(maxsize=1)
def _known(tokenizer: Any) -> WordPieces:
    return WordPieces(tokenizer)


def _cut(words: list[list[int]], room: int) -> Iterator[tuple[int, int]]:
    """First and last word of every row that the sentence takes."""
    first = used = 0
    for at, word in enumerate(words):
        if used + len(word) > room:
            yield first, at
            first, used = at, 0
        used += len(word)
    if used:
        yield first, len(words)
