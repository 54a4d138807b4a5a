"""A passage, a question and its options: a row for each option, the options of a question together.

The layouts are fairseq's, question and option before the passage, and its reverse."""

import re
from typing import Any

import pyarrow as pa

from ...recipes import Hyperparameters
from ...tasks import Task
from ..columns import (
    ID,
    INPUT,
    LABEL,
    TYPE,
    list_array,
    padding_values,
    pair_special_tokens,
    token_types,
)

SHAPE = ("max_length", "qa_length", "segments")


def padding(tokenizer: Any) -> dict[str, int]:
    """Column -> what fills a short row."""
    return padding_values(tokenizer)


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Token ids of every option's sequence; `label` on each of them."""
    passages = list(dict.fromkeys(example["passage"] for example in chunk))
    known = dict(zip(passages, _ids(tokenizer, passages), strict=True))
    joined = [join(e["question"], option) for e in chunk for option in e["options"]]
    answers = iter(_ids(tokenizer, joined))
    length = min(hyper.max_length, tokenizer.model_max_length)
    marks, of, rows, types = pair_special_tokens(tokenizer), token_types(tokenizer), [], []
    for example in chunk:
        for _ in example["options"]:
            parts = (next(answers), known[example["passage"]], marks, length)
            ids, first = _LAYOUTS[hyper.segments](*parts, hyper.qa_length)
            rows.append(ids)
            types.append(of.of_pair(first, len(ids) - first))
    columns = {INPUT: list_array(rows), TYPE: list_array(types)}
    columns = {name: columns[name] for name in padding_values(tokenizer)}
    spread = [example for example in chunk for _ in example["options"]]
    if chunk[0]["label"] is not None:
        columns[LABEL] = pa.array([example["label"] for example in spread], pa.int64())
    columns[ID] = pa.array([example["id"] for example in spread], pa.string())
    return columns


def join(question: str, option: str) -> str:
    """The option in the question's blank, or behind the question.

    A run of "_" is one blank; fairseq's script fills in the option once for each character.
    """
    blank = "_" in question
    text = re.sub("_+", lambda _: option, question) if blank else f"{question} {option}"
    return " ".join(text.split())


def _ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False, return_attention_mask=False)[INPUT]


def _qa_first(
    answer: list[int], passage: list[int], marks: tuple[list[int], ...], length: int, most: int
) -> tuple[list[int], int]:
    """fairseq's: <s> qa </s>, cut to `most` tokens, then </s> passage </s>, all cut to `length`.

    Where a cut would leave no separator between the two, it is kept; so is the end of a row that
    the model reads from there, as it has no special token at its beginning (XLNet).
    """
    begin, middle, end = marks
    head = [*begin, *answer, *middle[:1]][:most]
    rest = middle[1:]
    if not rest and head[-1:] != middle:
        head = [*head[: most - 1], *middle]
    ids = [*head, *rest, *passage, *end]
    if not begin:
        ids = [*[*head, *rest, *passage][: length - len(end)], *end]
    return ids[:length], len(head) + len(rest)


def _passage_first(
    answer: list[int], passage: list[int], marks: tuple[list[int], ...], length: int, most: int
) -> tuple[list[int], int]:
    """[CLS] passage [SEP] qa [SEP]: the passage is cut, question and option only above `most`."""
    begin, middle, end = marks
    answer = answer[:most]
    room = length - len(answer) - len(begin) - len(middle) - len(end)
    head = [*begin, *passage[: max(0, room)], *middle]
    return [*head, *answer, *end][:length], len(head)


_LAYOUTS = {"qa_first": _qa_first, "passage_first": _passage_first}
