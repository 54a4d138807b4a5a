"""Scores of predictions against gold labels, as fractions. Larger is better, nothing is NaN.

`classification` measures class ids and numbers, `squad` answers to questions, `squad_scripts` the
same as the official scripts do, `token_classification` tags of words, `masked_lm` guessed tokens.
All but that one have a `score` that gives the metrics that are named; `worst` knows all of them.
"""

from . import masked_lm, squad, squad_scripts, token_classification
from .classification import (
    METRICS,
    Metric,
    acc_f1,
    accuracy,
    average,
    combined,
    f1,
    majority,
    mcc,
    over_languages,
    pearson,
    pearson_spearman,
    score,
    spearman,
)  # fmt: skip
from .registry import WORST, worst

__all__ = [
    "METRICS", "WORST", "Metric", "acc_f1", "accuracy", "average", "combined", "f1", "majority",
    "masked_lm", "mcc", "over_languages", "pearson", "pearson_spearman", "score", "spearman",
    "squad", "squad_scripts", "token_classification", "worst",
]  # fmt: skip
