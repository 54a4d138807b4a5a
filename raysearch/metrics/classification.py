"""Scores of class ids and of numbers, as fractions. Knows arrays, not tasks, models or devices.

Every metric is better when larger and finite whatever the predictions are: where its formula
divides by zero (constant predictions or constant gold) it is 0.0, and predictions that are not
finite get the metric's worst value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, Problem, unknown_name

Array = NDArray[np.float64] | NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measure and its worst possible value; larger is always better.

    Attributes:
        measure: (predictions, gold), equally long and finite -> a fraction.
        worst: what a diverged trial gets.
    """

    measure: Callable[[Array, Array], float]
    worst: float = 0.0


def accuracy(predictions: Array, gold: Array) -> float:
    """Share of predictions that equal gold."""
    return float(np.mean(predictions == gold))


def f1(predictions: Array, gold: Array) -> float:
    """F1 of class 1: 2 tp / (2 tp + fp + fn)."""
    predicted, positive = predictions == 1, gold == 1
    either = int(predicted.sum()) + int(positive.sum())
    return 2 * int((predicted & positive).sum()) / either if either else 0.0


def mcc(predictions: Array, gold: Array) -> float:
    """Matthews correlation, for any number of classes (Gorodkin, 2004)."""
    _, codes = np.unique(np.concatenate([predictions, gold]), return_inverse=True)
    predicted, true = codes[: len(predictions)], codes[len(predictions) :]
    size = int(codes.max()) + 1
    p = np.bincount(predicted, minlength=size).astype(np.float64)
    t = np.bincount(true, minlength=size).astype(np.float64)
    n, hits = float(len(true)), float((predicted == true).sum())
    spread = (n * n - p @ p) * (n * n - t @ t)
    return float(np.clip((hits * n - p @ t) / np.sqrt(spread), -1, 1)) if spread > 0 else 0.0


def pearson(predictions: Array, gold: Array) -> float:
    """Pearson's linear correlation."""
    one, two = _centred(predictions), _centred(gold)
    length = np.sqrt((one @ one) * (two @ two))
    return float(np.clip(one @ two / length, -1, 1)) if length > 0 else 0.0


def spearman(predictions: Array, gold: Array) -> float:
    """Spearman's rank correlation; ties get their average rank."""
    return pearson(_ranks(predictions), _ranks(gold))


def pearson_spearman(predictions: Array, gold: Array) -> float:
    """Mean of Pearson's and Spearman's correlation, by which STS-B is selected."""
    return (pearson(predictions, gold) + spearman(predictions, gold)) / 2


def acc_f1(predictions: Array, gold: Array) -> float:
    """Mean of accuracy and F1."""
    return (accuracy(predictions, gold) + f1(predictions, gold)) / 2


METRICS: dict[str, Metric] = {
    "accuracy": Metric(measure=accuracy),
    "f1": Metric(measure=f1),
    "mcc": Metric(measure=mcc, worst=-1.0),
    "pearson": Metric(measure=pearson, worst=-1.0),
    "spearman": Metric(measure=spearman, worst=-1.0),
    "pearson_spearman": Metric(measure=pearson_spearman, worst=-1.0),
    "acc_f1": Metric(measure=acc_f1),
}


def score(metrics: Sequence[str], predictions: ArrayLike, gold: ArrayLike) -> dict[str, float]:
    """Every named metric of one split, in the order given.

    Args:
        predictions: class ids or numbers, [examples].
        gold: the same of the labels, [examples].

    Raises:
        InputError: an unknown metric, nothing to score, lengths that differ, gold that is not
            finite.
    """
    predicted, true = np.asarray(predictions), np.asarray(gold)
    _check(metrics, predicted, true)
    if not np.isfinite(predicted).all():
        return {name: METRICS[name].worst for name in metrics}
    return {name: METRICS[name].measure(predicted, true) for name in metrics}


def combined(scores: Mapping[str, float]) -> float:
    """A task's one number as GLUE counts it: the mean of accuracy and F1 or of the two
    correlations where there are both, otherwise the first score."""
    for one, two in (("accuracy", "f1"), ("pearson", "spearman")):
        if one in scores and two in scores:
            return (scores[one] + scores[two]) / 2
    return next(iter(scores.values()))


def average(scores: Mapping[str, float], over: Sequence[str]) -> float | None:
    """The papers' average: the mean of one score per task.

    Args:
        scores: task -> its score; others than those in `over` do not count.
        over: the tasks of the average, for example `tasks.glue.AVERAGED`.

    Returns:
        None while one of them has no score: a mean over fewer is no paper's average.
    """
    if not over or any(task not in scores for task in over):
        return None
    return float(np.mean([scores[task] for task in over]))


def over_languages(
    first: Mapping[str, float] | None, others: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Of each metric "mean.", over all languages, and "gap.", by how much the first is above the
    mean of the others (XTREME's transfer gap).

    Args:
        first: the scores of the language that models are trained in; without them, or where they
            are all, there is no gap.
        others: those of each other language.
    """
    every = [first, *others] if first else others
    scores = {f"mean.{m}": fmean(s[m] for s in every) for m in every[0]}
    if first and others:
        scores |= {f"gap.{m}": first[m] - fmean(s[m] for s in others) for m in first}
    return scores


def majority(gold: ArrayLike) -> float:
    """Share of the most frequent class: the accuracy of always guessing it."""
    _, counts = np.unique(np.asarray(gold), return_counts=True)
    return float(counts.max() / counts.sum()) if counts.size else 0.0


def unknown_metric(metric: str, names: Iterable[str]) -> Problem:
    """Says that there is no such metric, with the nearest of `names` or all of them."""
    return Problem(location="metric", text=unknown_name("metric", metric, names))


def _check(metrics: Sequence[str], predictions: NDArray, gold: NDArray) -> None:
    problems = [unknown_metric(name, METRICS) for name in metrics if name not in METRICS]
    if predictions.ndim != 1 or predictions.shape != gold.shape:
        seen = f"{list(predictions.shape)} predictions for {list(gold.shape)} gold labels"
        problems.append(Problem(location="predictions", text=f"{seen}; give one for each"))
    elif not len(gold):
        problems.append(Problem(location="gold", text="no examples; there is nothing to score"))
    elif not np.isfinite(gold).all():
        problems.append(
            Problem(location="gold", text="holds nan or inf; every label must be finite")
        )
    if problems:
        raise InputError("scores", problems)


def _centred(values: Array) -> NDArray[np.float64]:
    """Values less their mean, scaled so that their squares neither overflow nor vanish."""
    values = np.asarray(values, np.float64)
    scale = np.abs(values).max()
    if values.min() == values.max():
        return np.zeros_like(values)
    values = values / scale
    values = values - values.mean()
    return values / np.abs(values).max()


def _ranks(values: Array) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places]
