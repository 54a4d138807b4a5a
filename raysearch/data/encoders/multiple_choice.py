"""Encodes a passage, a question and its options: adjacent rows, one for each option.

The layouts are fairseq's of RACE, question and option before the passage, its reverse, and
fairseq's of CommonsenseQA, with one separator. It is apart from the other encoders because the rows
of a question form a group.
"""

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
from .encoder import Encoder


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk of questions.

    Returns:
        The token columns and `id`, a row for each option; `label` on each of these rows if the
        split is labelled.
    """
    passages = list(dict.fromkeys(example["passage"] for example in chunk))
    passage_ids = dict(zip(passages, _token_ids(tokenizer, passages), strict=True))
    answers = [join(e.get("question", ""), option) for e in chunk for option in e["options"]]
    answer_ids = iter(_token_ids(tokenizer, answers))
    length = min(hyper.max_length, tokenizer.model_max_length)
    special, types = pair_special_tokens(tokenizer), token_types(tokenizer)
    rows, type_rows = [], []
    for example in chunk:
        for _ in example["options"]:
            parts = (next(answer_ids), passage_ids[example["passage"]], special, length)
            ids, first = _LAYOUTS[hyper.segments](*parts, hyper.qa_length)
            rows.append(ids)
            type_rows.append(types.of_pair(first, len(ids) - first))
    columns = {INPUT: list_array(rows), TYPE: list_array(type_rows)}
    columns = {name: columns[name] for name in padding_values(tokenizer)}
    repeated = [example for example in chunk for _ in example["options"]]
    if chunk[0]["label"] is not None:
        columns[LABEL] = pa.array([example["label"] for example in repeated], pa.int64())
    columns[ID] = pa.array([example["id"] for example in repeated], pa.string())
    return columns


def join(question: str, option: str) -> str:
    """Put the option into the question's blank, or after the question.

    A run of "_" is one blank; fairseq's script fills in the option once for each character. Without
    a question the option stays as it is.
    """
    if not question:
        return option
    blank = "_" in question
    text = re.sub("_+", lambda _: option, question) if blank else f"{question} {option}"
    return " ".join(text.split())


def _token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    encoded = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)
    ids: list[list[int]] = encoded[INPUT]
    return ids


def _qa_first(
    answer: list[int],
    passage: list[int],
    special: tuple[list[int], ...],
    length: int,
    max_answer: int,
) -> tuple[list[int], int]:
    """Return a row in fairseq's layout: <s> qa </s></s> passage </s>, and its first part's length.

    The part up to the first separator is cut to `max_answer` tokens, the row to `length`. A cut
    never removes all separators between the two parts. For a model that reads from the end of the
    row, because it has no special token at its beginning (XLNet), the end of the row stays too.
    """
    begin, middle, end = special
    head = [*begin, *answer, *middle[:1]][:max_answer]
    rest = middle[1:]
    if not rest and head[-1:] != middle:
        head = [*head[: max_answer - 1], *middle]
    ids = [*head, *rest, *passage, *end]
    if not begin:
        ids = [*[*head, *rest, *passage][: length - len(end)], *end]
    return ids[:length], len(head) + len(rest)


def _passage_first(
    answer: list[int],
    passage: list[int],
    special: tuple[list[int], ...],
    length: int,
    max_answer: int,
) -> tuple[list[int], int]:
    """Return a row [CLS] passage [SEP] qa [SEP], and the length of its first part.

    The passage is cut; question and option only above `max_answer` tokens.
    """
    begin, middle, end = special
    answer = answer[:max_answer]
    room = length - len(answer) - len(begin) - len(middle) - len(end)
    head = [*begin, *passage[: max(0, room)], *middle]
    return [*head, *answer, *end][:length], len(head)


def _one_separator(
    answer: list[int],
    passage: list[int],
    special: tuple[list[int], ...],
    length: int,
    max_answer: int,
) -> tuple[list[int], int]:
    """Return fairseq's row of CommonsenseQA, <s> passage </s> qa </s>, and its first part's length.

    It differs from `_passage_first` for models with two tokens between the texts of a pair.
    """
    begin, middle, end = special
    return _passage_first(answer, passage, (begin, middle[:1], end), length, max_answer)


_LAYOUTS = {
    "qa_first": _qa_first,
    "passage_first": _passage_first,
    "one_separator": _one_separator,
}

ENCODER = Encoder(
    shape=("max_length", "qa_length", "segments"), padding=padding_values, encode=encode
)
