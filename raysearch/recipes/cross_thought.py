"""Cross-Thought (Wang et al., 2020): pre-training on blocks of short sequences that see each other
through sentence slots, and classification of pairs through the same slots."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from ..search_space import Number
from ..tasks import Head
from .finetune import IGNORE_INDEX, LossTerms, Normalizers, finetune_loss
from .hyperparameters import Hyperparameters, none_for_false
from .recipe import Recipe, Stage

Count = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(none_for_false)]


class CrossThoughtHyperparameters(Hyperparameters):
    """What a Cross-Thought encoder and its blocks look like; none leaves the model's own."""

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
    slots: Annotated[Annotated[int, Field(ge=1, le=62)] | None, BeforeValidator(none_for_false)] = (
        Field(None, description="sentence slots before every sequence; none: the model's own")
    )
    cross_layers: Annotated[Literal[0, 2] | None, BeforeValidator(none_for_false)] = Field(
        None, description="cross-sequence layers: 0 for a plain encoder; none: the model's own"
    )
    block: int = Field(500, ge=1, description="thought: sequences of a block, which see each other")
    length: int = Field(64, ge=2, le=448, description="thought: tokens of a sequence")
    places: Count = Field(
        None, description="thought: size of the position table of a model from scratch, which the "
        "longest sentence and the farthest offset share; none: the model's own",
    )  # fmt: skip
    mask_share: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.15, description="thought: share of the tokens that are to be guessed"
    )
    positions: Annotated[
        Literal["released", "matching"] | None, BeforeValidator(none_for_false)
    ] = Field(None, description="of pairs: from 1 as in the released code, or as in pre-training")
    fusion: Annotated[Literal["mean", "concatenate"] | None, BeforeValidator(none_for_false)] = (
        Field(None, description="of pairs: mean of both embeddings (released), or both (paper)")
    )


def cross_thought_loss(
    model: Any, batch: dict[str, Any], hyper: CrossThoughtHyperparameters,
    over: Normalizers | None = None, teacher: Any = None, terms: LossTerms | None = None,
) -> Any:  # fmt: skip
    """Mean cross entropy of the masked tokens of a text; of labelled examples, fine-tuning's loss.

    Args:
        batch: of a text `masked`, [blocks, tokens], the tokens to guess, -100 elsewhere.
    """
    if "masked" not in batch:
        return finetune_loss(model, batch, hyper, over)
    inputs = {name: x for name, x in batch.items() if name != "masked"}
    loss = model(**inputs, labels=batch["masked"]).loss
    return loss * (batch["masked"] != IGNORE_INDEX).sum() / over["units"] if over else loss


RECIPE = Recipe(
    name="cross_thought",
    hyper=CrossThoughtHyperparameters,
    stages=(Stage(name="cross_thought", loss=cross_thought_loss),),
    heads=("thought", "classify", "regress"),
)
