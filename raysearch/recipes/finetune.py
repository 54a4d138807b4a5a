"""Plain fine-tuning: the task's own loss on the labelled examples.

The other recipes build on its functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .hyperparameters import Hyperparameters
from .recipe import Recipe, Stage
from .task_losses import task_loss_of

if TYPE_CHECKING:
    from torch import Tensor

Normalizers = Mapping[str, int]  # counts of a step: its mean loss is over its "units"
LossTerms = dict[str, "Tensor"]  # name -> term of a loss, a tensor without gradient, for reports


def finetune_loss(
    model: Any,
    batch: dict[str, Any],
    hyper: Hyperparameters,
    normalizers: Normalizers | None = None,
    teacher: Any = None,
    loss_terms: LossTerms | None = None,
) -> Tensor:
    """Return the loss of plain fine-tuning (Devlin et al., 2019).

    It is the cross entropy over classes, options or tags, the squared error of a regression, or the
    loss of an answer's start and end (see `task_losses`).

    Args:
        model: returns `logits`, [examples, outputs], or [examples, words, tags] for tags; for spans
            an object with their scores.
        batch: the model's inputs, and `labels`: int64 classes or float32 numbers, [examples], or
            int64 tags, [examples, words].
        hyper: the trial's hyperparameters.
        normalizers: the counts of the step that the batch is a part of; None: the batch is the
            step.
        teacher: not used.
        loss_terms: not used; the loss has one term.

    Returns:
        A scalar of at least float32: the batch's part of the mean over the examples of the step,
        over its words for tags.
    """
    return supervised_loss(model_outputs(model, batch), batch, hyper, normalizers)


def model_outputs(model: Any, batch: dict[str, Any]) -> Any:
    """Return the model's outputs: an object with the scores of spans, or logits (float32 or wider).

    Args:
        model: see `finetune_loss`.
        batch: its inputs; `labels` is not passed to the model.
    """
    return task_loss_of(batch).outputs(model, batch)


def supervised_loss(
    outputs: Any,
    batch: dict[str, Any],
    hyper: Hyperparameters,
    normalizers: Normalizers | None = None,
) -> Tensor:
    """Return the task's own loss of a model's outputs; see `finetune_loss`."""
    total, count = task_loss_of(batch).total(outputs, batch, hyper)
    return total / (max(1, normalizers["units"]) if normalizers else count)


RECIPE = Recipe(
    name="finetune",
    hyper=Hyperparameters,
    stages=(Stage(name="finetune", loss=finetune_loss),),
    heads=("classify", "regress", "choose", "span", "cloze", "tag"),
)
