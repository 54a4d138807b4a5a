"""Scores of class ids and of numbers, as fractions.

It is apart because it works on arrays alone, without tasks, models or devices. Every metric is
better when larger, and finite whatever the predictions are: where its formula divides by zero
(constant predictions or constant gold) it is 0.0, and predictions that are not finite get the
metric's worst value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, Problem, unknown_name

Array = NDArray[np.float64] | NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measure and its worst possible value; larger is always better.

    Attributes:
        measure: maps predictions and gold, both finite and [examples], to a fraction. Of groups it
            takes a third argument: the group of each example, int64 [examples].
        worst: the score of a diverged trial.
        of_groups: whether it counts groups of examples instead of examples.
    """

    measure: Callable[..., float]
    worst: float = 0.0
    of_groups: bool = False


def accuracy(predictions: Array, gold: Array) -> float:
    """Return the share of predictions that equal gold."""
    return float(np.mean(predictions == gold))


def f1(predictions: Array, gold: Array) -> float:
    """Return the F1 of class 1: 2 tp / (2 tp + fp + fn)."""
    predicted, positive = predictions == 1, gold == 1
    total = int(predicted.sum()) + int(positive.sum())
    return 2 * int((predicted & positive).sum()) / total if total else 0.0


def macro_f1(predictions: Array, gold: Array) -> float:
    """Return the mean of the F1 of each class that is predicted or true, as scikit-learn does."""
    classes = np.union1d(predictions, gold)
    hits = [np.sum((predictions == c) & (gold == c)) for c in classes]
    sizes = [np.sum(predictions == c) + np.sum(gold == c) for c in classes]
    return float(np.mean([2 * hit / size for hit, size in zip(hits, sizes, strict=True)]))


def question_exact(predictions: Array, gold: Array, groups: Array) -> float:
    """Return the share of groups all of whose predictions equal gold (MultiRC's EM)."""
    return float(np.mean(all_in_group(predictions == gold, groups)))


def gender_parity(predictions: Array, gold: Array, groups: Array) -> float:
    """Return the share of groups all of whose predictions are the same (AX-g); gold is not used."""
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    return float(np.mean(all_in_group(predictions == predictions[first][members], groups)))


def all_in_group(flags: NDArray[np.bool_], groups: Array) -> NDArray[np.bool_]:
    """Return for each group, in the order of their numbers, whether all its flags are set."""
    _, members = np.unique(groups, return_inverse=True)
    all_set: NDArray[np.bool_] = np.bincount(members, weights=~flags) == 0
    return all_set


def group_numbers(names: Iterable[str]) -> NDArray[np.int64]:
    """Return a number for each name, equal ones for equal names."""
    _, numbers = np.unique(np.array(list(names), dtype=object), return_inverse=True)
    return numbers.astype(np.int64)


def mcc(predictions: Array, gold: Array) -> float:
    """Return Matthews' correlation coefficient for any number of classes (Gorodkin, 2004)."""
    _, codes = np.unique(np.concatenate([predictions, gold]), return_inverse=True)
    predicted, true = codes[: len(predictions)], codes[len(predictions) :]
    size = int(codes.max()) + 1
    p = np.bincount(predicted, minlength=size).astype(np.float64)
    t = np.bincount(true, minlength=size).astype(np.float64)
    n, correct = float(len(true)), float((predicted == true).sum())
    product = (n * n - p @ p) * (n * n - t @ t)
    return float(np.clip((correct * n - p @ t) / np.sqrt(product), -1, 1)) if product > 0 else 0.0


def pearson(predictions: Array, gold: Array) -> float:
    """Return Pearson's linear correlation."""
    predicted, true = centered(predictions), centered(gold)
    norm = np.sqrt((predicted @ predicted) * (true @ true))
    return float(np.clip(predicted @ true / norm, -1, 1)) if norm > 0 else 0.0


def spearman(predictions: Array, gold: Array) -> float:
    """Return Spearman's rank correlation; ties get their average rank."""
    return pearson(_ranks(predictions), _ranks(gold))


def pearson_spearman(predictions: Array, gold: Array) -> float:
    """Return the mean of Pearson's and Spearman's correlation, the metric that selects on STS-B."""
    return (pearson(predictions, gold) + spearman(predictions, gold)) / 2


METRICS: dict[str, Metric] = {
    "accuracy": Metric(measure=accuracy),
    "f1": Metric(measure=f1),
    "macro_f1": Metric(measure=macro_f1),
    "question_exact": Metric(measure=question_exact, of_groups=True),
    "gender_parity": Metric(measure=gender_parity, of_groups=True),
    "mcc": Metric(measure=mcc, worst=-1.0),
    "pearson": Metric(measure=pearson, worst=-1.0),
    "spearman": Metric(measure=spearman, worst=-1.0),
    "pearson_spearman": Metric(measure=pearson_spearman, worst=-1.0),
}


def score(
    metrics: Sequence[str],
    predictions: ArrayLike,
    gold: ArrayLike,
    groups: Sequence[str] | None = None,
) -> dict[str, float]:
    """Return the named metrics of one split.

    Args:
        metrics: names in `METRICS`.
        predictions: class ids or numbers, [examples].
        gold: the labels, class ids or numbers, [examples].
        groups: the name of each example's group, for metrics of groups.

    Returns:
        Metric -> fraction, in the order of `metrics`.

    Raises:
        InputError: a metric is unknown, there is nothing to score, the lengths differ, or gold is
            not finite.
    """
    predicted, true = np.asarray(predictions), np.asarray(gold)
    check(metrics, predicted, true)
    if not np.isfinite(predicted).all():
        return {name: METRICS[name].worst for name in metrics}
    numbers = None if groups is None else group_numbers(groups)
    return {name: _measured(METRICS[name], predicted, true, numbers) for name in metrics}


def _measured(
    metric: Metric, predictions: Array, gold: Array, groups: NDArray[np.int64] | None
) -> float:
    if not metric.of_groups:
        return metric.measure(predictions, gold)
    assert groups is not None, "a metric of groups for examples without any"
    return metric.measure(predictions, gold, groups)


def average(scores: Mapping[str, float], over: Sequence[str]) -> float | None:
    """Return the papers' average: the mean of one score per task.

    Args:
        scores: task -> its score; tasks that are not in `over` do not count.
        over: the tasks of the average, for example `tasks.glue.AVERAGED`.

    Returns:
        The mean; None while a task has no score, as no paper averages over fewer tasks.
    """
    if not over or any(task not in scores for task in over):
        return None
    return float(np.mean([scores[task] for task in over]))


def over_languages(
    first: Mapping[str, float] | None, others: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the mean of each metric over all languages, and its transfer gap.

    The gap is the score of the first language minus the mean of the others (XTREME).

    Args:
        first: the scores of the language that models are trained in, or None.
        others: the scores of each other language.

    Returns:
        "mean." or "gap." and the metric -> fraction. There are no gaps without `first` or without
        `others`.
    """
    languages = [first, *others] if first else others
    scores = {f"mean.{m}": fmean(s[m] for s in languages) for m in languages[0]}
    if first and others:
        scores |= {f"gap.{m}": first[m] - fmean(s[m] for s in others) for m in first}
    return scores


def unknown_metric(metric: str, names: Iterable[str]) -> Problem:
    """Return the problem of an unknown metric, with the nearest of `names` or all of them."""
    return Problem(location="metric", text=unknown_name("metric", metric, names))


def check(metrics: Sequence[str], predictions: NDArray[Any], gold: NDArray[Any]) -> None:
    """Refuse what has no score; the arguments and the errors are those of `score`."""
    problems = [unknown_metric(name, METRICS) for name in metrics if name not in METRICS]
    if predictions.ndim != 1 or predictions.shape != gold.shape:
        shapes = f"{list(predictions.shape)} predictions for {list(gold.shape)} gold labels"
        text = f"{shapes}; give one prediction for each label"
        problems.append(Problem(location="predictions", text=text))
    elif not len(gold):
        problems.append(Problem(location="gold", text="no examples; there is nothing to score"))
    elif not np.isfinite(gold).all():
        text = "holds nan or inf; every label must be finite"
        problems.append(Problem(location="gold", text=text))
    if problems:
        raise InputError("scores", problems)


def centered(values: Array) -> NDArray[np.float64]:
    """Return the values minus their mean, scaled so that squares neither overflow nor underflow."""
    values = np.asarray(values, np.float64)
    scale = np.abs(values).max()
    if values.min() == values.max():
        return np.zeros_like(values)
    values = values / scale
    values = values - values.mean()
    centered: NDArray[np.float64] = values / np.abs(values).max()
    return centered


def _ranks(values: Array) -> NDArray[np.float64]:
    """Return the rank of each value, from 1; equal values get the mean of their ranks."""
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_ranks: NDArray[np.float64] = last - (counts - 1) / 2
    return mean_ranks[groups]
