"""Cross-Thought (Wang et al., 2020): pre-training on blocks of short sequences.

The sequences of a block attend to each other through sentence slots. Pairs of sentences are
classified through the same slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..search_space import Number
from .field_metadata import ConfigName, ReadBy
from .finetune import LossTerms, Normalizers, finetune_loss
from .hyperparameters import Hyperparameters, none_for_false
from .recipe import Recipe, Stage
from .task_losses import IGNORE_INDEX

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(none_for_false)]
SlotCount = Annotated[Annotated[int, Field(ge=1, le=62)] | None, BeforeValidator(none_for_false)]
CrossLayerCount = Annotated[Literal[0, 2] | None, BeforeValidator(none_for_false)]
Positions = Annotated[Literal["released", "matching"] | None, BeforeValidator(none_for_false)]
Fusion = Annotated[Literal["mean", "concatenate"] | None, BeforeValidator(none_for_false)]


class CrossThoughtHyperparameters(Hyperparameters):
    """The shape of a Cross-Thought encoder and of its blocks; none keeps the model's own value."""

    layers: Annotated[Count, ConfigName("num_hidden_layers")] = Field(
        None, description="layers below the cross-sequence ones; none: the model's own"
    )
    slots: Annotated[SlotCount, ConfigName("slots")] = Field(
        None, description="sentence slots before every sequence; none: the model's own"
    )
    cross_layers: Annotated[CrossLayerCount, ConfigName("cross_layers")] = Field(
        None, description="cross-sequence layers: 0 for a plain encoder; none: the model's own"
    )
    block: Annotated[int, ReadBy("thought")] = Field(
        500, ge=1, description="sequences of a block, which attend to each other"
    )
    length: Annotated[int, ReadBy("thought"), ConfigName("short_length")] = Field(
        64, ge=2, le=448, description="tokens of a sequence"
    )
    places: Annotated[Count, ReadBy("thought"), ConfigName("max_position_embeddings")] = Field(
        None,
        description="size of the position table of a model from scratch; the longest "
        "sentence and the largest offset share it; none: the model's own",
    )
    mask_share: Annotated[Number, Field(gt=0, lt=1), ReadBy("thought")] = Field(
        0.15, description="share of the tokens that are masked and predicted"
    )
    positions: Annotated[Positions, ReadBy("classify", "regress"), ConfigName("positions")] = Field(
        None, description="of pairs: from 1 as in the released code, or as in pre-training"
    )
    fusion: Annotated[Fusion, ReadBy("classify", "regress"), ConfigName("fusion")] = Field(
        None, description="of pairs: mean of both embeddings (released), or both (paper)"
    )


def cross_thought_loss(
    model: Any,
    batch: dict[str, Any],
    hyper: CrossThoughtHyperparameters,
    normalizers: Normalizers | None = None,
    teacher: Any = None,
    loss_terms: LossTerms | None = None,
) -> Tensor:
    """Return the mean cross entropy of a text's masked tokens, or `finetune_loss` of examples.

    Args:
        model: returns `loss`, the mean over the masked tokens of a batch of text; for labelled
            examples see `finetune_loss`.
        batch: the model's inputs; for text also `masked`, int64 [blocks, tokens]: the tokens to
            predict, and -100 elsewhere.
        hyper: the trial's hyperparameters.
        normalizers: see `finetune_loss`; the units of text are masked tokens.
        teacher: not used.
        loss_terms: not used; the loss has one term.

    Returns:
        A scalar.
    """
    if "masked" not in batch:
        return finetune_loss(model, batch, hyper, normalizers)
    inputs = {name: x for name, x in batch.items() if name != "masked"}
    loss: Tensor = model(**inputs, labels=batch["masked"]).loss
    if not normalizers:
        return loss
    count: Tensor = (batch["masked"] != IGNORE_INDEX).sum()
    return loss * count / normalizers["units"]


RECIPE = Recipe(
    name="cross_thought",
    hyper=CrossThoughtHyperparameters,
    stages=(Stage(name="cross_thought", loss=cross_thought_loss),),
    heads=("thought", "classify", "regress"),
)
