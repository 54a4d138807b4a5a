"""Scores as SQuAD's own scripts print them, also for predictions of other questions.

It is apart from `squad`, which refuses such predictions: the scripts of 1.1, 2.0, MLQA, XQuAD and
TyDiQA score them and warn.
"""

import math
from collections.abc import Mapping

from ..errors import InputError, Problem
from ..tasks.example_ids import format_ids, id_mismatch_problems
from . import squad
from .answer_normalization import Normalizer

THRESHOLD = 1.0  # the default of the script of 2.0


def evaluate(
    predictions: Mapping[str, str],
    gold: squad.GoldAnswers,
    *,
    null_scores: Mapping[str, float] | None = None,
    threshold: float | None = None,
    unanswerable: bool,
    normalizer: Normalizer = squad.normalize_answer,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the scores that the official script prints, and its warnings.

    Predictions and null scores of other questions are ignored. A question without a prediction
    counts as wrong in 1.1. In 2.0 it is left out of the mean, and the script ends with an error
    before it prints the scores of a part or a best threshold; these are then absent.

    Args:
        predictions: see `squad.evaluate`.
        gold: see `squad.evaluate`.
        null_scores: see `squad.evaluate`.
        threshold: see `squad.evaluate`; None is 1.0 if there are null scores.
        unanswerable: whether the script is that of 2.0.
        normalizer: see `squad.evaluate`.

    Returns:
        Name -> score, a fraction where the scripts print percent; and the warnings.

    Raises:
        InputError: in 2.0 no question has a prediction, or a question with a prediction has no null
            score; the script ends with an error as well.
    """
    known = {identity: text for identity, text in predictions.items() if identity in gold}
    predicted = {identity: answers for identity, answers in gold.items() if identity in known}
    missing = [identity for identity in gold if identity not in known]
    notes = _unknown_id_notes("predictions", predictions, gold)
    if not unanswerable:
        scores = _version_1_scores(known, predicted, len(gold), normalizer)
        if missing:
            text = f"{len(missing):,} of {len(gold):,} questions have no prediction and count as 0"
            notes.append(f"{text}: {format_ids(missing)}")
        return scores, tuple(notes)
    if null_scores is not None:
        notes += _unknown_id_notes("null scores", null_scores, gold)
    scores = _version_2_scores(known, predicted, null_scores, threshold, normalizer)
    if missing:
        scores = {name: scores[name] for name in ("exact", "f1")}
        notes.append(_missing_note(missing, scores, len(gold)))
    return scores, tuple(notes)


def _version_1_scores(
    known: Mapping[str, str],
    predicted: squad.GoldAnswers,
    questions: int,
    normalizer: Normalizer,
) -> dict[str, float]:
    """Return the scores of 1.1.

    Args:
        known: question -> its prediction.
        predicted: question -> its gold answers, for the questions in `known`.
        questions: the number of all questions; those without a prediction count as wrong.
        normalizer: makes answers comparable.
    """
    if not known:
        return {"exact": 0.0, "f1": 0.0}
    scores = squad.evaluate(known, predicted, unanswerable=False, normalizer=normalizer)
    return {name: score * len(known) / questions for name, score in scores.items()}


def _version_2_scores(
    known: Mapping[str, str],
    predicted: squad.GoldAnswers,
    null_scores: Mapping[str, float] | None,
    threshold: float | None,
    normalizer: Normalizer,
) -> dict[str, float]:
    """Return the scores of 2.0 over the questions with a prediction; -inf thresholds are 0.0."""
    if not known:
        text = "no question has one; the official script of 2.0 divides by 0"
        raise InputError("answers", [Problem(location="predictions", text=text)])
    if null_scores is not None:
        null_scores = {i: null for i, null in null_scores.items() if i in predicted}
        if problems := id_mismatch_problems("null score", null_scores, predicted):
            raise InputError("answers", problems)
        threshold = THRESHOLD if threshold is None else threshold
    scores = squad.evaluate(
        known,
        predicted,
        null_scores=null_scores,
        threshold=threshold,
        unanswerable=True,
        normalizer=normalizer,
        split_ties=True,
    )
    return {name: 0.0 if math.isinf(x) else x for name, x in scores.items()}


def _unknown_id_notes(
    kind: str, values: Mapping[str, object], gold: squad.GoldAnswers
) -> list[str]:
    unknown = [identity for identity in values if identity not in gold]
    if not unknown:
        return []
    text = f"{len(unknown):,} of {len(values):,} {kind} are of no question in the data"
    return [f"{text} and are ignored: {format_ids(unknown)}"]


def _missing_note(missing: list[str], scores: Mapping[str, float], questions: int) -> str:
    share = 1 - len(missing) / questions
    as_wrong = ", ".join(f"{name} {100 * score * share:.2f}" for name, score in scores.items())
    return (
        f"{len(missing):,} of {questions:,} questions have no prediction and are left out, as in "
        f"the official script of 2.0, which then ends with an error before it prints HasAns and "
        f"NoAns; if they counted as wrong, the scores would be {as_wrong}: {format_ids(missing)}"
    )
