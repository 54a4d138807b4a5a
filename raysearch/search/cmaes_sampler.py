"""Optuna's CMA-ES with its state as plain numbers: Optuna pickles it into the trials, and a run's
journal, which may come from anyone, is no place to unpickle from."""

from typing import Any

import cmaes
import numpy as np
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from ..run_folder.sampler_state import STATE, VECTORS, is_state

RESAMPLED = 10  # times n parameters: how often Optuna lets a point outside the bounds be drawn anew


class PlainCmaEsSampler(CmaEsSampler):
    """CMA-ES as Optuna has it, but that a trial keeps the optimizer's numbers by name.

    Where no trial keeps a state that can be used, the optimizer begins anew and is told the
    finished trials generation by generation, as their numbers of generations say.
    """

    _optimizer: cmaes.CMA | None = None

    def _init_optimizer(self, *parts: Any, **options: Any) -> Any:
        self._optimizer = super()._init_optimizer(*parts, **options)
        return self._optimizer

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        """Return the latest optimizer of these trials. Nothing is ever unpickled."""
        states = (trial.system_attrs.get(STATE) for trial in reversed(completed_trials))
        state = next((state for state in states if is_state(state)), None)
        self._optimizer = None if state is None else restored(state)
        return self._optimizer

    def _split_optimizer_str(self, optimizer_str: str) -> dict[str, Any]:
        """Return what a trial keeps instead of the pickled optimizer: its numbers."""
        assert self._optimizer is not None
        return {STATE: state_of(self._optimizer)}


def state_of(optimizer: cmaes.CMA) -> dict[str, Any]:
    """Return the numbers of an optimizer after a generation: all that its next ones depend on."""
    vectors = {name: getattr(optimizer, f"_{name}").tolist() for name in VECTORS}
    covariance = (optimizer._C + optimizer._C.T) / 2  # as it is made before it is next used
    return {
        "generation": int(optimizer.generation),
        "sigma": float(optimizer._sigma),
        "C": covariance.tolist(),
        **vectors,
    }


def restored(state: dict[str, Any]) -> cmaes.CMA:
    """Return the optimizer that a state is of, over parameters in [0, 1].

    Args:
        state: see `journal.sampler_state.is_state`.
    """
    size = len(state["mean"])
    bounds = np.tile([0.0, 1.0], (size, 1))
    optimizer = cmaes.CMA(
        mean=np.full(size, 0.5), sigma=state["sigma"], bounds=bounds,
        n_max_resampling=RESAMPLED * size,
    )  # fmt: skip
    for name in VECTORS:
        setattr(optimizer, f"_{name}", np.array(state[name], dtype=float))
    optimizer._C = np.array(state["C"], dtype=float)
    optimizer._g = state["generation"]
    return optimizer
