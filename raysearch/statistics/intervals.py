"""Intervals of scores, and of differences of two systems, over seeds and examples together.

The examples are resampled as in the Multi-Bootstrap (Sellam et al., 2022), the same ones for all
seeds and systems. The seeds are not: a bootstrap of five seeds is too narrow by a third, so their
part is drawn from normal seeds with the observed variance, which is itself uncertain (Student's t).
It is apart from metrics, which know nothing of chance.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics.bootstrap_metrics import Floats, Measure

LEVEL = 0.95
DRAWS = 1000
POWER = 0.8416  # standard errors by which 80 % of all scores are above the true one, or more
_CHUNK = 4_000_000  # weights that are drawn at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The examples of a dev split, as they may be resampled.

    Attributes:
        clusters: the cluster of each example, int [examples]. All examples of a cluster are drawn
            together, such as the questions on one passage.
    """

    clusters: NDArray[np.int64]

    @classmethod
    def of_groups(cls, groups: ArrayLike) -> "Sample":
        """Return the sample of examples with these groups, [examples]."""
        _, clusters = np.unique(np.asarray(groups), return_inverse=True)
        return cls(clusters=clusters)

    @classmethod
    def of_size(cls, examples: int) -> "Sample":
        """Return a sample of independent examples."""
        return cls(clusters=np.arange(examples))

    def weights(self, draws: int, random: np.random.Generator) -> Floats:
        """Return how often each example is drawn, [draws, examples]."""
        count = int(self.clusters.max()) + 1
        drawn = random.integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
        times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        weights: Floats = times[:, self.clusters].astype(np.float64)
        return weights


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreSample:
    """What one seed's model scores on each split, whose mean is its score.

    Attributes:
        measures: for each split the name of its sample, and the measure of the model's predictions.
            Splits with the same examples, as of translated dev sets, have one sample.
    """

    measures: Sequence[tuple[str, Measure]]

    def __call__(self, weights: Mapping[str, Floats]) -> Floats:
        """Return the score of every draw, [draws]."""
        scores: Floats = np.mean(
            [measure(weights[name]) for name, measure in self.measures], axis=0
        )
        return scores


Aggregate = Callable[[Floats], Floats]  # scores [seeds, draws] -> [draws]


def median(scores: Floats) -> Floats:
    """Return the median over the first dimension, the seeds."""
    values: Floats = np.median(scores, axis=0)
    return values


def mean(scores: Floats) -> Floats:
    """Return the mean over the first dimension, the seeds."""
    values: Floats = np.mean(scores, axis=0)
    return values


def maximum(scores: Floats) -> Floats:
    """Return the maximum over the first dimension, the seeds."""
    values: Floats = np.max(scores, axis=0)
    return values


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score and the interval that holds the true one.

    Attributes:
        value: the aggregate of the seeds' scores on all examples.
        low: lower end.
        high: upper end.
        error: standard error. With few seeds the interval is wider than 1.96 of them to each side,
            as their spread is uncertain too.
        seeds: the number of seeds. With one, the interval covers the examples alone.
    """

    value: float
    low: float
    high: float
    error: float
    seeds: int

    @property
    def visible(self) -> float:
        """The smallest difference that an interval so wide excludes with 80 % power."""
        return (self.high - self.low) / 2 + POWER * self.error


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """The interval of a difference of two systems, the second minus the first.

    Attributes:
        other_seeds: the number of seeds of the second system.
    """

    other_seeds: int


def interval(
    seeds: Sequence[ScoreSample],
    samples: Mapping[str, Sample],
    *,
    aggregate: Aggregate = median,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Return the interval of a system's score.

    Args:
        seeds: the models of the system's seeds.
        samples: the samples of their splits.
        aggregate: what is printed of the seeds' scores.
        draws: the number of draws.
        level: the share of such intervals that hold the true score.
        seed: of the draws.

    Returns:
        The interval; its ends are bootstrap percentiles.
    """
    systems = [_System(seeds, samples, aggregate)]
    low, high, error = _combine(systems, samples, draws, level, seed)
    value = systems[0].value
    return Interval(value=value, low=low, high=high, error=error, seeds=len(seeds))


def difference(
    first: Sequence[ScoreSample],
    second: Sequence[ScoreSample],
    samples: Mapping[str, Sample],
    *,
    aggregate: Aggregate = median,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Return the interval of the second system's score minus the first's, on the same examples.

    The arguments are those of `interval`.
    """
    systems = [_System(second, samples, aggregate), _System(first, samples, aggregate)]
    low, high, error = _combine(systems, samples, draws, level, seed)
    return Difference(
        value=systems[0].value - systems[1].value,
        low=low,
        high=high,
        error=error,
        seeds=len(first),
        other_seeds=len(second),
    )


class _System:
    """A system's seeds and their scores.

    Attributes:
        value: the aggregate of the seeds' scores on all examples.
        scores: each seed's score on all examples, [seeds].
    """

    def __init__(
        self, seeds: Sequence[ScoreSample], samples: Mapping[str, Sample], aggregate: Aggregate
    ) -> None:
        self._seeds, self._aggregate = seeds, aggregate
        ones = {name: np.ones((1, len(sample.clusters))) for name, sample in samples.items()}
        scores = self.resampled(ones)
        self.value = float(aggregate(scores)[0])
        self.scores: Floats = scores[:, 0]

    def resampled(self, weights: Mapping[str, Floats]) -> Floats:
        """Return each seed's score of draws of examples, [seeds, draws]."""
        return np.stack([seed(weights) for seed in self._seeds])

    def seed_part(self, draws: int, random: np.random.Generator) -> tuple[Floats, float]:
        """Return how far the aggregate moves with other seeds, [draws], and its variance.

        The seeds are normal with the observed spread, whose own uncertainty widens the draws, but
        is not in the variance: that of Student's t with two degrees of freedom is infinite. Of a
        single seed nothing is known: zeros.
        """
        count = len(self.scores)
        if count == 1:
            return np.zeros(draws), 0.0
        part = self.scores.std(ddof=1) * self._aggregate(random.standard_normal((count, draws)))
        scale = np.sqrt((count - 1) / random.chisquare(count - 1, draws))
        return part * scale, float(part.var())


def _combine(
    systems: Sequence[_System], samples: Mapping[str, Sample], draws: int, level: float, seed: int
) -> tuple[float, float, float]:
    """Return low, high and standard error of the first system's score minus the second's, if any.

    The observed spread of the seeds holds the noise of their own errors on these examples. The
    resampled examples hold it once more, so that their part is scaled down by it.
    """
    random = np.random.default_rng(seed)
    chunks = [[s.resampled(w) for s in systems] for w in _weights(samples, draws, random)]
    tables = [np.concatenate(parts, axis=1) for parts in zip(*chunks, strict=True)]
    moved, repeated = np.zeros(draws), 0.0
    for sign, system, table in zip((1, -1), systems, tables, strict=False):
        offsets = table - system.scores[:, None]
        moved = moved + sign * offsets.mean(axis=0)
        if (count := len(offsets)) > 1:
            repeated += float(offsets.var(axis=0, ddof=1).mean()) / count
    share = repeated / variance if (variance := float(moved.var())) > 0 else 0.0
    scores = moved * np.sqrt(max(0.0, 1.0 - share))
    squared_error = float(scores.var())
    for sign, system in zip((1, -1), systems, strict=False):
        part, part_variance = system.seed_part(draws, random)
        scores = scores + sign * (system.value + part)
        squared_error += part_variance
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), float(np.sqrt(squared_error))


def _weights(
    samples: Mapping[str, Sample], draws: int, random: np.random.Generator
) -> Iterator[dict[str, Floats]]:
    """Yield the weights of chunks of draws, so that memory stays small."""
    largest = max(len(sample.clusters) for sample in samples.values())
    step = max(1, _CHUNK // largest)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        yield {name: sample.weights(count, random) for name, sample in samples.items()}
