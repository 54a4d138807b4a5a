"""Scores of the tokens that a masked language model predicts.

It is apart because it needs only sums over blocks of text, neither tokens nor models.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SCORES = ("masked_likelihood", "masked_accuracy")


def score(names: Iterable[str], sums: NDArray[np.floating]) -> dict[str, float]:
    """Return the named scores over all masked tokens.

    "masked_likelihood" is exp(-loss): the geometric mean of the probabilities of the original
    tokens, or 1 / perplexity. "masked_accuracy" is the share of masked tokens whose most probable
    prediction is the original token.

    Args:
        names: some of `SCORES`.
        sums: for each block the log-likelihood in nats, the number of correct predictions and the
            number of masked tokens, [blocks, 3].

    Returns:
        Name -> score, a fraction, in the order of `names`.
    """
    likelihood, correct, count = sums.astype(np.float64).sum(axis=0)
    scores = {
        "masked_likelihood": float(np.exp(likelihood / count)),
        "masked_accuracy": float(correct / count),
    }
    return {name: scores[name] for name in names}
