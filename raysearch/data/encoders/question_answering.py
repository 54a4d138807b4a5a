"""Encodes a question and a context: a row for each window of a context that is too long.

Answers are converted between characters and tokens by the offsets of fast tokenizers, so that an
answer is always a slice of the context itself. It is apart from the other encoders because an
example has several rows and its label depends on the row.
"""

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
from ..columns import (
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
from .encoder import Encoder

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

_Rows = dict[str, list[Any]]  # column -> a value for each row


@dataclass(frozen=True, kw_only=True)
class TokenizedContext:
    """A context as tokens.

    Attributes:
        ids: int32 [tokens].
        begin, stop: int32 [tokens], the characters of each token, without white space before it.
    """

    ids: np.ndarray
    begin: np.ndarray
    stop: np.ndarray


def encode(
    chunk: list[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters, *, train: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk of questions, a row for each window.

    A context without tokens is left out of training. When it is scored it is one empty window.

    Returns:
        The token columns and `id`; the first token and the number of tokens of the context in the
        row (`at`, `count`).
        To train: the answer's first and last token, 0 if the window does not hold it; whether it is
        impossible; the words that the window shows, if views are made from them.
        To score: the characters of the context's tokens; which tokens have their maximal context in
        this window; in the first row of a question the context and the gold answers.

    Raises:
        InputError: a question leaves no room for windows, or less than the windows overlap by.
    """
    contexts = _tokenize_contexts(tokenizer, [example["context"] for example in chunk])
    questions = _token_ids(tokenizer, [example["question"].lstrip() for example in chunk])
    (begin, middle, end), types = pair_special_tokens(tokenizer), token_types(tokenizer)
    length = min(hyper.max_length, tokenizer.model_max_length)
    _check_room(task, length - sum(map(len, (begin, middle, end))), questions, hyper)
    rows: _Rows = {name: [] for name in _COLUMNS}
    views, words_of_windows = train and bool(hyper.view_kinds()), []
    for example, question in zip(chunk, questions, strict=True):
        context = contexts[example["context"]]
        head = [*begin, *question[: hyper.query_length], *middle]
        spans = list(window_spans(len(context.ids), length - len(head) - len(end), hyper))
        answer = _answer_tokens(example, context) if train else None
        if train and (not len(context.ids) or (answer is None and example["answers"])):
            continue  # no tokens spell the answer, see `_answer_tokens`
        for first, last in spans:
            tokens = context.ids[first:last]
            rows[INPUT].append(np.concatenate([head, tokens, end]).astype(np.int32))
            rows[TYPE].append(types.of_pair(len(head), len(tokens) + len(end)))
            rows[CONTEXT_START].append(len(head))
            rows[CONTEXT_LENGTH].append(len(tokens))
            rows[ID].append(example["id"])
        if train:
            _add_labels(rows, example, answer, spans, len(head), hyper)
        else:
            _add_scoring_columns(rows, example, context, spans)
        if views:
            words = _context_words(example, context, answer)
            words_of_windows += [words.window(first, last) for first, last in spans]
    columns = _columns(rows, list(padding_values(tokenizer)), train=train, no_answer_last=not begin)
    return columns | word_columns.window_columns(words_of_windows) if views else columns


def _add_labels(
    rows: _Rows,
    example: dict[str, Any],
    answer: tuple[int, int] | None,
    spans: list[tuple[int, int]],
    offset: int,
    hyper: Hyperparameters,
) -> None:
    """Add the labels of each window: the answer's first and last token, and if it is impossible.

    Args:
        rows: the columns to extend.
        example: the question.
        answer: the first and the last token of the answer in the context.
        spans: the windows of the question.
        offset: the number of tokens of a row before the first one of the context.
        hyper: `answerable_by` says what decides whether a window is impossible.
    """
    for first, last in spans:
        inside, start, stop = False, 0, 0
        if answer is not None and first <= answer[0] and answer[1] < last:
            inside, start, stop = True, answer[0] + offset - first, answer[1] + offset - first
        answerable = bool(example["answers"]) if hyper.answerable_by == "example" else inside
        rows[START].append(start)
        rows[END].append(stop)
        rows[IMPOSSIBLE].append(int(not answerable))


def _add_scoring_columns(
    rows: _Rows, example: dict[str, Any], context: TokenizedContext, spans: list[tuple[int, int]]
) -> None:
    """Add what turns the scores of each window into answers; the texts in the first row only."""
    owner = max_context_windows(spans, len(context.ids))
    for window, (first, last) in enumerate(spans):
        rows[BEGIN].append(context.begin[first:last])
        rows[STOP].append(context.stop[first:last])
        rows[MAX_CONTEXT].append((owner[first:last] == window).astype(np.int32))
        rows[CONTEXT].append("" if window else example["context"])
        rows[ANSWERS].append([] if window else [answer for answer, _ in example["answers"]])


def _columns(
    rows: _Rows, token_columns: list[str], *, train: bool, no_answer_last: bool
) -> dict[str, pa.Array]:
    """Return the columns of a chunk.

    Args:
        rows: column -> a value for each row.
        token_columns: the columns of token values that the model reads.
        train: whether the rows are trained on.
        no_answer_last: whether the last token of a row stands for no answer (XLNet).
    """
    columns = {name: list_array(rows[name]) for name in token_columns}
    columns |= {name: pa.array(rows[name], pa.int32()) for name in (CONTEXT_START, CONTEXT_LENGTH)}
    if no_answer_last:
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
    """Yield for each window its first token and the one after its last.

    A window begins `doc_stride` tokens after the one before it (BERT, GluonNLP, ELECTRA), or so
    that the two share `doc_stride` tokens (transformers). Windows of no more tokens than that share
    half of them; `encode` refuses them.

    Args:
        tokens: the number of tokens of the context.
        room: the number of tokens of a window.
        hyper: `doc_stride` and `stride_as`.
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


def _check_room(
    task: Task, length: int, questions: list[list[int]], hyper: Hyperparameters
) -> None:
    """Raise InputError if the longest question leaves too little room.

    Args:
        task: the task, for the error.
        length: the tokens that question and window may have together.
        questions: the token ids of the questions.
        hyper: `query_length`, `stride_as` and `doc_stride`.
    """
    longest = min(max(map(len, questions), default=0), hyper.query_length)
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
    """Return for each token the window with the most context around it, int32 [tokens] (BERT).

    The score of a window is the smaller number of tokens on either side, plus a hundredth of the
    window's length. Of equal scores the first window wins.
    """
    best, owner = np.full(tokens, -np.inf), np.zeros(tokens, np.int32)
    for window, (first, last) in enumerate(spans):
        position = np.arange(last - first)
        score = np.minimum(position, last - first - 1 - position) + 0.01 * (last - first)
        better = score > best[first:last]
        owner[first:last][better] = window
        best[first:last][better] = score[better]
    return owner


def _tokenize_contexts(tokenizer: Any, contexts: list[str]) -> dict[str, TokenizedContext]:
    """Return the tokens of every distinct context."""
    distinct = list(dict.fromkeys(contexts))
    encoded = tokenizer(
        distinct,
        add_special_tokens=False,
        return_attention_mask=False,
        return_offsets_mapping=True,
    )
    rows = zip(distinct, encoded[INPUT], encoded["offset_mapping"], strict=True)
    return {context: _tokenized_context(context, ids, offsets) for context, ids, offsets in rows}


def _tokenized_context(
    context: str, ids: list[int], offsets: list[tuple[int, int]]
) -> TokenizedContext:
    characters = np.array(offsets, np.int32).reshape(-1, 2)
    begin, stop = characters[:, 0].copy(), characters[:, 1]
    for token in range(len(ids)):
        while begin[token] < stop[token] and context[begin[token]].isspace():
            begin[token] += 1
    return TokenizedContext(ids=np.array(ids, np.int32), begin=begin, stop=stop)


def _token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    encoded = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)
    ids: list[list[int]] = encoded[INPUT]
    return ids


def _answer_tokens(example: dict[str, Any], context: TokenizedContext) -> tuple[int, int] | None:
    """Return the first and the last token of the first gold answer.

    If the tokens at the answer's index spell something else, another occurrence of the answer may
    fit better.

    Returns:
        None if there is no answer, or if it has no token. Also None for a number that no
        occurrence's tokens spell, because half a number would be learned (GluonNLP).
    """
    if not example["answers"] or not len(context.ids):
        return None
    text, (answer, start) = example["context"], example["answers"][0]
    normalized = normalize_answer(answer)
    starts = [start, *reversed([m.start() for m in re.finditer(re.escape(answer), text)])]
    spans = [_overlapping_tokens(context, begin, begin + len(answer)) for begin in starts]
    for first, last in filter(None, spans):
        if normalize_answer(text[context.begin[first] : context.stop[last]]) == normalized:
            return first, last
    return None if _NUMBER.fullmatch(answer) else spans[0]


def _context_words(
    example: dict[str, Any], context: TokenizedContext, answer: tuple[int, int] | None
) -> word_columns.ContextWords:
    """Return the context's words, and which of them the answer with these tokens takes."""
    if answer is None:
        return word_columns.ContextWords(example["context"], context.begin, None)
    gold, first = example["answers"][0][0].strip(), int(context.begin[answer[0]])
    # The answer may begin before its first token, with characters that no token covers.
    start = example["context"].find(gold, max(0, first - len(gold) + 1))
    span = (start, start + len(gold)) if start >= 0 else (first, int(context.stop[answer[1]]))
    return word_columns.ContextWords(example["context"], context.begin, span)


def _overlapping_tokens(context: TokenizedContext, start: int, stop: int) -> tuple[int, int] | None:
    """Return the first and the last token that share a character with this span; None if none does.

    Characters that no token covers, such as white space or accents that the tokenizer strips, do
    not add a neighbouring token. Neither does a token of white space alone, as byte-level BPE has.
    """
    first = int(np.searchsorted(context.stop, start, side="right"))
    last = int(np.searchsorted(context.begin, stop, side="left")) - 1
    while first <= last and context.begin[first] == context.stop[first]:
        first += 1
    while first <= last and context.begin[last] == context.stop[last]:
        last -= 1
    return (first, last) if first <= last else None


ENCODER = Encoder(
    shape=("max_length", "doc_stride", "stride_as", "query_length", "answerable_by"),
    padding=padding_values,
    encode=encode,
    lost="no tokens spell their answer, or their context has none",
    none_left="no example is left to learn from: {skipped}",
)
