"""The one table of recipes."""

from . import finetune
from .hyper import Hyper, PerEpoch, Steps
from .recipe import Recipe, Stage

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (finetune.RECIPE,)}

__all__ = ["RECIPES", "Hyper", "PerEpoch", "Recipe", "Stage", "Steps"]
