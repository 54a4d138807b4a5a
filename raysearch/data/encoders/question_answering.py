"""A question and a context: a row for each window of a context that is too long for the model.

Answers are mapped between characters and tokens by the offsets of fast tokenizers, so that an
answer is always a slice of the context itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InputError, Problem
from ...metrics.answer_normalization import normalize_answer
from ...recipes import Hyperparameters
from ...tasks import Task
from ..augmentation import word_columns
from ..columns import (  # fmt: skip
    ANSWERS,
    BEGIN,
    CONTEXT,
    CONTEXT_LENGTH,
    CONTEXT_START,
    END,
    ID,
    IMPOSSIBLE,
    INPUT,
    MAX_CONTEXT,
    NO_ANSWER_POSITION,
    START,
    STOP,
    TYPE,
    list_array,
    padding_values,
    pair_special_tokens,
    token_types,
)

SHAPE = ("max_length", "doc_stride", "stride_as", "query_length", "answerable_by")
LOST = "no tokens spell their answer, or their context has none"
_COLUMNS = (
    INPUT,
    TYPE,
    CONTEXT_START,
    CONTEXT_LENGTH,
    ID,
    START,
    END,
    IMPOSSIBLE,
    BEGIN,
    STOP,
    MAX_CONTEXT,
    CONTEXT,
    ANSWERS,
)
_NUMBER = re.compile(r"\d+\.?\d*")


@dataclass(frozen=True, kw_only=True)
class TokenizedContext:
    """A context as tokens.

    Attributes:
        ids: int32 [tokens].
        begin, stop: the characters of each token, without white space before it, int32 [tokens].
    """

    ids: np.ndarray
    begin: np.ndarray
    stop: np.ndarray


def padding(tokenizer: Any) -> dict[str, int]:
    """Column -> what fills a short row."""
    return padding_values(tokenizer)


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Token ids of every window, where its context stands in them (`at`, `count`), and

    to train: the answer's first and last token, 0 where the window does not hold it, and whether
    it is impossible, and to make views the words that it shows, see `said`; to be scored: the
    characters of its tokens, which of them it owns, and in the first row of a question the context
    and the gold answers. A context without tokens is nothing to train on; to be scored it is a
    window that shows none.

    Raises:
        InputError: a question leaves windows no room, or less than they overlap by.
    """
    texts = _texts(tokenizer, [example["context"] for example in chunk])
    queries = _ids(tokenizer, [example["question"].lstrip() for example in chunk])
    (begin, middle, end), types = pair_special_tokens(tokenizer), token_types(tokenizer)
    length = min(hyper.max_length, tokenizer.model_max_length)
    _check_room(task, length - sum(map(len, (begin, middle, end))), queries, hyper)
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    views, shown = train and hyper.view_kinds(), []
    for example, query in zip(chunk, queries, strict=True):
        text = texts[example["context"]]
        head = [*begin, *query[: hyper.query_length], *middle]
        spans = list(window_spans(len(text.ids), length - len(head) - len(end), hyper))
        answer = _answer(example, text) if train else None
        if train and (not len(text.ids) or (answer is None and example["answers"])):
            continue  # its tokens cannot be told: see `_answer`
        words = _words(example, text, answer) if views else None
        owned = () if train else max_context_windows(spans, len(text.ids))
        for number, (first, last) in enumerate(spans):
            tokens = text.ids[first:last]
            rows[INPUT].append(np.concatenate([head, tokens, end]).astype(np.int32))
            rows[TYPE].append(types.of_pair(len(head), len(tokens) + len(end)))
            rows[CONTEXT_START].append(len(head))
            rows[CONTEXT_LENGTH].append(len(tokens))
            rows[ID].append(example["id"])
            if train:
                labels = _labels(example, answer, (first, last), len(head), hyper)
                for name, label in zip((START, END, IMPOSSIBLE), labels, strict=True):
                    rows[name].append(label)
                shown += [words.window(first, last)] if views else []
                continue
            rows[BEGIN].append(text.begin[first:last])
            rows[STOP].append(text.stop[first:last])
            rows[MAX_CONTEXT].append((owned[first:last] == number).astype(np.int32))
            rows[CONTEXT].append("" if number else example["context"])
            rows[ANSWERS].append([] if number else [answer for answer, _ in example["answers"]])
    columns = _columns(rows, padding_values(tokenizer), train=train, last=not begin)
    return columns | word_columns.window_columns(shown) if views else columns


def _columns(
    rows: dict[str, list[Any]], wanted: dict[str, int], *, train: bool, last: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk.

    Args:
        last: the last token of a row stands for no answer (XLNet).
    """
    columns = {name: list_array(rows[name]) for name in wanted}
    columns |= {name: pa.array(rows[name], pa.int32()) for name in (CONTEXT_START, CONTEXT_LENGTH)}
    if last:
        columns[NO_ANSWER_POSITION] = pa.array([len(row) - 1 for row in rows[INPUT]], pa.int32())
    if train:
        columns |= {name: pa.array(rows[name], pa.int64()) for name in (START, END, IMPOSSIBLE)}
    else:
        columns |= {name: list_array(rows[name]) for name in (BEGIN, STOP, MAX_CONTEXT)}
        columns[CONTEXT] = pa.array(rows[CONTEXT], pa.string())
        columns[ANSWERS] = pa.array(rows[ANSWERS], pa.list_(pa.string()))
    columns[ID] = pa.array(rows[ID], pa.string())
    return columns


def window_spans(tokens: int, room: int, hyper: Hyperparameters) -> Iterator[tuple[int, int]]:
    """First token of every window and the one behind its last.

    A window begins `doc_stride` tokens after the one before it (BERT, GluonNLP, ELECTRA), or so
    that the two share `doc_stride` tokens (transformers). Windows of fewer tokens than that share
    half of them; `encode` refuses to make such.
    """
    room = max(1, room)
    step = min(hyper.doc_stride, room)
    if hyper.stride_as == "overlap":
        step = room - (hyper.doc_stride if hyper.doc_stride < room else room // 2)
    first = 0
    while True:
        last = min(first + room, tokens)
        yield first, last
        if last == tokens:
            return
        first += step


def _check_room(task: Task, length: int, queries: list[list[int]], hyper: Hyperparameters) -> None:
    """Raise InputError where the longest question leaves too little room.

    Args:
        length: tokens that question and window may have together.
    """
    longest = min(max(map(len, queries), default=0), hyper.query_length)
    room = length - longest
    text = f"a question of {longest} tokens leaves {room} for its context"
    if room < 1:
        text = f"{text}; a smaller query_length would do"
    elif hyper.stride_as == "overlap" and room <= hyper.doc_stride:
        text = f"{text}, and windows overlap by {hyper.doc_stride}; a smaller doc_stride would do"
    else:
        return
    raise InputError(task.name, [Problem(location="windows", text=text)])


def max_context_windows(spans: list[tuple[int, int]], tokens: int) -> np.ndarray:
    """For each token the window that shows most around it (BERT): the larger of its shorter sides,
    and a hundredth of the window's length; the first of equals."""
    best, owner = np.full(tokens, -np.inf), np.zeros(tokens, np.int32)
    for number, (first, last) in enumerate(spans):
        place = np.arange(last - first)
        score = np.minimum(place, last - first - 1 - place) + 0.01 * (last - first)
        better = score > best[first:last]
        owner[first:last][better] = number
        best[first:last][better] = score[better]
    return owner


def _texts(tokenizer: Any, contexts: list[str]) -> dict[str, TokenizedContext]:
    """Every different context once."""
    different = list(dict.fromkeys(contexts))
    made = tokenizer(
        different,
        add_special_tokens=False,
        return_attention_mask=False,
        return_offsets_mapping=True,
    )
    return {
        context: _text(context, ids, offsets)
        for context, ids, offsets in zip(
            different, made[INPUT], made["offset_mapping"], strict=True
        )
    }


def _text(context: str, ids: list[int], offsets: list[tuple[int, int]]) -> TokenizedContext:
    places = np.array(offsets, np.int32).reshape(-1, 2)
    begin, stop = places[:, 0].copy(), places[:, 1]
    for at in range(len(ids)):
        while begin[at] < stop[at] and context[begin[at]].isspace():
            begin[at] += 1
    return TokenizedContext(ids=np.array(ids, np.int32), begin=begin, stop=stop)


def _ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False, return_attention_mask=False)[INPUT]


def _answer(example: dict[str, Any], text: TokenizedContext) -> tuple[int, int] | None:
    """First and last token of the first gold answer; None where there is none, or no token of it.

    Where the tokens there spell something else, another occurrence of the answer may fit better.
    A number that none of them spells is None too: half a number would be learned (GluonNLP).
    """
    if not example["answers"] or not len(text.ids):
        return None
    context, (answer, start) = example["context"], example["answers"][0]
    wanted = normalize_answer(answer)
    places = [start, *reversed([m.start() for m in re.finditer(re.escape(answer), context)])]
    spans = [_tokens(text, place, place + len(answer)) for place in places]
    for first, last in filter(None, spans):
        if normalize_answer(context[text.begin[first] : text.stop[last]]) == wanted:
            return first, last
    return None if _NUMBER.fullmatch(answer) else spans[0]


def _labels(
    example: dict[str, Any], answer: tuple[int, int] | None, window: tuple[int, int], before: int,
    hyper: Hyperparameters,
) -> tuple[int, int, int]:  # fmt: skip
    """First and last token of the answer in a window's row, 0 where it does not hold it, and
    whether it is impossible.

    Args:
        before: tokens of the row before the window's first.
    """
    first, last = window
    inside = answer is not None and first <= answer[0] and answer[1] < last
    start, stop = (at + before - first for at in answer) if inside else (0, 0)
    whole = hyper.answerable_by == "example"
    return start, stop, int(not (example["answers"] if whole else inside))


def _words(
    example: dict[str, Any], text: TokenizedContext, answer: tuple[int, int] | None
) -> word_columns.ContextWords:
    """The context's words, and those that the answer with these tokens takes."""
    if answer is None:
        return word_columns.ContextWords(example["context"], text.begin, None)
    gold, first = example["answers"][0][0].strip(), int(text.begin[answer[0]])
    # It may begin before its first token, with characters that no token covers.
    start = example["context"].find(gold, max(0, first - len(gold) + 1))
    place = (start, start + len(gold)) if start >= 0 else (first, int(text.stop[answer[1]]))
    return word_columns.ContextWords(example["context"], text.begin, place)


def _tokens(text: TokenizedContext, start: int, stop: int) -> tuple[int, int] | None:
    """First and last of the tokens that share a character with these; None where none does.

    Characters that no token covers, such as white space or accents that the tokenizer strips, add
    no neighbour; neither does a token of white space alone, as byte-level BPE has them.
    """
    first = int(np.searchsorted(text.stop, start, side="right"))
    last = int(np.searchsorted(text.begin, stop, side="left")) - 1
    while first <= last and text.begin[first] == text.stop[first]:
        first += 1
    while first <= last and text.begin[last] == text.stop[last]:
        last -= 1
    return (first, last) if first <= last else None
