"""Checks of the state that a sampler stores with a trial: numbers by name, and nothing else.

They are apart from `events` because an older version stored pickled objects there, which are never
read.
"""

import math
from typing import Any

GENERATION, STATE = "cma:generation", "cma:state"
NSGA_GENERATION = "NSGAIISampler:generation"
STATES = (GENERATION, STATE, NSGA_GENERATION)
VECTORS = ("mean", "p_sigma", "pc")
MAX_DIMENSIONS = 1000
_MAX_VALUE = 1e32  # the package cmaes has this bound for means and step sizes


def plain_state(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a stored sampler state that can be used.

    Args:
        stored: "cma:generation" and "NSGAIISampler:generation", counts; "cma:state", see
            `is_state`; anything else is dropped.
    """
    usable = {}
    if _is_count(stored.get(NSGA_GENERATION)):
        usable[NSGA_GENERATION] = stored[NSGA_GENERATION]
    if _is_count(stored.get(GENERATION)):
        usable[GENERATION] = stored[GENERATION]
        if is_state(stored.get(STATE)):
            usable[STATE] = stored[STATE]
    return usable


def is_state(state: Any) -> bool:
    """Return whether a value is the state of CMA-ES over n parameters.

    It has `generation`, a count; `sigma`, a positive number; `mean`, `p_sigma` and `pc`, n numbers
    each; and `C`, a symmetric matrix of n rows of n numbers.
    """
    if not isinstance(state, dict) or set(state) != {"generation", "sigma", "C", *VECTORS}:
        return False
    if not _is_count(state["generation"]) or not (_is_real(state["sigma"]) and state["sigma"] > 0):
        return False
    size = len(state["mean"]) if isinstance(state["mean"], list) else 0
    if not 0 < size <= MAX_DIMENSIONS or not all(_is_vector(state[name], size) for name in VECTORS):
        return False
    rows = state["C"]
    if not (
        isinstance(rows, list) and len(rows) == size and all(_is_vector(r, size) for r in rows)
    ):
        return False
    return all(rows[i][j] == rows[j][i] for i in range(size) for j in range(i))


def _is_vector(value: Any, size: int) -> bool:
    return isinstance(value, list) and len(value) == size and all(map(_is_real, value))


def _is_real(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _MAX_VALUE and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
