"""The shape of a Cross-Thought encoder. It loads no model."""

from transformers import RobertaConfig

from ..configuration_rules import refuse_values, register_auto_classes


class CrossThoughtConfig(RobertaConfig):
    """RoBERTa's fields, and those of the slots. Raises ValueError for values that cannot be.

    Attributes:
        slots: `<s>` tokens in front of a sequence; their last states are its sentence embedding.
        cross_layers: 2, or 0 for none. One is across sequences, one inside each: without the
            second, the words of pre-training would not learn what the slots have read.
        short_length: words of a short sequence in pre-training.
        positions: of fine-tuning, from 1 (`released`) or from 0 as in pre-training (`matching`).
        fusion: the `mean` of a pair's sentence embeddings (the released code), or `concatenate`,
            one beside the other (the paper).
    """

    model_type = "cross_thought"
    layer_norm_eps: float = 1e-5
    max_position_embeddings: int = 514
    type_vocab_size: int = 1
    slots: int = 5
    cross_layers: int = 2
    short_length: int = 64
    positions: str = "released"
    fusion: str = "mean"

    def __post_init__(self, **rest: object) -> None:
        super().__post_init__(**rest)
        register_auto_classes(self)
        least = self.slots + self.short_length + 4
        rules = {
            "slots": (self.slots > 0, "1 or more"),
            "short_length": (self.short_length > 0, "1 or more"),
            "max_position_embeddings": (self.highest_offset > 0, f"{least} or more"),
            "cross_layers": (self.cross_layers in (0, 2), "0 or 2"),
            "positions": (self.positions in ("released", "matching"), "'released' or 'matching'"),
            "fusion": (self.fusion in ("mean", "concatenate"), "'mean' or 'concatenate'"),
        }
        refuse_values(self, rules)

    @property
    def first_position(self) -> int:
        """The position of a sentence's first slot in fine-tuning."""
        return int(self.positions == "released")

    @property
    def longest_sentence(self) -> int:
        """The most tokens of a sentence in fine-tuning, its `<s>` and `</s>` among them."""
        return self.max_position_embeddings - self.first_position - self.slots + 1

    @property
    def highest_offset(self) -> int:
        """The highest offset of pre-training: 442 for the released sizes."""
        return self.max_position_embeddings - 3 - self.slots - self.short_length
