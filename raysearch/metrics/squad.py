"""Exact match and F1 of answers to questions on a text, by the official evaluators of SQuAD 1.1 and
2.0. Knows texts and ids, no files.

Fractions where the official scripts print percent. Ours differ from them in three things, each said
where it is done: a missing prediction is an error, no threshold parts equal null scores, and the
search for the best threshold begins below every score instead of at 0.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Problem, unknown_name
from .answer_normalization import Normalizer, normalize_answer, normalizer_of
from .missing_ids import format_ids, id_mismatch_problems

__all__ = [
    "SCORES",
    "best_threshold_scores",
    "evaluate",
    "normalize_answer",
    "normalizer_of",
    "score",
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
_CACHED = 1 << 15  # more than the questions of any dev set

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def evaluate(
    predictions: Mapping[str, str],
    gold: Mapping[str, tuple[str, ...]],
    *,
    null_scores: Mapping[str, float] | None = None,
    threshold: float | None = None,
    unanswerable: bool | None = None,
    normalise: Normalizer = normalize_answer,
    part_ties: bool = False,
) -> dict[str, float]:
    """All scores of one file of predictions.

    Where every question has an answer these are the rules of version 1.1, "exact" and "f1", and
    null scores do not count. Otherwise those of version 2.0, of which "has_answer_*" and
    "no_answer_*" are parts (left out where there are no such questions), and with null scores
    "best_*" and "best_*_threshold", see `best`. The fixed threshold never enters those, and the
    best one never "exact" and "f1".

    Args:
        predictions: question -> its best answer; "" says that there is none. With null scores the
            best answer that is not empty, or the thresholds have nothing to choose from.
        gold: question -> its gold answers; none for a question that has no answer.
        null_scores: question -> how sure the model is that there is no answer; any numbers but NaN.
        threshold: a question's prediction is taken as "" where its null score is above; None takes
            predictions as they are. The official script of 2.0 uses 1.0 if not told otherwise.
        unanswerable: whether the rules are those of 2.0; None tells it from `gold`.
        normalise: makes texts comparable; MLQA's is `of_language`.
        part_ties: see `best`.

    Raises:
        InputError: nothing to score, or questions without a prediction or null score (the script of
            1.1 counts those as 0, that of 2.0 leaves them out of the mean), or ids that no question
            has (both ignore them), or a NaN.
    """
    _check(predictions, gold, null_scores)
    second = not all(gold.values()) if unanswerable is None else unanswerable
    raw = _raw(predictions, gold, second, normalise)
    if not second:
        return {name: float(np.mean(values)) for name, values in raw.items()}
    return _second(raw, predictions, gold, null_scores, threshold, part_ties)


def _second(
    raw: dict[str, Floats],
    predictions: Mapping[str, str],
    gold: Mapping[str, tuple[str, ...]],
    null_scores: Mapping[str, float] | None,
    threshold: float | None,
    part_ties: bool,
) -> dict[str, float]:
    """The scores of version 2.0, from those of each question."""
    answerable = np.fromiter(map(bool, gold.values()), bool, len(gold))
    said = np.fromiter((bool(predictions[identity]) for identity in gold), bool, len(gold))
    bests: dict[str, float] = {}
    if null_scores is not None:
        null = np.fromiter((null_scores[identity] for identity in gold), float, len(gold))
        places = {identity: row for row, identity in enumerate(gold)}
        # Where ties are parted, the order of the null scores tells how.
        order = np.fromiter((places[identity] for identity in null_scores), int, len(gold))
        for name in _MEASURES:
            columns = (values[order] for values in (raw[name], answerable, said, null))
            found = best_threshold_scores(*columns, part_ties=part_ties)
            bests[f"best_{name}"], bests[f"best_{name}_threshold"] = found
        if threshold is not None:
            silent = null > threshold
            raw = {name: np.where(silent, ~answerable, raw[name]) for name in _MEASURES}
    scores = {name: float(np.mean(raw[name])) for name in _MEASURES}
    for part, rows in (("has_answer", answerable), ("no_answer", ~answerable)):
        if rows.any():
            scores |= {f"{part}_{name}": float(np.mean(raw[name][rows])) for name in _MEASURES}
    return scores | bests


def best_threshold_scores(
    raw: Floats, answerable: Bools, said: Bools, null: Floats, *, part_ties: bool = False
) -> tuple[float, float]:
    """The best score over all thresholds on the null score, and the lowest threshold that has it.

    A threshold answers the questions whose null score is not above it. Answering an answerable one
    earns its raw score, answering an unanswerable one with anything but "" loses the point for
    silence; this holds, as in the official script, for texts that normalise to nothing too.

    The script also takes thresholds between questions of equal null scores, which it visits in the
    order of the file of null scores, so that what it reports may be out of reach; `part_ties` does
    so, with the questions in that order. And it begins
    with silence to everything at threshold 0.0, which is right for probabilities alone: here that
    is -inf.

    Args:
        raw: exact match or F1 of the predictions as they are, [questions].
        answerable: whether there is a gold answer, [questions].
        said: whether the prediction is any text, [questions].
        null: null scores, [questions].

    Returns:
        A fraction, and a null score or -inf.
    """
    order = np.argsort(null, kind="stable")
    gains = np.where(answerable, raw, -said.astype(float))[order]
    ranked = null[order]
    totals = np.cumsum(np.concatenate([[float(np.sum(~answerable))], gains]))
    thresholds = np.concatenate([[-math.inf], ranked])
    last = np.concatenate([thresholds[:-1] != thresholds[1:], [True]])
    reached = np.flatnonzero(last | part_ties)
    at = reached[np.argmax(totals[reached])]
    return float(totals[at] / len(null)), float(thresholds[at])


def score(
    metrics: Sequence[str],
    predictions: Mapping[str, str],
    gold: Mapping[str, tuple[str, ...]],
    *,
    nulls: Mapping[str, float] | None = None,
    threshold: float | None = None,
    unanswerable: bool | None = None,
    language: str | None = None,
) -> dict[str, float]:
    """Every named metric of one split, in the order given.

    Null scores that are NaN give each metric's worst value, 0.0; so has a part that no question
    belongs to. The other arguments are those of `evaluate`.

    Args:
        metrics: of `SCORES`.
        language: compares answers as MLQA does in this language; None as SQuAD does.

    Raises:
        InputError: as of `evaluate`; an unknown metric; a best one without null scores.
    """
    problems = [
        Problem(location="metric", text=unknown_name("metric", name, SCORES))
        for name in metrics
        if name not in SCORES
    ]
    if nulls is None and any(name.startswith("best_") for name in metrics):
        text = "null scores are needed to search for the best threshold"
        problems.append(Problem(location="null scores", text=text))
    if problems:
        raise InputError("scores", problems)
    if nulls is not None and any(map(math.isnan, nulls.values())):
        return dict.fromkeys(metrics, 0.0)
    if unanswerable is None:
        unanswerable = not all(gold.values()) or not set(metrics) <= set(_MEASURES)
    found = evaluate(
        predictions,
        gold,
        null_scores=nulls,
        threshold=threshold,
        unanswerable=unanswerable,
        normalise=normalizer_of(language) if language else normalize_answer,
    )
    return {name: found.get(name, 0.0) for name in metrics}


def _raw(
    predictions: Mapping[str, str],
    gold: Mapping[str, tuple[str, ...]],
    second: bool,
    normalise: Normalizer,
) -> dict[str, Floats]:
    """Exact match and F1 of each question, predictions taken as they are."""
    exact, f1 = np.zeros(len(gold)), np.zeros(len(gold))
    for row, (identity, answers) in enumerate(gold.items()):
        said = normalise(predictions[identity])
        wanted = _gold(answers, second, normalise)
        exact[row] = said in wanted
        if said and exact[row]:
            f1[row] = 1.0
        elif said:
            tokens = said.split()
            f1[row] = max(_overlap(tokens, text.split()) for text in wanted)
        else:  # two empty texts have no word in common, which only version 2.0 forgives
            f1[row] = exact[row] if second else 0.0
    return {"exact": exact, "f1": f1}


@lru_cache(maxsize=_CACHED)
def _gold(answers: tuple[str, ...], second: bool, normalise: Normalizer) -> tuple[str, ...]:
    """Gold answers made comparable. In version 2.0 those of which nothing is left do not count,
    and where none is left the answer is ""."""
    texts = tuple(dict.fromkeys(normalise(answer) for answer in answers))
    return tuple(filter(None, texts)) or ("",) if second else texts


def _overlap(said: list[str], wanted: list[str]) -> float:
    """F1 of two bags of words."""
    if not set(said) & set(wanted):
        return 0.0
    common = (Counter(said) & Counter(wanted)).total()
    return 2 * common / (len(said) + len(wanted))


def _check(
    predictions: Mapping[str, str],
    gold: Mapping[str, tuple[str, ...]],
    null_scores: Mapping[str, float] | None,
) -> None:
    if not gold:
        text = "no questions; there is nothing to score"
        raise InputError("answers", [Problem(location="gold", text=text)])
    problems = id_mismatch_problems("prediction", predictions, gold)
    if null_scores is not None:
        problems += id_mismatch_problems("null score", null_scores, gold)
        if broken := [identity for identity, null in null_scores.items() if math.isnan(null)]:
            problems.append(Problem(location="null scores", text=f"nan for {format_ids(broken)}"))
    if problems:
        raise InputError("answers", problems)
