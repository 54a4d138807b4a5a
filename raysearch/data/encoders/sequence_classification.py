"""Encodes a text or a pair of texts with a class or a score: one row for each example.

It is apart from the other encoders because every head arranges its rows in its own way.
"""

from typing import Any

import pyarrow as pa

from ...recipes import Hyperparameters
from ...tasks import Task
from ..augmentation import word_columns
from ..columns import FIRST_WORDS, ID, INPUT, LABEL, SECOND_WORDS, list_array, padding_values
from .encoder import Encoder


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk of examples.

    A pair that is too long loses tokens of its longer text first.

    Returns:
        The token columns and `id`; `label` if the split is labelled; the words of the texts, not
        truncated, if views are made from them.
    """
    labelled = chunk[0]["label"] is not None
    length = min(hyper.max_length, tokenizer.model_max_length)
    drop = train and hyper.over_length == "drop"
    texts = [[example[name] for example in chunk] for name in task.inputs]
    tokens = tokenizer(
        *texts,
        truncation=False if drop else "longest_first" if len(texts) > 1 else True,
        max_length=None if drop else length,
        return_attention_mask=False,
    )
    if drop:
        short = [index for index, ids in enumerate(tokens[INPUT]) if len(ids) <= length]
        chunk = [chunk[index] for index in short]
        names = padding_values(tokenizer)
        tokens = {name: [tokens[name][index] for index in short] for name in names}
    columns = {name: list_array(tokens[name]) for name in padding_values(tokenizer)}
    if labelled:
        kind = pa.float32() if task.facts.numeric_labels else pa.int64()
        columns[LABEL] = pa.array([example["label"] for example in chunk], kind)
    if train and hyper.view_kinds():
        for name, field in zip((FIRST_WORDS, SECOND_WORDS), task.inputs, strict=False):
            columns[name] = word_columns.word_lists([example[field].split() for example in chunk])
    columns[ID] = pa.array([example["id"] for example in chunk], pa.string())
    return columns


ENCODER = Encoder(
    shape=("max_length", "over_length"),
    padding=padding_values,
    encode=encode,
    lost="longer than {max_length} tokens (over_length: drop)",
)
