"""The one table of recipes."""

from . import cross_thought, finetune, r_drop, stabletune
from .hyper import SHARED, Hyper, PerEpoch, Steps
from .recipe import Recipe, Stage
from .typed import typed

RECIPES: dict[str, Recipe] = {
    module.RECIPE.name: module.RECIPE for module in (finetune, r_drop, stabletune, cross_thought)
}

__all__ = ["RECIPES", "SHARED", "Hyper", "PerEpoch", "Recipe", "Stage", "Steps", "typed"]
