"""Intervals of scores, and of differences of two systems, over seeds and examples together.

The examples are resampled as in the Multi-Bootstrap (Sellam et al., 2022), the same ones for all
seeds and systems. The seeds are not: a bootstrap of five seeds is too narrow by a third, so their
part is drawn from normal seeds with the observed variance, which is itself uncertain (Student's t).
It is apart from metrics, which know nothing of chance.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics.bootstrap_metrics import Floats, Measure
from .levels import LEVEL, SIGHT

DRAWS = 1000
_CHUNK = 4_000_000  # weights that are drawn at once
_EQUAL = 1e-12  # by which equal scores differ after rounding


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


# What is printed of the seeds, as a study names it (`confirm.report`).
AGGREGATES: dict[str, Aggregate] = {"median": median, "mean": mean, "max": maximum}


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score and the interval that holds the true one.

    Attributes:
        value: the aggregate of the seeds' scores on all examples.
        low: lower end.
        high: upper end.
        error: standard error, of a normal score with an interval of this width.
        seeds: the number of seeds. With one, the interval covers the examples alone.
    """

    value: float
    low: float
    high: float
    error: float
    seeds: int

    @property
    def visible(self) -> float:
        """The smallest difference from a fixed number that is seen with 80 % power."""
        return SIGHT * self.error


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """The interval of a difference of two systems, the second minus the first.

    Attributes:
        other_seeds: the number of seeds of the second system.
        paired: whether the seeds of both were taken as pairs.
        drawn: the difference in each draw, [draws].
    """

    other_seeds: int
    paired: bool = False
    drawn: Floats = field(repr=False, compare=False)


def interval(
    seeds: Sequence[ScoreSample],
    samples: Mapping[str, Sample],
    *,
    aggregate: Aggregate = median,
    within: tuple[float, float] = (-math.inf, math.inf),
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Return the interval of a system's score.

    Args:
        seeds: the models of the system's seeds.
        samples: the samples of their splits.
        aggregate: what is printed of the seeds' scores.
        within: the lowest and the highest score that there can be.
        draws: the number of draws.
        seed: of the draws.

    Returns:
        The interval; its ends are bootstrap percentiles. Where all draws score the same, as if
        every answer is right, examples that are unlike those seen were drawn, see `_unlike`.
    """
    system = _System(seeds, samples, aggregate)
    drawn = _combine([system], samples, draws, seed)
    if float(np.ptp(drawn)) <= _EQUAL:
        drawn = drawn + _unlike(samples, draws, seed)
    low, high, error = ends(drawn)
    low, high = max(low, within[0]), min(high, within[1])
    return Interval(value=system.value, low=low, high=high, error=error, seeds=len(seeds))


def difference(
    first: Sequence[ScoreSample],
    second: Sequence[ScoreSample],
    samples: Mapping[str, Sample],
    *,
    aggregate: Aggregate = median,
    draws: int = DRAWS,
    seed: int = 0,
    paired: bool = False,
) -> Difference:
    """Return the interval of the second system's score minus the first's, on the same examples.

    The arguments are those of `interval`. If `paired`, the n-th seeds of both systems are the same,
    so that what they share, such as the order of the training examples, counts as no difference; it
    needs equally many seeds.
    """
    systems = [_System(second, samples, aggregate), _System(first, samples, aggregate)]
    paired = paired and len(first) > 1
    drawn = _combine(systems, samples, draws, seed, paired)
    low, high, error = ends(drawn)
    return Difference(
        value=systems[0].value - systems[1].value,
        low=low,
        high=high,
        error=error,
        seeds=len(first),
        other_seeds=len(second),
        paired=paired,
        drawn=drawn,
    )


def average(differences: Sequence[Difference]) -> Difference:
    """Return the interval of the mean of differences on tasks that share no examples.

    Args:
        differences: one for each task, drawn with different seeds.
    """
    drawn: Floats = np.mean([one.drawn for one in differences], axis=0)
    low, high, error = ends(drawn)
    return Difference(
        value=float(np.mean([one.value for one in differences])),
        low=low,
        high=high,
        error=error,
        seeds=min(one.seeds for one in differences),
        other_seeds=min(one.other_seeds for one in differences),
        drawn=drawn,
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

    def seed_part(self, normal: Floats) -> Floats:
        """Return how far the aggregate moves with other seeds of the observed spread, [draws].

        Args:
            normal: a standard normal number for each seed, [seeds, draws].
        """
        aggregated = self._aggregate(normal)
        part: Floats = self.scores.std(ddof=1) * (aggregated - aggregated.mean())
        return part  # centred, as the mean of a maximum is not 0


def _combine(
    systems: Sequence[_System],
    samples: Mapping[str, Sample],
    draws: int,
    seed: int,
    paired: bool = False,
) -> Floats:
    """Return draws of the first system's score minus the second's, if any, [draws].

    The observed spread of the seeds holds the noise of their own errors on these examples. The
    resampled examples hold it once more, so that their part is scaled down by it: at most by what
    the seeds' part has, as two seeds may have equal scores by chance.
    """
    random = np.random.default_rng(seed)
    chunks = [[s.resampled(w) for s in systems] for w in _weights(samples, draws, random)]
    tables = [np.concatenate(parts, axis=1) for parts in zip(*chunks, strict=True)]
    offsets = [t - s.scores[:, None] for s, t in zip(systems, tables, strict=True)]
    moved = offsets[0].mean(axis=0) - (offsets[1].mean(axis=0) if len(systems) > 1 else 0.0)
    own = [offsets[0] - offsets[1]] if paired else offsets
    repeated = sum(float(o.var(axis=0, ddof=1).mean()) / len(o) for o in own if len(o) > 1)
    parts, seed_variance = _seed_parts(systems, draws, random, paired)
    variance = float(moved.var())
    share = min(repeated, seed_variance) / variance if variance > 0 else 0.0
    value = systems[0].value - sum(other.value for other in systems[1:])
    drawn: Floats = value + moved * np.sqrt(max(0.0, 1.0 - share)) + parts
    return drawn


def _unlike(samples: Mapping[str, Sample], draws: int, seed: int) -> Floats:
    """Return how far a score moves with examples of which a sample has none, [draws].

    In n examples that are all alike, up to 3/n of those that they were drawn from may be unlike
    them (95 %, the "rule of three": a Beta(1, n) share). Here such an example moves the score by as
    much as its share, up or down. That is exact for accuracy. A sample stands for its clusters; of
    several samples the smallest counts.
    """
    random = np.random.default_rng(seed)
    count = min(int(sample.clusters.max()) + 1 for sample in samples.values())
    shares: Floats = random.beta(1, count, draws) * random.choice([-1.0, 1.0], draws)
    return shares


def _seed_parts(
    systems: Sequence[_System], draws: int, random: np.random.Generator, paired: bool
) -> tuple[Floats, float]:
    """Return how far a score, or a difference of two, moves with other seeds.

    Of a single seed nothing is known: it moves by nothing. Paired seeds move together as far as
    their scores are correlated.

    Returns:
        Draws of Student's t, [draws], as the spread of the seeds is uncertain itself; the variance
        that they would have if it were certain.
    """
    total, certain = np.zeros(draws), np.zeros(draws)
    normal, scale = np.zeros(draws), np.ones(draws)
    for sign, system in zip((1, -1), systems, strict=False):
        if (count := len(system.scores)) == 1:
            continue
        fresh = random.standard_normal((count, draws))
        if paired and sign < 0:
            shared = _correlation(systems[0].scores, systems[1].scores)
            normal = shared * normal + np.sqrt(1 - shared**2) * fresh
        else:
            normal = fresh
            scale = student_scale(count, draws, random)
        part = sign * system.seed_part(normal)
        total, certain = total + scale * part, certain + part
    return total, float(certain.var())


def _correlation(first: Floats, second: Floats) -> float:
    """Return the correlation of two systems' seeds; 0 where one of them does not vary."""
    x, y = first - first.mean(), second - second.mean()
    root = float(np.sqrt((x @ x) * (y @ y)))
    return min(1.0, max(-1.0, float(x @ y) / root)) if root > 0 else 0.0


def student_scale(seeds: int, draws: int, random: np.random.Generator) -> Floats:
    """Return by what the spread of so many seeds may be wrong, [draws], as Student's t has it."""
    scale: Floats = np.sqrt((seeds - 1) / random.chisquare(seeds - 1, draws))
    return scale


def ends(drawn: Floats) -> tuple[float, float, float]:
    """Return low, high and standard error of draws.

    The error is that of a normal score with an interval of this width: of two or three seeds the
    draws have tails so long that their standard deviation is any number.
    """
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    width = 2 * NormalDist().inv_cdf((1 + LEVEL) / 2)
    return float(low), float(high), float(high - low) / width


def _weights(
    samples: Mapping[str, Sample], draws: int, random: np.random.Generator
) -> Iterator[dict[str, Floats]]:
    """Yield the weights of chunks of draws, so that memory stays small."""
    largest = max(len(sample.clusters) for sample in samples.values())
    step = max(1, _CHUNK // largest)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        yield {name: sample.weights(count, random) for name, sample in samples.items()}
