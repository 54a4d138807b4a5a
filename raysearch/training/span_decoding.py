"""Answers from the scores of spans: the best of all windows of a question. Arrays, not models."""

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
    """What a model says to one question.

    Attributes:
        texts: answers, the best first; never empty, at worst an empty text.
        scores: of each, log-probabilities or sums of two scores.
        null: how much better no answer is than the best one; above a threshold there is none.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    null: float


def span_outputs(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], hyper: Hyperparameters
) -> torch.Tensor:
    """The most likely starts and ends of each window, float32 [windows, 1 + 2 n + 2 e n].

    A row is the null score, n starts, their scores, e times n ends, their scores; e is n for the
    conditional head, which has ends for each start, and 1 for the plain one. The plain head's null
    score is that of the first token as start and end (BERT), the conditional head's
    log p(no answer) - log p(an answer).
    """
    said = model(**batch)
    conditional = hasattr(said, "answerable")
    most = hyper.beam if conditional else hyper.n_best
    short = max(0, most - said.start.shape[1])

    def best(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        context = said.context if scores.dim() == 2 else said.context[:, None]
        scores = scores.masked_fill(~context, -torch.inf)
        return functional.pad(scores, (0, short), value=-torch.inf).topk(most, dim=-1)

    scores, begin = best(said.start)
    if conditional:
        null = said.answerable[:, 1] - said.answerable[:, 0]
        end_scores, end = best(said.ends(begin.clamp(max=said.start.shape[1] - 1)))
    else:
        places = said.nowhere[:, None]
        null = (said.start.gather(1, places) + said.end.gather(1, places))[:, 0]
        end_scores, end = best(said.end)
    parts = (null[:, None], begin, scores, end.flatten(1), end_scores.flatten(1))
    return torch.cat([part.float() for part in parts], 1)


def decode_answers(
    outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
) -> dict[str, Answer]:
    """Question -> its answer, from what `spans` gave for every window."""
    found = {}
    begin, stop, owned = (examples.values(name) for name in (BEGIN, STOP, MAX_CONTEXT))
    at = examples.table.column(CONTEXT_START).to_numpy()
    contexts = examples.table.column(CONTEXT)
    windows = enumerate(examples.ids())
    for identity, group in groupby(windows, key=lambda window: window[1]):
        rows = [row for row, _ in group]
        context = contexts[rows[0]].as_py()
        candidates = [
            (score, int(begin[row][first]), int(stop[row][last]))
            for row in rows
            for score, first, last in _candidates(outputs[row], at[row], owned[row], hyper)
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
        found[identity] = Answer(texts=tuple(best), scores=tuple(best.values()), null=null)
    return found


def gold_answers(examples: EncodedDataset) -> dict[str, tuple[str, ...]]:
    """Question -> its gold answers, none where it cannot be answered."""
    found: dict[str, tuple[str, ...]] = {}
    answers = examples.table.column(ANSWERS).to_pylist()
    for identity, given in zip(examples.ids(), answers, strict=True):
        found.setdefault(identity, tuple(given))  # the first window of a question holds them
    return found


def _candidates(
    row: np.ndarray, at: int, owned: np.ndarray, hyper: Hyperparameters
) -> Iterator[tuple[float, int, int]]:
    """Scores and places in the window's context of every answer that may be: its first token is
    the window's own, its last not before, and it is not too long. A window that shows no token of
    its context has none."""
    if not len(owned):
        return
    n = hyper.beam if hyper.span_head == "conditional" else hyper.n_best
    ends = (len(row) - 1 - 2 * n) // 2
    first, first_score, last, last_score = np.split(row[1:], np.cumsum([n, n, ends]))
    score = first_score[:, None] + last_score.reshape(-1, n)
    known = np.isfinite(score)
    begin = first.astype(int)[:, None] - at
    end = np.broadcast_to(last.astype(int).reshape(-1, n) - at, score.shape)
    length = end - begin + 1
    fits = known & (length > 0) & (length <= hyper.answer_length)
    fits &= owned[np.clip(begin, 0, len(owned) - 1)].astype(bool)
    for one, two in zip(*np.nonzero(fits), strict=True):
        yield float(score[one, two]), int(begin[one, 0]), int(end[one, two])


def answer_files(found: dict[str, Answer], task: Task, hyper: Hyperparameters) -> dict[str, Any]:
    """What goes into the JSON files of run_squad, by name.

    "predictions" are empty where the null score is above the study's threshold; "answers" never
    are, as a search for the best threshold needs them; "null_odds" are the null scores.
    """
    answers = {identity: answer.texts[0] for identity, answer in found.items()}
    if not task.unanswerable:
        return {"predictions": answers, "nbest_predictions": _nbest(found)}
    nulls = {identity: answer.null for identity, answer in found.items()}
    chosen = {i: "" if nulls[i] > hyper.null_threshold else text for i, text in answers.items()}
    return {
        "predictions": chosen,
        "nbest_predictions": _nbest(found),
        "answers": answers,
        "null_odds": nulls,
    }


def _nbest(found: dict[str, Answer]) -> dict[str, list[dict[str, Any]]]:
    """Every question's answers, the best first, with their share of probability among them."""
    best = {}
    for identity, answer in found.items():
        weights = np.exp(np.array(answer.scores) - answer.scores[0])
        shares = (weights / weights.sum()).tolist()
        pairs = zip(answer.texts, shares, strict=True)
        best[identity] = [{"text": text, "probability": share} for text, share in pairs]
    return best
