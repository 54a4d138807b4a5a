"""One text or a pair of texts with a class or a number: a row for each example."""

from typing import Any

import pyarrow as pa

from ..recipes import Hyper
from ..tasks import Task
from .columns import ID, LABEL, fills, lists

SHAPE = ("max_length",)


def padding(tokenizer: Any) -> dict[str, int]:
    """Column -> what fills a short row."""
    return fills(tokenizer)


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyper, *, train: bool
) -> dict[str, pa.Array]:
    """Token ids, the longer text of a pair cut first; `label` where there are any."""
    texts = [[example[name] for example in chunk] for name in task.inputs]
    tokens = tokenizer(
        *texts,
        truncation="longest_first" if len(texts) > 1 else True,
        max_length=min(hyper.max_length, tokenizer.model_max_length),
        return_attention_mask=False,
    )
    columns = {name: lists(tokens[name]) for name in fills(tokenizer)}
    if chunk[0]["label"] is not None:
        kind = pa.float32() if task.head == "regress" else pa.int64()
        columns[LABEL] = pa.array([example["label"] for example in chunk], kind)
    columns[ID] = pa.array([example["id"] for example in chunk], pa.string())
    return columns
