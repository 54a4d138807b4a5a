"""Cross-Thought (Wang et al., 2020): pre-training on blocks of short sequences.

The sequences of a block attend to each other through sentence slots. Pairs of sentences are
classified through the same slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from ..search_space import Number
from ..tasks import Head
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

    CONFIG_NAMES: ClassVar[dict[str, str]] = {
        "layers": "num_hidden_layers",
        "slots": "slots",
        "cross_layers": "cross_layers",
        "length": "short_length",
        "places": "max_position_embeddings",
        "positions": "positions",
        "fusion": "fusion",
    }

    READ_BY_HEADS: ClassVar[dict[str, tuple[Head, ...]]] = {
        **Hyperparameters.READ_BY_HEADS,
        **dict.fromkeys(("block", "length", "places", "mask_share"), ("thought",)),
        **dict.fromkeys(("positions", "fusion"), ("classify", "regress")),
    }

    layers: Count = Field(
        None, description="layers below the cross-sequence ones; none: the model's own"
    )
    slots: SlotCount = Field(
        None, description="sentence slots before every sequence; none: the model's own"
    )
    cross_layers: CrossLayerCount = Field(
        None, description="cross-sequence layers: 0 for a plain encoder; none: the model's own"
    )
    block: int = Field(
        500, ge=1, description="thought: sequences of a block, which attend to each other"
    )
    length: int = Field(64, ge=2, le=448, description="thought: tokens of a sequence")
    places: Count = Field(
        None,
        description="thought: size of the position table of a model from scratch; the longest "
        "sentence and the largest offset share it; none: the model's own",
    )
    mask_share: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.15, description="thought: share of the tokens that are masked and predicted"
    )
    positions: Positions = Field(
        None, description="of pairs: from 1 as in the released code, or as in pre-training"
    )
    fusion: Fusion = Field(
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
