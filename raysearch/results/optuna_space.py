"""A search space in Optuna's terms.

It is apart because the search and the analysis of its trials share it; Optuna is imported when a
function is called, so that tables are written without it.
"""

import json
from typing import TYPE_CHECKING, Any

from ..search_space import Choice, Dimension, IntRange, LogUniform

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution(dimension: Dimension) -> "BaseDistribution":
    """Return Optuna's distribution for a dimension; choices that are mappings become JSON."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution([simple(value) for value in dimension.choice])
    low, high = dimension.ends
    if isinstance(dimension, IntRange):
        return IntDistribution(int(low), int(high))
    return FloatDistribution(float(low), float(high), log=isinstance(dimension, LogUniform))


def simple(value: Any) -> Any:
    """Return a value that Optuna can store as a choice."""
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)
