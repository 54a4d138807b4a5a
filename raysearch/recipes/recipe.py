"""What a recipe is: stages with a loss each. It knows no data set, device or search."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..tasks import Head
from .hyper import Hyper

Loss = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run of a recipe.

    Attributes:
        name: what reports call it.
        loss: (model, batch, hyper, teacher=None) -> the mean loss over the batch's examples, a
            scalar tensor. It may call the model more than once.
    """

    name: str
    loss: Loss


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained on a task.

    Attributes:
        name: what studies call it.
        hyper: its hyperparameters, a subclass of Hyper.
        stages: run in order.
        heads: of the tasks that it can train.
    """

    name: str
    hyper: type[Hyper]
    stages: tuple[Stage, ...]
    heads: tuple[Head, ...]
