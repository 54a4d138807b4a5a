"""R-Drop (Liang et al., 2021): the model's outputs under two dropouts of an example must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..search_space import Number
from .finetune import LossTerms, Normalizers, model_outputs, supervised_loss
from .hyperparameters import Hyperparameters
from .recipe import Recipe, Stage
from .task_losses import task_loss_of

if TYPE_CHECKING:
    from torch import Tensor


class RDropHyperparameters(Hyperparameters):
    """The hyperparameters of fine-tuning, and the weight of the agreement."""

    agreement: Number = Field(
        0.5, ge=0, description="weight of the outputs' divergence beside their mean loss"
    )


def r_drop_loss(
    model: Any,
    batch: dict[str, Any],
    hyper: RDropHyperparameters,
    normalizers: Normalizers | None = None,
    teacher: Any = None,
    loss_terms: LossTerms | None = None,
) -> Tensor:
    """Return R-Drop's loss of two forward passes (Liang et al., 2021).

    It is the mean of both passes' losses + agreement * (KL(first || second) + KL(second || first))
    / 2. The paper's loss, the sum of both losses and alpha times the same term, is twice this loss
    with agreement = alpha / 2. For a regression, the squared difference of the scores replaces the
    divergence; for spans it is the mean of the divergences of start and end.

    Args:
        model: see `finetune_loss`.
        batch: see `finetune_loss`.
        hyper: the trial's hyperparameters.
        normalizers: see `finetune_loss`.
        teacher: not used.
        loss_terms: receives "task" and "divergence".

    Returns:
        A scalar.
    """
    first, second = model_outputs(model, batch), model_outputs(model, batch)
    task_loss = (
        supervised_loss(first, batch, hyper, normalizers)
        + supervised_loss(second, batch, hyper, normalizers)
    ) / 2
    count = normalizers["units"] if normalizers else None
    divergence = task_loss_of(batch).divergence(first, second, batch, count)
    if loss_terms is not None:
        loss_terms |= {"task": task_loss.detach(), "divergence": divergence.detach()}
    return task_loss + hyper.agreement * divergence


RECIPE = Recipe(
    name="r_drop",
    hyper=RDropHyperparameters,
    stages=(Stage(name="r_drop", loss=r_drop_loss),),
    heads=("classify", "regress", "choose", "span", "cloze", "tag"),
)
