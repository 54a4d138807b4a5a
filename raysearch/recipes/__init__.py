"""How a model is trained: the recipes with their stages, losses and hyperparameters."""

from .hyperparameters import SHARED, Hyper, PerEpoch, Steps
from .recipe import Recipe, Stage
from .registry import RECIPES
from .settings_validation import typed

__all__ = ["RECIPES", "SHARED", "Hyper", "PerEpoch", "Recipe", "Stage", "Steps", "typed"]
