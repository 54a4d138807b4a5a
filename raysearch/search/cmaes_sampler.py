"""Optuna's CMA-ES with its state as plain numbers.

It is apart because Optuna pickles the state into its trials, and a run's journal may come from
anyone: nothing is unpickled from it. It overrides private methods of Optuna's sampler.
"""

from typing import Any

import cmaes
import numpy as np
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from ..run_folder.sampler_state import STATE, VECTORS, is_state

# Optuna draws a point outside the bounds again, at most this many times for each parameter.
RESAMPLED = 10


class PlainCmaEsSampler(CmaEsSampler):
    """Optuna's CMA-ES sampler, whose trials keep the optimizer's numbers by name.

    If no trial keeps a usable state, a new optimizer is told the finished trials, generation by
    generation, according to their generation numbers.
    """

    _optimizer: cmaes.CMA | None = None

    def _init_optimizer(self, *parts: Any, **options: Any) -> Any:
        self._optimizer = super()._init_optimizer(*parts, **options)
        return self._optimizer

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        """Return the latest optimizer of these trials; nothing is unpickled."""
        states = (trial.system_attrs.get(STATE) for trial in reversed(completed_trials))
        state = next((state for state in states if is_state(state)), None)
        self._optimizer = None if state is None else restored(state)
        return self._optimizer

    def _split_optimizer_str(self, optimizer_str: str) -> dict[str, Any]:
        """Return what a trial keeps in place of the pickled optimizer: its numbers."""
        assert self._optimizer is not None
        return {STATE: state_of(self._optimizer)}


def state_of(optimizer: cmaes.CMA) -> dict[str, Any]:
    """Return the numbers of an optimizer after a generation, on which the next ones depend.

    Returns:
        `generation`, `sigma`, `C`, the covariance matrix, and VECTORS; as JSON has them.
    """
    vectors = {name: getattr(optimizer, f"_{name}").tolist() for name in VECTORS}
    covariance = (optimizer._C + optimizer._C.T) / 2  # as the optimizer does before its next use
    return {
        "generation": int(optimizer.generation),
        "sigma": float(optimizer._sigma),
        "C": covariance.tolist(),
        **vectors,
    }


def restored(state: dict[str, Any]) -> cmaes.CMA:
    """Return the optimizer of a state, over parameters in [0, 1].

    Args:
        state: see `state_of`; it must satisfy `run_folder.sampler_state.is_state`.
    """
    size = len(state["mean"])
    bounds = np.tile([0.0, 1.0], (size, 1))
    optimizer = cmaes.CMA(
        mean=np.full(size, 0.5),
        sigma=state["sigma"],
        bounds=bounds,
        n_max_resampling=RESAMPLED * size,
    )
    for name in VECTORS:
        setattr(optimizer, f"_{name}", np.array(state[name], dtype=float))
    optimizer._C = np.array(state["C"], dtype=float)
    optimizer._g = state["generation"]
    return optimizer
