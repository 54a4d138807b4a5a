"""CrossThoughtConfig: the configuration of Cross-Thought.

It is apart from the models so that a configuration can be read without loading them.
"""

from transformers import RobertaConfig

from ..configuration_rules import refuse_values, register_auto_classes


class CrossThoughtConfig(RobertaConfig):  # type: ignore[no-untyped-call]  # not typed
    """The configuration of a Cross-Thought encoder: RoBERTa's fields and those of the slots.

    Attributes:
        slots: number of `<s>` tokens before a sequence; their last hidden states are its sentence
            embedding.
        cross_layers: 2, or 0 for none. One is across sequences, one within each: without the
            second, the words of pre-training would not learn what the slots have read.
        short_length: words of a short sequence in pre-training.
        positions: where positions start in fine-tuning: at 1 ("released"), or at 0 as in
            pre-training ("matching").
        fusion: how the sentence embeddings of a pair are combined: by their "mean" (the released
            code), or "concatenate" (the paper).

    Raises:
        ValueError: a value is invalid.
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

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]  # not typed
        register_auto_classes(self)
        min_positions = self.slots + self.short_length + 4
        rules = {
            "slots": (self.slots > 0, "1 or more"),
            "short_length": (self.short_length > 0, "1 or more"),
            "max_position_embeddings": (self.highest_offset > 0, f"{min_positions} or more"),
            "cross_layers": (self.cross_layers in (0, 2), "0 or 2"),
            "positions": (self.positions in ("released", "matching"), "'released' or 'matching'"),
            "fusion": (self.fusion in ("mean", "concatenate"), "'mean' or 'concatenate'"),
        }
        refuse_values(self, rules)

    @property
    def first_position(self) -> int:
        """Return the position of a sentence's first slot in fine-tuning."""
        return int(self.positions == "released")

    @property
    def longest_sentence(self) -> int:
        """Return the most tokens of a sentence in fine-tuning, with `<s>` and `</s>`."""
        return self.max_position_embeddings - self.first_position - self.slots + 1

    @property
    def highest_offset(self) -> int:
        """Return the highest offset of pre-training: 442 for the released sizes."""
        return self.max_position_embeddings - 3 - self.slots - self.short_length
