"""The one table of recipes."""

from . import cross_thought, finetune, r_drop
from .hyper import SHARED, Hyper, PerEpoch, Steps
from .recipe import Recipe, Stage

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (finetune.RECIPE, r_drop.RECIPE, cross_thought.RECIPE)
}

__all__ = ["RECIPES", "SHARED", "Hyper", "PerEpoch", "Recipe", "Stage", "Steps"]
