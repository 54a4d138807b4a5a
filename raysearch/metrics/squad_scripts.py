"""Scores as SQuAD's own scripts print them, also of predictions that are not of the same questions.

Ours refuse such a file; the scripts of 1.1 and 2.0, MLQA, XQuAD and TyDiQA score it and warn."""

import math
from collections.abc import Mapping

from ..errors import InputError, Problem
from . import squad
from .answer_normalization import Normalizer
from .missing_ids import format_ids, id_mismatch_problems

THRESHOLD = 1.0  # of the script of 2.0 where none is given


def evaluate(
    predictions: Mapping[str, str],
    gold: Mapping[str, tuple[str, ...]],
    *,
    null_scores: Mapping[str, float] | None = None,
    threshold: float | None = None,
    unanswerable: bool,
    normalise: Normalizer = squad.normalize_answer,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the scores, fractions where the scripts print percent, and what they warn of.

    Predictions and null scores of other questions are passed over. A question without a prediction
    counts as wrong in 1.1; in 2.0 it leaves the mean, and the script ends with an error before it
    prints a part or a best threshold, so that there are none of those.

    Args:
        See `squad.evaluate`. Without a threshold null scores above 1.0 are no answer.

    Raises:
        InputError: no question has a prediction in 2.0, or one that has lacks a null score, which
            ends the script as well.
    """
    known = {identity: text for identity, text in predictions.items() if identity in gold}
    given = {identity: answers for identity, answers in gold.items() if identity in known}
    missing = [identity for identity in gold if identity not in known]
    notes = _aliens("predictions", predictions, gold)
    if not unanswerable:
        scores = _first(known, given, len(gold), normalise)
        if missing:
            text = f"{len(missing):,} of {len(gold):,} questions have no prediction and count as 0"
            notes.append(f"{text}: {format_ids(missing)}")
        return scores, tuple(notes)
    if not known:
        text = "no question has one; the official script of 2.0 divides by 0"
        raise InputError("answers", [Problem(location="predictions", text=text)])
    if null_scores is not None:
        notes += _aliens("null scores", null_scores, gold)
        null_scores = {i: null for i, null in null_scores.items() if i in given}
        if lacking := id_mismatch_problems("null score", null_scores, given):
            raise InputError("answers", lacking)
        threshold = THRESHOLD if threshold is None else threshold
    scores = squad.evaluate(
        known, given, null_scores=null_scores, threshold=threshold, unanswerable=True,
        normalise=normalise, part_ties=True,
    )  # fmt: skip
    if missing:
        scores = {name: scores[name] for name in ("exact", "f1")}
        notes.append(_without(missing, scores, len(gold)))
    return {name: 0.0 if math.isinf(x) else x for name, x in scores.items()}, tuple(notes)


def _first(
    known: Mapping[str, str], given: Mapping[str, tuple[str, ...]], questions: int,
    normalise: Normalizer,
) -> dict[str, float]:  # fmt: skip
    """The scores of 1.1 over so many questions, of which some have predictions."""
    if not known:
        return {"exact": 0.0, "f1": 0.0}
    scores = squad.evaluate(known, given, unanswerable=False, normalise=normalise)
    return {name: score * len(known) / questions for name, score in scores.items()}


def _aliens(
    what: str, values: Mapping[str, object], gold: Mapping[str, tuple[str, ...]]
) -> list[str]:
    strange = [identity for identity in values if identity not in gold]
    if not strange:
        return []
    text = f"{len(strange):,} of {len(values):,} {what} are of no question in the data"
    return [f"{text} and are passed over: {format_ids(strange)}"]


def _without(missing: list[str], scores: Mapping[str, float], questions: int) -> str:
    share = 1 - len(missing) / questions
    wrong = ", ".join(f"{name} {100 * score * share:.2f}" for name, score in scores.items())
    return (
        f"{len(missing):,} of {questions:,} questions have no prediction and are left out, as the "
        f"official script of 2.0 leaves them out before it ends with an error at HasAns and NoAns; "
        f"counted as wrong they would make {wrong}: {format_ids(missing)}"
    )
