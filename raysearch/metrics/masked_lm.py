"""Scores of guessed tokens. Knows sums over blocks of text, neither tokens nor models."""

from collections.abc import Iterable

import numpy as np

SCORES = ("masked_likelihood", "masked_accuracy")


def score(names: Iterable[str], sums: np.ndarray) -> dict[str, float]:
    """Scores over all masked tokens.

    `masked_likelihood` is exp(-loss), the geometric mean of the probability of what stood there,
    or 1 / perplexity; `masked_accuracy` the share that was the first guess.

    Args:
        sums: of each block the log-likelihood in nats, the hits and the masked tokens, [blocks, 3].
    """
    likelihood, hits, count = sums.astype(np.float64).sum(axis=0)
    known = {
        "masked_likelihood": float(np.exp(likelihood / count)),
        "masked_accuracy": float(hits / count),
    }
    return {name: known[name] for name in names}
