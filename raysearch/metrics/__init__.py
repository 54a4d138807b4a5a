"""Scores of predictions against gold labels: fractions, never NaN, better when larger.

Each kind of prediction has a module: `classification` for class ids and numbers, `squad` for
answers to questions, `token_classification` for tags of words and `masked_lm` for predicted tokens;
each has a `score` that computes named metrics. `squad_scripts` scores answers exactly as the
official scripts do, and `worst` knows every metric. It is apart so that training and the scoring of
prediction files share it.
"""

from . import masked_lm, squad, squad_scripts, token_classification
from .classification import (
    METRICS,
    Metric,
    accuracy,
    average,
    f1,
    gender_parity,
    macro_f1,
    mcc,
    over_languages,
    pearson,
    pearson_spearman,
    question_exact,
    score,
    spearman,
)
from .registry import WORST, worst

__all__ = [
    "METRICS",
    "WORST",
    "Metric",
    "accuracy",
    "average",
    "f1",
    "gender_parity",
    "macro_f1",
    "masked_lm",
    "mcc",
    "over_languages",
    "pearson",
    "pearson_spearman",
    "question_exact",
    "score",
    "spearman",
    "squad",
    "squad_scripts",
    "token_classification",
    "worst",
]
