"""R-Drop (Liang et al., 2021): every example passes through the model twice, with two dropouts, and
what it says both times must agree."""

from typing import Any

from pydantic import Field

from ..search_space import Number
from .consistency_losses import dropout_loss
from .finetune import IGNORE_INDEX, LossTerms, Normalizers, model_outputs, supervised_loss
from .hyperparameters import Hyperparameters
from .recipe import Recipe, Stage


class RDropHyperparameters(Hyperparameters):
    """Fine-tuning's, and how much agreement counts."""

    agreement: Number = Field(
        0.5, ge=0, description="weight of the passes' divergence beside their mean loss"
    )


def r_drop_loss(
    model: Any, batch: dict[str, Any], hyper: RDropHyperparameters,
    over: Normalizers | None = None, teacher: Any = None, terms: LossTerms | None = None,
) -> Any:  # fmt: skip
    """The mean of both passes' losses + agreement * (KL(one || two) + KL(two || one)) / 2.

    The paper's loss, the sum of both and alpha times the same, is twice this with an agreement of
    alpha / 2. Of scores their squared difference stands for the divergence, of spans the mean of
    start's and end's.

    Args:
        batch: as of `finetune_loss`.
    """
    from torch.nn import functional

    one, two = model_outputs(model, batch), model_outputs(model, batch)
    both = (supervised_loss(one, batch, hyper, over) + supervised_loss(two, batch, hyper, over)) / 2
    count = over and over["units"]
    if "start" in batch:
        ends = (one.start, two.start), (one.end, two.end)
        apart = sum(dropout_loss(*pair, over=count) for pair in ends) / 2
    elif batch["labels"].is_floating_point():
        apart = functional.mse_loss(one, two, reduction="sum") / (count or len(one))
    else:
        apart = dropout_loss(one, two, batch["labels"] != IGNORE_INDEX, over=count)
    if terms is not None:
        terms |= {"task": both.detach(), "divergence": apart.detach()}
    return both + hyper.agreement * apart


RECIPE = Recipe(
    name="r_drop",
    hyper=RDropHyperparameters,
    stages=(Stage(name="r_drop", loss=r_drop_loss),),
    heads=("classify", "regress", "choose", "span", "tag"),
)
