"""The one table of recipes."""

from . import finetune
from .hyper import SHARED, Hyper, PerEpoch, Steps
from .recipe import Recipe, Stage

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (finetune.RECIPE,)}

__all__ = ["RECIPES", "SHARED", "Hyper", "PerEpoch", "Recipe", "Stage", "Steps"]
