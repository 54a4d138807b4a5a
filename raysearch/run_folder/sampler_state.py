"""What a sampler keeps with a trial: plain numbers by name, and nothing else. It is apart from the
other fields, as an older version kept pickled objects there, which are not read."""

import math
from typing import Any

GENERATION, STATE = "cma:generation", "cma:state"
VECTORS = ("mean", "p_sigma", "pc")
DIMENSIONS = 1000
_HUGE = 1e32  # as cmaes bounds means and step sizes


def plain_state(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the part of what a sampler kept that can be used: CMA-ES's generation and state.

    Args:
        kept: "cma:generation", a count; "cma:state", see `is_state`; anything else is left out.
    """
    usable = {}
    if _whole(kept.get(GENERATION)):
        usable[GENERATION] = kept[GENERATION]
        if is_state(kept.get(STATE)):
            usable[STATE] = kept[STATE]
    return usable


def is_state(state: Any) -> bool:
    """Return whether a value is the state of CMA-ES over n parameters.

    It has `generation`, `sigma`, `mean`, `p_sigma` and `pc` of n numbers each, and `C`, n rows of n
    numbers, symmetric.
    """
    if not isinstance(state, dict) or set(state) != {"generation", "sigma", "C", *VECTORS}:
        return False
    if not _whole(state["generation"]) or not (_real(state["sigma"]) and state["sigma"] > 0):
        return False
    size = len(state["mean"]) if isinstance(state["mean"], list) else 0
    if not 0 < size <= DIMENSIONS or not all(_vector(state[name], size) for name in VECTORS):
        return False
    rows = state["C"]
    if not (isinstance(rows, list) and len(rows) == size and all(_vector(r, size) for r in rows)):
        return False
    return all(rows[i][j] == rows[j][i] for i in range(size) for j in range(i))


def _vector(value: Any, size: int) -> bool:
    return isinstance(value, list) and len(value) == size and all(map(_real, value))


def _real(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < _HUGE and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
