"""How sure a score is: intervals, differences of systems, tests, and the search's optimism."""

from ..metrics.bootstrap_metrics import Floats
from .expected_performance import expected_best, selection_optimism
from .intervals import (
    Aggregate,
    Difference,
    Interval,
    Sample,
    ScoreSample,
    average,
    difference,
    interval,
    maximum,
    mean,
    median,
)
from .paired_tests import holm, mcnemar, sign_flip
from .power import POWER_RULE, aggregate_error, example_error, seed_spread, visible_difference
from .racing import fallen_behind
from .verdict import RULE, Verdict, verdict

__all__ = [
    "POWER_RULE",
    "RULE",
    "Aggregate",
    "Difference",
    "Floats",
    "Interval",
    "Sample",
    "ScoreSample",
    "Verdict",
    "aggregate_error",
    "average",
    "difference",
    "example_error",
    "expected_best",
    "fallen_behind",
    "holm",
    "interval",
    "maximum",
    "mcnemar",
    "mean",
    "median",
    "seed_spread",
    "selection_optimism",
    "sign_flip",
    "verdict",
    "visible_difference",
]
