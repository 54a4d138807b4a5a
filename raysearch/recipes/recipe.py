"""Recipe and Stage: how a model is trained on a task.

They are apart from the recipes, which fill them in, and from the table that lists the recipes.
"""

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
        name: its name in reports.
        loss: a function (model, batch, hyper, normalizers=None, teacher=None, loss_terms=None) that
            returns a scalar tensor. `normalizers` holds what a whole step counts (see
            `TrainingSet.loss_counts`); the result is then the batch's part of the step's mean loss.
            Without it the batch is a step, and the result its mean. The function may call the model
            more than once. A loss of several terms puts each into the dict `loss_terms` by its
            name, without its weight and without gradient.
    """

    name: str
    loss: Loss


def _no_teacher(hyper: Any) -> None:
    """Return None: the trial needs no teacher."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A way to train a model on a task.

    Attributes:
        name: its name in studies.
        hyper: its hyperparameters, a subclass of `Hyperparameters`.
        stages: run in order, each from the pretrained weights and in a trial of its own.
        heads: the heads of the tasks that it can train.
        teacher_configuration: returns, for a trial's hyperparameters, the full configuration of the
            trial of an earlier stage whose model is its teacher; None if it needs no teacher.
        incompatibility: returns, for a task's head and a trial's hyperparameters, the name of a
            hyperparameter whose value this head does not support, and the reason; None if all are
            supported.
    """

    name: str
    hyper: type[Hyperparameters]
    stages: tuple[Stage, ...]
    heads: tuple[Head, ...]
    teacher_configuration: Callable[[Any], dict[str, Any] | None] = _no_teacher
    incompatibility: Callable[[Head, Any], tuple[str, str] | None] = lambda head, hyper: None

    def trains(self, head: Head) -> bool:
        """Return whether the recipe can train the tasks of a head."""
        return head in self.heads

    @property
    def has_teachers(self) -> bool:
        """Whether a trial may need a teacher."""
        return self.teacher_configuration is not _no_teacher

    def stage_of(self, hyper: Hyperparameters) -> Stage:
        """Return the stage of a trial with these hyperparameters."""
        return self.stages[getattr(hyper, "stages", 1) - 1]
