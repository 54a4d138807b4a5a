"""The best score to expect of a search with fewer trials, and what a search promises too much.

It is apart from the intervals because it speaks of trials, not of examples.
"""

import math
from collections.abc import Sequence

import numpy as np

from ..metrics.bootstrap_metrics import Floats


def expected_best(scores: Sequence[float]) -> Floats:
    """Return the expected best score of 1, 2, ... of these trials, drawn without replacement.

    This is the unbiased estimator of expected validation performance (Tang et al., 2020). It holds
    for trials that were drawn independently, by random or grid search; adaptive samplers draw
    better ones later, so that it is too low for them.

    Args:
        scores: of all trials, [trials]; a stopped trial counts with what it reached.

    Returns:
        [trials]: the first value is the mean, the last one the maximum.
    """
    values = np.sort(np.asarray(scores, np.float64))
    count = len(values)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])  # of factorials
    best = np.zeros(count)
    for n in range(1, count + 1):
        # The i-th smallest of all is the best of n with probability C(i - 1, n - 1) / C(count, n).
        i = np.arange(n, count + 1)
        chosen = logs[i - 1] - logs[n - 1] - logs[i - n]
        shares = np.exp(chosen - (logs[count] - logs[n] - logs[count - n]))
        best[n - 1] = shares @ values[n - 1 :]
    return best


def selection_optimism(scores: Sequence[float], noise: float, *, draws: int = 4000) -> float:
    """Return by how much the best score of a search is expected to exceed its true value.

    The true scores of the trials are taken as normal with the observed spread without its noise.
    The optimism is the mean noise of the trial that looks best.

    Args:
        scores: of the trials that were chosen among, each by one model, [trials].
        noise: standard deviation of one score around its trial's true score.
        draws: simulated searches.
    """
    if len(scores) < 2:
        return 0.0
    spread = float(np.var(scores, ddof=1))
    true = math.sqrt(max(0.0, spread - noise**2))
    random = np.random.default_rng(0)
    errors = noise * random.standard_normal((draws, len(scores)))
    seen = true * random.standard_normal((draws, len(scores))) + errors
    return float(np.take_along_axis(errors, seen.argmax(1)[:, None], 1).mean())
