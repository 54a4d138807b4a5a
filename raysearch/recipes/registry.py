"""The table of all recipes. A new recipe is a module that is listed here."""

from . import cross_thought, finetune, lora, r_drop, stabletune
from .recipe import Recipe

RECIPES: dict[str, Recipe] = {
    module.RECIPE.name: module.RECIPE
    for module in (finetune, lora, r_drop, stabletune, cross_thought)
}
