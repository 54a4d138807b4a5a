"""Exact tests of whether two models differ on the same examples.

They are apart from the intervals because they test two models, not two systems with seeds.
"""

import math
from collections.abc import Sequence

import numpy as np

from ..metrics.bootstrap_metrics import Floats

_DRAWS = 10_000  # random signs, where there are too many to try all


def mcnemar(first_right: int, second_right: int) -> float:
    """Return the exact two-sided p-value of McNemar's test.

    Args:
        first_right: examples that only the first model gets right.
        second_right: examples that only the second model gets right.
    """
    count, low = first_right + second_right, min(first_right, second_right)
    # In logarithms: binomial coefficients of thousands of examples exceed a float.
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        for k in range(low + 1)
    ]
    tail = math.fsum(math.exp(log - count * math.log(2)) for log in logs)
    return min(1.0, 2 * tail)


def sign_flip(differences: Floats) -> float:
    """Return the two-sided p-value of the sign-flip test of paired differences.

    Up to 16 differences that are not 0 all signs are tried, which makes the test exact; above that
    10,000 random ones, always the same.

    Args:
        differences: points of the second model minus those of the first, [examples].
    """
    values = np.asarray(differences, np.float64)
    values = values[values != 0]
    if not len(values):
        return 1.0
    observed = abs(values.sum()) - 1e-9
    if len(values) <= 16:
        bits = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ values) >= observed))
    random = np.random.default_rng(0)
    extreme = 0
    for _ in range(_DRAWS):
        signs = random.integers(0, 2, len(values)) * 2 - 1
        extreme += abs(float(signs @ values)) >= observed
    return (extreme + 1) / (_DRAWS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values of several tests, adjusted by Holm's step-down method, in their order."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
