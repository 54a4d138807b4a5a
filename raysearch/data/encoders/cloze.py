"""Encodes a passage and a query with a blank: a row for each entity that may fill the blank.

A row asks whether its entity is right, a class of its own, as in P-tuning v2 and jiant. It is apart
from the encoder of choices because the number of entities differs from passage to passage.
"""

from typing import Any

import pyarrow as pa

from ...recipes import Hyperparameters
from ...tasks import Task
from ..columns import ANSWERS, CONTEXT, ENTITY, ID, LABEL, list_array, padding_values
from .encoder import Encoder

BLANK = "@placeholder"


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk of queries, a row for each entity.

    The passage comes first. A row that is too long loses tokens of its longer text first.

    Returns:
        The token columns and `id`. To train: `label`, 1 if the entity is an answer. To score: the
        entity; in the first row of a query the passage and the gold answers.
    """
    rows = [(example, entity) for example in chunk for entity in example["entities"]]
    tokens = tokenizer(
        [example["passage"] for example, _ in rows],
        [example["query"].replace(BLANK, entity) for example, entity in rows],
        truncation="longest_first",
        max_length=min(hyper.max_length, tokenizer.model_max_length),
        return_attention_mask=False,
    )
    columns = {name: list_array(tokens[name]) for name in padding_values(tokenizer)}
    if train:
        right = [entity in dict(example["answers"]) for example, entity in rows]
        columns[LABEL] = pa.array(right).cast(pa.int64())
    else:
        passages: list[str] = []
        answers: list[list[str]] = []
        for example in chunk:
            further = len(example["entities"]) - 1
            passages += [example["passage"], *[""] * further]
            answers += [[text for text, _ in example["answers"]], *[[]] * further]
        columns[ENTITY] = pa.array([entity for _, entity in rows], pa.string())
        columns[CONTEXT] = pa.array(passages, pa.string())
        columns[ANSWERS] = pa.array(answers, pa.list_(pa.string()))
    columns[ID] = pa.array([example["id"] for example, _ in rows], pa.string())
    return columns


ENCODER = Encoder(shape=("max_length",), padding=padding_values, encode=encode)
