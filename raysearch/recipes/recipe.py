"""What a recipe is: stages with a loss each. It knows no data set, device or search."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..tasks import Head
from .hyperparameters import Hyperparameters

Loss = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run of a recipe.

    Attributes:
        name: what reports call it.
        loss: (model, batch, hyper, over=None, teacher=None, terms=None) -> a scalar tensor: the
            batch's part of the mean loss over `over`, what a whole step counts (see `batches`'
            `counts`); of a batch that is a step of its own, its mean. It may call the model more
            than once. Where it has several terms, it puts them into the dict `terms`, each by its
            name, without its weight and without gradient.
    """

    name: str
    loss: Loss


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained on a task.

    Attributes:
        name: what studies call it.
        hyper: its hyperparameters, a subclass of Hyper.
        stages: run in order, each from the pretrained weights and in a trial of its own.
        heads: of the tasks that it can train.
        teacher: a trial's hyperparameters -> the configuration, whole, of the trial of an earlier
            stage whose model teaches it; None where it needs none.
        unfit: a task's head and a trial's hyperparameters -> the name of one that cannot be so for
            this head, and why; None where all can.
    """

    name: str
    hyper: type[Hyperparameters]
    stages: tuple[Stage, ...]
    heads: tuple[Head, ...]
    teacher_configuration: Callable[[Any], dict[str, Any] | None] = lambda hyper: None
    incompatibility: Callable[[Head, Any], tuple[str, str] | None] = lambda head, hyper: None

    def stage_of(self, hyper: Hyperparameters) -> Stage:
        """The stage that a trial with these hyperparameters is."""
        return self.stages[getattr(hyper, "stages", 1) - 1]
