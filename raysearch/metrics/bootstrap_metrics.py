"""Metrics of resampled examples: one score for each draw of a bootstrap, for all draws at once.

A draw gives every example a weight, the number of times that it was drawn. With all weights at 1 a
measure equals the plain metric. It is apart from the plain metrics, which stay as short as their
formulas.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import classification, masked_lm, squad, token_classification
from .classification import METRICS, all_in_group, centered, group_numbers

Floats = NDArray[np.float64]
Measure = Callable[[Floats], Floats]  # weights [draws, examples] -> scores [draws]


def classification_measure(
    metric: str, predictions: ArrayLike, gold: ArrayLike, groups: Sequence[str] | None = None
) -> Measure:
    """Return the measure of a metric of class ids or numbers.

    Args:
        metric: a name in `classification.METRICS`.
        predictions: class ids or numbers, [examples].
        gold: the labels, [examples].
        groups: the name of each example's group, for metrics of groups; a draw gives the examples
            of a group the same weight.

    Raises:
        InputError: see `classification.score`.
    """
    predicted, true = np.asarray(predictions), np.asarray(gold)
    classification.check([metric], predicted, true)
    if not np.isfinite(predicted).all():
        worst = METRICS[metric].worst
        return lambda weights: np.full(len(weights), worst)
    if metric == "pearson_spearman":
        parts = [classification_measure(name, predicted, true) for name in ("pearson", "spearman")]
        return lambda weights: (parts[0](weights) + parts[1](weights)) / 2
    if METRICS[metric].of_groups:
        assert groups is not None, "a metric of groups for examples without any"
        return _GROUPS[metric](predicted, true, group_numbers(groups))
    return _CLASSIFICATION[metric](predicted, true)


def tag_measure(
    metric: str,
    predictions: token_classification.Tags,
    gold: token_classification.Tags,
    labels: Sequence[str],
) -> Measure:
    """Return the measure of a metric of words' tags; an example is a sentence, in gold's order.

    Args:
        metric: a name in `token_classification.SCORES`.
        predictions: sentence -> the tag id of each word.
        gold: sentence -> the tag id of each word.
        labels: the names of the tags.

    Raises:
        InputError: see `token_classification.score`.
    """
    token_classification.check([metric], predictions, gold, labels)
    rows = [predictions[identity] for identity in gold]
    if metric == "token_accuracy":
        hits = [np.sum(np.equal(p, t)) for p, t in zip(rows, gold.values(), strict=True)]
        return _ratio(np.array(hits, float), np.array([len(t) for t in gold.values()], float))
    correct, predicted, true = token_classification.chunk_counts(rows, [*gold.values()], labels)
    return _ratio(2 * correct, predicted + true)


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerPoints:
    """What the answers to questions earn, each an array [questions].

    Attributes:
        exact: exact match of each answer.
        f1: F1 of each answer.
        answerable: whether the question has an answer.
        answered: whether the prediction is any text.
        null: null scores; None where the task has no unanswerable questions.
    """

    exact: Floats
    f1: Floats
    answerable: squad.Bools
    answered: squad.Bools
    null: Floats | None = None

    @classmethod
    def of(
        cls,
        predictions: Mapping[str, str],
        gold: squad.GoldAnswers,
        *,
        nulls: Mapping[str, float] | None = None,
        unanswerable: bool = False,
        language: str | None = None,
    ) -> Self:
        """Return the points of answers; the arguments are those of `squad.score`."""
        normalizer = squad.normalizer_of(language) if language else squad.normalize_answer
        points = squad.question_scores(predictions, gold, unanswerable, normalizer)
        return cls(
            exact=points["exact"],
            f1=points["f1"],
            answerable=np.fromiter(map(bool, gold.values()), bool, len(gold)),
            answered=np.fromiter((bool(predictions[i]) for i in gold), bool, len(gold)),
            null=None if nulls is None else np.array([nulls[i] for i in gold], np.float64),
        )


def answer_measure(
    metric: str, points: AnswerPoints, *, threshold: float | None = None, unanswerable: bool = False
) -> Measure:
    """Return the measure of a metric of answers; an example is a question.

    Args:
        metric: a name in `squad.SCORES`. "best_*" searches the best threshold anew in every draw.
        points: of the answers.
        threshold: a prediction counts as no answer if its null score is above this number.
        unanswerable: whether the rules are those of SQuAD 2.0.
    """
    if metric.startswith("best_"):
        assert points.null is not None, "null scores are needed to search for the best threshold"
        earned = points.exact if metric.endswith("exact") else points.f1
        return _best_threshold(earned, points.answerable, points.answered, points.null)
    earned = earned_points(metric, points, threshold=threshold, unanswerable=unanswerable)
    counted = np.ones(len(earned))
    if metric.startswith("has_answer"):
        counted = points.answerable.astype(float)
    elif metric.startswith("no_answer"):
        counted = (~points.answerable).astype(float)
    return _ratio(earned * counted, counted)


def earned_points(
    metric: str, points: AnswerPoints, *, threshold: float | None = None, unanswerable: bool = False
) -> Floats:
    """Return what each answer earns by a metric without "best_", [questions].

    The arguments are those of `answer_measure`.
    """
    earned = points.exact if metric.endswith("exact") else points.f1
    if unanswerable and points.null is not None and threshold is not None:
        earned = np.where(points.null > threshold, ~points.answerable, earned)
    return earned


def masked_lm_measure(metric: str, sums: NDArray[np.floating]) -> Measure:
    """Return the measure of a metric of masked tokens; an example is a block of text.

    Args:
        metric: a name in `masked_lm.SCORES`.
        sums: see `masked_lm.score`, [blocks, 3].
    """
    likelihood, correct, count = sums.astype(np.float64).T
    if metric == masked_lm.SCORES[1]:
        return _ratio(correct, count)
    mean = _ratio(likelihood, count)

    def measure(weights: Floats) -> Floats:
        likelihoods: Floats = np.exp(mean(weights))
        return likelihoods

    return measure


def _ratio(numerator: Floats, denominator: Floats) -> Measure:
    """Return the ratio of two weighted sums over examples; 0 where the lower one is 0."""
    columns = np.stack([numerator, denominator], 1)

    def measure(weights: Floats) -> Floats:
        above, below = (weights @ columns).T
        ratio: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        return ratio

    return measure


def _accuracy(predictions: Floats, gold: Floats) -> Measure:
    return _ratio((predictions == gold).astype(float), np.ones(len(gold)))


def _f1(predictions: Floats, gold: Floats) -> Measure:
    predicted, positive = predictions == 1, gold == 1
    return _ratio(2.0 * (predicted & positive), predicted.astype(float) + positive)


def _macro_f1(predictions: Floats, gold: Floats) -> Measure:
    classes = np.union1d(predictions, gold)
    predicted = (predictions[:, None] == classes).astype(float)
    true = (gold[:, None] == classes).astype(float)

    def measure(weights: Floats) -> Floats:
        hits, sizes = weights @ (predicted * true), weights @ (predicted + true)
        scores = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
        mean: Floats = scores.sum(1) / np.maximum(1, (sizes > 0).sum(1))
        return mean

    return measure


def _question_exact(predictions: Floats, gold: Floats, groups: NDArray[np.int64]) -> Measure:
    return _share_of_groups(all_in_group(predictions == gold, groups), groups)


def _gender_parity(predictions: Floats, gold: Floats, groups: NDArray[np.int64]) -> Measure:
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    same = all_in_group(predictions == predictions[first][members], groups)
    return _share_of_groups(same, groups)


def _share_of_groups(flags: NDArray[np.bool_], groups: NDArray[np.int64]) -> Measure:
    """Return the share of flagged groups, each with the weight of its first example."""
    _, first = np.unique(groups, return_index=True)
    counted = np.zeros(len(groups))
    counted[first] = 1.0
    flagged = np.zeros(len(groups))
    flagged[first] = flags
    return _ratio(flagged, counted)


def _mcc(predictions: Floats, gold: Floats) -> Measure:
    """Return Gorodkin's correlation from weighted counts of each predicted and true class."""
    classes = np.unique(np.concatenate([predictions, gold]))
    predicted = (predictions[:, None] == classes).astype(float)
    true = (gold[:, None] == classes).astype(float)
    correct = (predictions == gold).astype(float)

    def measure(weights: Floats) -> Floats:
        n, hits = weights.sum(1), weights @ correct
        p, t = weights @ predicted, weights @ true
        product = (n**2 - (p * p).sum(1)) * (n**2 - (t * t).sum(1))
        covariance = hits * n - (p * t).sum(1)
        return _correlation(covariance, product)

    return measure


def _pearson(predictions: Floats, gold: Floats) -> Measure:
    x, y = centered(predictions), centered(gold)
    columns = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], 1)

    def measure(weights: Floats) -> Floats:
        n, sx, sy, xx, yy, xy = (weights @ columns).T
        return _correlation(xy * n - sx * sy, (xx * n - sx * sx) * (yy * n - sy * sy))

    return measure


def _spearman(predictions: Floats, gold: Floats) -> Measure:
    """Return Pearson's correlation of weighted mid-ranks, which every draw has of its own."""
    ranks = _WeightedRanks(predictions), _WeightedRanks(gold)

    def measure(weights: Floats) -> Floats:
        n = weights.sum(1)
        x, y = (rank(weights) - (n[:, None] + 1) / 2 for rank in ranks)
        covariance = np.einsum("de,de,de->d", weights, x, y)
        squares = [np.einsum("de,de,de->d", weights, z, z) for z in (x, y)]
        return _correlation(covariance, squares[0] * squares[1])

    return measure


class _WeightedRanks:
    """The mid-ranks of examples that are repeated by their weights."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
        self._group, self._ends = group, np.cumsum(counts)

    def __call__(self, weights: Floats) -> Floats:
        """Return the ranks, from 1, [draws, examples]."""
        totals = np.cumsum(weights[:, self._order], axis=1)[:, self._ends - 1]
        sizes = np.diff(totals, axis=1, prepend=0.0)
        ranks: Floats = (totals - (sizes - 1) / 2)[:, self._group]
        return ranks


def _best_threshold(
    points: Floats, answerable: squad.Bools, answered: squad.Bools, null: Floats
) -> Measure:
    """Return the best score over all thresholds, see `squad.best_threshold_scores`."""
    order = np.argsort(null, kind="stable")
    gains = np.where(answerable, points, -answered.astype(float))[order]
    ends = np.append(null[order][1:] != null[order][:-1], True)

    def measure(weights: Floats) -> Floats:
        none = weights @ (~answerable).astype(float)
        totals = np.cumsum(weights[:, order] * gains, axis=1)[:, ends]
        best: Floats = (none + np.maximum(totals.max(axis=1), 0.0)) / weights.sum(1)
        return best

    return measure


def _correlation(covariance: Floats, product: Floats) -> Floats:
    """Return covariance / sqrt(product) within [-1, 1]; 0 where a side is constant."""
    defined = product > 1e-9 * product.max(initial=0.0)
    root = np.sqrt(np.where(defined, product, 1.0))
    return np.where(defined, np.clip(covariance / root, -1, 1), 0.0)


_CLASSIFICATION: dict[str, Callable[[Floats, Floats], Measure]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "macro_f1": _macro_f1,
    "mcc": _mcc,
    "pearson": _pearson,
    "spearman": _spearman,
}
_GROUPS: dict[str, Callable[[Floats, Floats, NDArray[np.int64]], Measure]] = {
    "question_exact": _question_exact,
    "gender_parity": _gender_parity,
}
