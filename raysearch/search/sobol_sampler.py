"""Optuna's quasi-Monte Carlo sampler, whose point follows from the trial's number alone.

It is apart because it overrides private methods of Optuna's sampler: that one counts the points in
the study's storage, and draws the first trial at random.
"""

import warnings
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import QMCSampler, RandomSampler


class SobolSampler(QMCSampler):
    """A scrambled Sobol sequence, from which each trial takes the point of its number.

    Args:
        seed: of the scrambling, the same for all trials of a search.
        position: of the point in the sequence, from 0.
        space: what the sequence covers. Other dimensions are drawn independently.
        trial_seed: for dimensions that the sequence does not cover.
    """

    def __init__(
        self, seed: int, position: int, space: dict[str, BaseDistribution], trial_seed: int
    ) -> None:
        super().__init__(
            qmc_type="sobol",
            scramble=True,
            seed=seed,
            independent_sampler=RandomSampler(seed=trial_seed),
            warn_independent_sampling=False,
        )
        self._position, self._space = position, space

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """Return what the sequence covers, also for the first trial."""
        return self._space

    def sample_relative(self, *arguments: Any) -> dict[str, Any]:
        """Return the point, without SciPy's warning that the balance of all is that of 2^n."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().sample_relative(*arguments)

    def _find_sample_id(self, study: Any, search_space: Any) -> int:
        return self._position
