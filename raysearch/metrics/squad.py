"""Exact match and F1 of answers to questions on a text, as in the evaluators of SQuAD 1.1 and 2.0.

The scores are fractions where the official scripts print percent. They differ from the scripts in
three points, each documented where it occurs: a missing prediction is an error, no threshold lies
between equal null scores, and the search for the best threshold begins below every score instead of
at 0. The module is apart because it works on texts and ids alone, without files.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Problem, unknown_name
from ..tasks.example_ids import format_ids, id_mismatch_problems
from .answer_normalization import Normalizer, normalize_answer, normalizer_of

__all__ = [
    "SCORES",
    "best_threshold_scores",
    "evaluate",
    "normalize_answer",
    "normalizer_of",
    "question_scores",
    "score",
    "version_2_scores",
]

SCORES = (
    "exact",
    "f1",
    "has_answer_exact",
    "has_answer_f1",
    "no_answer_exact",
    "no_answer_f1",
    "best_exact",
    "best_f1",
)
_MEASURES = ("exact", "f1")
_CACHE_SIZE = 1 << 15  # more than the questions of any dev set

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
GoldAnswers = Mapping[str, tuple[str, ...]]


def evaluate(
    predictions: Mapping[str, str],
    gold: GoldAnswers,
    *,
    null_scores: Mapping[str, float] | None = None,
    threshold: float | None = None,
    unanswerable: bool | None = None,
    normalizer: Normalizer = normalize_answer,
    split_ties: bool = False,
) -> dict[str, float]:
    """Return all scores of one file of predictions.

    If every question has an answer, the rules are those of SQuAD 1.1: the scores are "exact" and
    "f1", and null scores do not count. Otherwise the rules are those of SQuAD 2.0. Then
    "has_answer_*" and "no_answer_*" are the scores of the questions with and without an answer,
    left out if there are no such questions. With null scores there are also "best_*" and
    "best_*_threshold", see `best_threshold_scores`. The fixed threshold never changes "best_*", and
    the best threshold never changes "exact" and "f1".

    Args:
        predictions: question -> its best answer; "" means that there is none. With null scores give
            the best answer that is not empty, so that the thresholds have something to choose from.
        gold: question -> its gold answers; an empty tuple for a question that has no answer.
        null_scores: question -> how sure the model is that there is no answer; any numbers but NaN.
        threshold: a prediction counts as "" if the question's null score is above this number. None
            uses predictions as they are. The official script of 2.0 uses 1.0 by default.
        unanswerable: whether the rules are those of 2.0; None derives it from `gold`.
        normalizer: makes answers comparable; `normalizer_of` gives those of MLQA.
        split_ties: see `best_threshold_scores`.

    Returns:
        Name -> score, a fraction; "best_*_threshold" is a null score or -inf.

    Raises:
        InputError: there is nothing to score, a null score is NaN, an id belongs to no question
            (both official scripts ignore it), or a question has no prediction or null score (the
            script of 1.1 counts it as 0, that of 2.0 leaves it out of the mean).
    """
    _check(predictions, gold, null_scores)
    version_2 = not all(gold.values()) if unanswerable is None else unanswerable
    raw = question_scores(predictions, gold, version_2, normalizer)
    if not version_2:
        return {name: float(np.mean(values)) for name, values in raw.items()}
    answerable = np.fromiter(map(bool, gold.values()), bool, len(gold))
    answered = np.fromiter((bool(predictions[identity]) for identity in gold), bool, len(gold))
    if null_scores is None:
        return version_2_scores(raw, answerable, answered)
    null = np.fromiter((null_scores[identity] for identity in gold), float, len(gold))
    rows_by_id = {identity: row for row, identity in enumerate(gold)}
    # If ties are split, the order of the null scores decides how.
    order = np.fromiter((rows_by_id[identity] for identity in null_scores), int, len(gold))
    return version_2_scores(
        raw, answerable, answered, null, threshold, order=order, split_ties=split_ties
    )


def version_2_scores(
    raw: Mapping[str, Floats],
    answerable: Bools,
    answered: Bools,
    null: Floats | None = None,
    threshold: float | None = None,
    *,
    order: NDArray[np.int64] | None = None,
    split_ties: bool = False,
) -> dict[str, float]:
    """Return the scores of version 2.0, see `evaluate`, from what each answer earns.

    Args:
        raw: "exact" and "f1" of each answer as it is, [questions].
        answerable: whether the question has a gold answer, [questions].
        answered: whether the prediction is any text, [questions].
        null: the null scores, [questions].
        threshold: see `evaluate`.
        order: the rows in the order of the file of null scores; None: they are in this order.
        split_ties: see `best_threshold_scores`.
    """
    best: dict[str, float] = {}
    if null is not None:
        order = np.arange(len(null)) if order is None else order
        for name in _MEASURES:
            best[f"best_{name}"], best[f"best_{name}_threshold"] = best_threshold_scores(
                raw[name][order],
                answerable[order],
                answered[order],
                null[order],
                split_ties=split_ties,
            )
        if threshold is not None:
            refused = null > threshold
            raw = {name: np.where(refused, ~answerable, raw[name]) for name in _MEASURES}
    scores = {name: float(np.mean(raw[name])) for name in _MEASURES}
    for part, rows in (("has_answer", answerable), ("no_answer", ~answerable)):
        if rows.any():
            scores |= {f"{part}_{name}": float(np.mean(raw[name][rows])) for name in _MEASURES}
    return scores | best


def best_threshold_scores(
    raw: Floats, answerable: Bools, answered: Bools, null: Floats, *, split_ties: bool = False
) -> tuple[float, float]:
    """Return the best score over all thresholds on the null score, and the lowest such threshold.

    A threshold answers the questions whose null score is not above it. To answer an answerable
    question earns its raw score. To answer an unanswerable one with anything but "" loses the point
    that no answer would earn; as in the official script, this also holds for texts of which
    normalization leaves nothing.

    The official script differs in two points. It also tries thresholds between questions with equal
    null scores, in the order of the file of null scores, so that no real threshold may reach the
    score that it prints. And its search begins with no answer to any question at threshold 0.0,
    which is right only for probabilities; here that threshold is -inf.

    Args:
        raw: exact match or F1 of the predictions as they are, [questions].
        answerable: whether there is a gold answer, [questions].
        answered: whether the prediction is any text, [questions].
        null: null scores, [questions].
        split_ties: whether thresholds between equal null scores count, as in the official script;
            the questions must be in the order of the file of null scores.

    Returns:
        The score, a fraction, and the threshold, a null score or -inf.
    """
    order = np.argsort(null, kind="stable")
    gains = np.where(answerable, raw, -answered.astype(float))[order]
    totals = np.cumsum(np.concatenate([[float(np.sum(~answerable))], gains]))
    thresholds = np.concatenate([[-math.inf], null[order]])
    last_of_ties = np.concatenate([thresholds[:-1] != thresholds[1:], [True]])
    candidates = np.flatnonzero(last_of_ties | split_ties)
    index = candidates[np.argmax(totals[candidates])]
    return float(totals[index] / len(null)), float(thresholds[index])


def score(
    metrics: Sequence[str],
    predictions: Mapping[str, str],
    gold: GoldAnswers,
    *,
    nulls: Mapping[str, float] | None = None,
    threshold: float | None = None,
    unanswerable: bool | None = None,
    language: str | None = None,
) -> dict[str, float]:
    """Return the named metrics of one split.

    If a null score is NaN, every metric has its worst value, 0.0. A metric of a part without
    questions is 0.0 as well.

    Args:
        metrics: names in `SCORES`.
        predictions: see `evaluate`.
        gold: see `evaluate`.
        nulls: the null scores, see `evaluate`.
        threshold: see `evaluate`.
        unanswerable: see `evaluate`; None also takes the rules of 2.0 if a metric needs them.
        language: compares answers as MLQA does in this language; None compares them as SQuAD does.

    Returns:
        Metric -> fraction, in the order of `metrics`.

    Raises:
        InputError: as in `evaluate`; a metric is unknown; a "best_*" metric has no null scores.
    """
    _check_metrics(metrics, nulls)
    if nulls is not None and any(map(math.isnan, nulls.values())):
        return dict.fromkeys(metrics, 0.0)
    if unanswerable is None:
        unanswerable = not all(gold.values()) or not set(metrics) <= set(_MEASURES)
    scores = evaluate(
        predictions,
        gold,
        null_scores=nulls,
        threshold=threshold,
        unanswerable=unanswerable,
        normalizer=normalizer_of(language) if language else normalize_answer,
    )
    return {name: scores.get(name, 0.0) for name in metrics}


def _check_metrics(metrics: Sequence[str], null_scores: Mapping[str, float] | None) -> None:
    problems = [
        Problem(location="metric", text=unknown_name("metric", name, SCORES))
        for name in metrics
        if name not in SCORES
    ]
    if null_scores is None and any(name.startswith("best_") for name in metrics):
        text = "null scores are needed to search for the best threshold"
        problems.append(Problem(location="null scores", text=text))
    if problems:
        raise InputError("scores", problems)


def question_scores(
    predictions: Mapping[str, str], gold: GoldAnswers, version_2: bool, normalizer: Normalizer
) -> dict[str, Floats]:
    """Return exact match and F1 of each question, [questions], with predictions as they are."""
    exact, f1 = np.zeros(len(gold)), np.zeros(len(gold))
    for row, (identity, answers) in enumerate(gold.items()):
        prediction = normalizer(predictions[identity])
        references = _normalized_gold(answers, version_2, normalizer)
        exact[row] = prediction in references
        if prediction and exact[row]:
            f1[row] = 1.0
        elif prediction:
            words = prediction.split()
            f1[row] = max(_word_f1(words, text.split()) for text in references)
        else:  # two empty texts share no word, and only version 2.0 counts them as equal
            f1[row] = exact[row] if version_2 else 0.0
    return {"exact": exact, "f1": f1}


@lru_cache(maxsize=_CACHE_SIZE)
def _normalized_gold(
    answers: tuple[str, ...], version_2: bool, normalizer: Normalizer
) -> tuple[str, ...]:
    """Return the distinct normalized gold answers.

    In version 2.0 answers that normalization leaves empty do not count; if no others remain, the
    answer is "".
    """
    texts = tuple(dict.fromkeys(normalizer(answer) for answer in answers))
    return tuple(filter(None, texts)) or ("",) if version_2 else texts


def _word_f1(predicted: list[str], gold: list[str]) -> float:
    """Return the F1 of two bags of words."""
    if not set(predicted) & set(gold):
        return 0.0
    common = (Counter(predicted) & Counter(gold)).total()
    return 2 * common / (len(predicted) + len(gold))


def _check(
    predictions: Mapping[str, str], gold: GoldAnswers, null_scores: Mapping[str, float] | None
) -> None:
    if not gold:
        text = "no questions; there is nothing to score"
        raise InputError("answers", [Problem(location="gold", text=text)])
    problems = id_mismatch_problems("prediction", predictions, gold)
    if null_scores is not None:
        problems += id_mismatch_problems("null score", null_scores, gold)
        if nan_ids := [identity for identity, null in null_scores.items() if math.isnan(null)]:
            problems.append(Problem(location="null scores", text=f"nan for {format_ids(nan_ids)}"))
    if problems:
        raise InputError("answers", problems)
