"""How sure a score is: intervals, differences of systems, tests, and the search's optimism."""

from ..metrics.bootstrap_metrics import Floats
from .expected_performance import expected_best, selection_optimism
from .intervals import (
    Difference,
    Interval,
    Sample,
    ScoreSample,
    difference,
    interval,
    maximum,
    mean,
    median,
)
from .paired_tests import mcnemar, sign_flip
from .racing import fallen_behind
from .verdict import RULE, Verdict, verdict

__all__ = [
    "RULE",
    "Difference",
    "Floats",
    "Interval",
    "Sample",
    "ScoreSample",
    "Verdict",
    "difference",
    "expected_best",
    "fallen_behind",
    "interval",
    "maximum",
    "mcnemar",
    "mean",
    "median",
    "selection_optimism",
    "sign_flip",
    "verdict",
]
