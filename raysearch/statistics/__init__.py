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
from .verdict import RULE, Verdict, verdict

__all__ = [
    "RULE",
    "Aggregate",
    "Difference",
    "Floats",
    "Interval",
    "Sample",
    "ScoreSample",
    "Verdict",
    "average",
    "difference",
    "expected_best",
    "holm",
    "interval",
    "maximum",
    "mcnemar",
    "mean",
    "median",
    "selection_optimism",
    "sign_flip",
    "verdict",
]
