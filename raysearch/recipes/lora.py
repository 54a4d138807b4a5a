"""LoRA (Hu et al., 2021): plain fine-tuning of adapters and the head; the encoder is frozen.

Every recipe takes the hyperparameters of adapters, which know nothing of losses. This one is
`finetune` with adapters by default, and a learning rate as the paper has it.
"""

from pydantic import Field

from .finetune import finetune_loss
from .hyperparameters import Hyperparameters, Rate
from .recipe import Recipe, Stage


class LoraHyperparameters(Hyperparameters):
    """The hyperparameters of fine-tuning, with adapters."""

    LR: Rate = Field(4e-4, description="peak learning rate")
    lora_rank: int = Field(
        8,
        ge=1,
        description="rank of adapters on the encoder, which is frozen; none: all is trained",
    )


RECIPE = Recipe(
    name="lora",
    hyper=LoraHyperparameters,
    stages=(Stage(name="lora", loss=finetune_loss),),
    heads=("classify", "regress", "choose", "span", "tag"),
)
