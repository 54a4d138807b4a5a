"""The recipes: how a model is trained, with stages, losses and hyperparameters."""

from .hyperparameters import Hyperparameters, PerEpoch, Steps
from .recipe import Recipe, Stage
from .registry import RECIPES
from .settings_validation import validate_settings

__all__ = [
    "RECIPES",
    "Hyperparameters",
    "PerEpoch",
    "Recipe",
    "Stage",
    "Steps",
    "validate_settings",
]
