"""Answers to questions, from the start and end scores of their windows.

It is apart from `question_answering`, which calls it, to stay small.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..data.columns import ANSWERS, BEGIN, CONTEXT, CONTEXT_START, MAX_CONTEXT, STOP
from ..data.dataset import EncodedDataset
from ..recipes import Hyperparameters
from ..tasks import Task


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A model's answer to one question.

    Attributes:
        texts: answers, the best first; never empty, at worst a single empty text.
        scores: the score of each text: a log-probability, or a sum of a start and an end score.
        null: how much better no answer is than the best one; above a threshold there is none.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    null: float


def span_outputs(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], hyper: Hyperparameters
) -> torch.Tensor:
    """Return the most likely starts and ends of each window, float32 [windows, 1 + 2 n + 2 e n].

    A row is the null score, n starts, their scores, e * n ends, their scores. For the conditional
    head e is n, as it has ends for each start; for the plain head e is 1. The plain head's null
    score is that of the first token as start and end (BERT), the conditional head's is
    log p(no answer) - log p(an answer).

    Args:
        model: a model with a span head.
        batch: the batch without gold answers.
        hyper: `n_best`, or `beam` of the conditional head, is n.
    """
    outputs = model(**batch)
    conditional = hasattr(outputs, "answerable")
    n = hyper.beam if conditional else hyper.n_best
    start_scores, start = best_tokens(outputs.start, outputs.context, n)
    end = outputs.end
    if conditional:
        end = outputs.ends(start.clamp(max=outputs.start.shape[1] - 1))
    end_scores, ends = best_tokens(end, outputs.context, n)
    return span_row(null_score(outputs), start, start_scores, ends, end_scores).float()


def null_score(outputs: Any) -> torch.Tensor:
    """Return how much better no answer is, [windows], see `span_outputs`.

    Args:
        outputs: what a model with a span head returns.
    """
    if hasattr(outputs, "answerable"):
        score: torch.Tensor = outputs.answerable[:, 1] - outputs.answerable[:, 0]
        return score
    no_answer = outputs.nowhere[:, None]
    score = outputs.start.gather(1, no_answer) + outputs.end.gather(1, no_answer)
    return score[:, 0]


def best_tokens(
    scores: torch.Tensor, context: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the highest scores of the context's tokens and their positions.

    Args:
        scores: [windows, tokens] or [windows, starts, tokens].
        context: the tokens that an answer may hold, bool [windows, tokens].
        count: how many; where there are fewer tokens, further scores are -inf.
    """
    allowed = context if scores.dim() == 2 else context[:, None]
    missing = max(0, count - scores.shape[-1])
    scores = functional.pad(
        scores.masked_fill(~allowed, -torch.inf), (0, missing), value=-torch.inf
    )
    top = scores.topk(count, dim=-1)
    return top.values, top.indices


def span_row(
    null: torch.Tensor,
    start: torch.Tensor,
    start_scores: torch.Tensor,
    end: torch.Tensor,
    end_scores: torch.Tensor,
) -> torch.Tensor:
    """Return the rows of `span_outputs` from their parts, in the type of the scores."""
    parts = (null[:, None], start, start_scores, end.flatten(1), end_scores.flatten(1))
    return torch.cat([part.to(start_scores.dtype) for part in parts], 1)


def decode_answers(
    outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
) -> dict[str, Answer]:
    """Return question id -> its answer, the best over all windows of the question.

    Args:
        outputs: of `span_outputs`, a row for each window.
        examples: the split, an example for each window.
        hyper: the trial's configuration.
    """
    answers = {}
    begin, stop, max_context = (examples.values(name) for name in (BEGIN, STOP, MAX_CONTEXT))
    context_start = examples.table.column(CONTEXT_START).to_numpy()
    contexts = examples.table.column(CONTEXT)
    windows = enumerate(examples.ids())
    for identity, group in groupby(windows, key=lambda window: window[1]):
        rows = [row for row, _ in group]
        context: str = contexts[rows[0]].as_py()
        candidates = [
            (score, int(begin[row][first]), int(stop[row][last]))
            for row in rows
            for score, first, last in _candidates(
                outputs[row], context_start[row], max_context[row], hyper
            )
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        best: dict[str, float] = {}
        for score, first, last in candidates:
            if text := context[first:last].strip():
                best.setdefault(text, score)
            if len(best) == hyper.n_best:
                break
        null = min(float(outputs[row][0]) for row in rows)
        if hyper.span_head == "plain":
            null -= max(best.values(), default=0.0)
        best = best or {"": 0.0}
        answers[identity] = Answer(texts=tuple(best), scores=tuple(best.values()), null=null)
    return answers


def gold_answers(examples: EncodedDataset) -> dict[str, tuple[str, ...]]:
    """Return question id -> its gold answers; an empty tuple if it cannot be answered."""
    gold: dict[str, tuple[str, ...]] = {}
    answers = examples.table.column(ANSWERS).to_pylist()
    for identity, texts in zip(examples.ids(), answers, strict=True):
        gold.setdefault(identity, tuple(texts))  # the first window of a question holds them
    return gold


def _candidates(
    row: np.ndarray, context_start: int, max_context: np.ndarray, hyper: Hyperparameters
) -> Iterator[tuple[float, int, int]]:
    """Yield the score and the first and last token of every possible answer in a window.

    The window must be the one with maximum context for the answer's first token, the last token is
    not before the first, and the answer is not too long. A window without tokens of its context has
    no answers.

    Args:
        row: the window's row of `span_outputs`.
        context_start: the position of the context's first token in the window.
        max_context: for each token of the context, whether this window has maximum context for it.
        hyper: the trial's configuration.
    """
    if not len(max_context):
        return
    n = hyper.beam if hyper.span_head == "conditional" else hyper.n_best
    ends = (len(row) - 1 - 2 * n) // 2
    start, start_score, end, end_score = np.split(row[1:], np.cumsum([n, n, ends]))
    score = start_score[:, None] + end_score.reshape(-1, n)
    first = start.astype(int)[:, None] - context_start
    last = np.broadcast_to(end.astype(int).reshape(-1, n) - context_start, score.shape)
    length = last - first + 1
    valid = np.isfinite(score) & (length > 0) & (length <= hyper.answer_length)
    valid &= max_context[np.clip(first, 0, len(max_context) - 1)].astype(bool)
    for start_rank, end_rank in zip(*np.nonzero(valid), strict=True):
        index = start_rank, end_rank
        yield float(score[index]), int(first[start_rank, 0]), int(last[index])


def answer_files(answers: dict[str, Answer], task: Task, hyper: Hyperparameters) -> dict[str, Any]:
    """Return the content of the JSON files that run_squad writes, by name.

    Args:
        answers: question id -> answer.
        task: the task; for one without unanswerable questions there are fewer files.
        hyper: `null_threshold` is used.

    Returns:
        "predictions": question id -> text, empty if the null score is above the threshold.
        "nbest_predictions": question id -> the best answers. Where questions may be unanswerable,
        also "answers", which are never empty, since a search for the best threshold needs them, and
        "null_odds", the null scores.
    """
    best = {identity: answer.texts[0] for identity, answer in answers.items()}
    if not task.unanswerable:
        return {"predictions": best, "nbest_predictions": _nbest(answers)}
    nulls = {identity: answer.null for identity, answer in answers.items()}
    predictions = {
        identity: "" if nulls[identity] > hyper.null_threshold else text
        for identity, text in best.items()
    }
    return {
        "predictions": predictions,
        "nbest_predictions": _nbest(answers),
        "answers": best,
        "null_odds": nulls,
    }


def _nbest(answers: dict[str, Answer]) -> dict[str, list[dict[str, Any]]]:
    """Return each question's answers, the best first, with their probability among them."""
    nbest = {}
    for identity, answer in answers.items():
        weights = np.exp(np.array(answer.scores) - answer.scores[0])
        probabilities = (weights / weights.sum()).tolist()
        pairs = zip(answer.texts, probabilities, strict=True)
        nbest[identity] = [{"text": text, "probability": share} for text, share in pairs]
    return nbest
