"""AmosConfig: the configuration of AMOS and COCO-LM.

It is apart from the models so that a configuration can be read without loading them.
"""

from typing import Any

from transformers import PreTrainedConfig

from ..configuration_rules import refuse_values, register_auto_classes

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "rel_pos_bins",
    "max_rel_pos",
)
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")


class AmosConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]  # not typed
    """The configuration of an AMOS or COCO-LM encoder; the defaults are those of the base models.

    Attributes:
        rel_pos_bins: rows of the table of relative position biases.
        max_rel_pos: the distance from which on all distances share a row.
        head_activation: "tanh" as in the papers' fairseq code, or "gelu" as in their Hugging Face
            folders.
        head_init: how a head's weights are drawn: "default" like those of nn.Linear, as in the
            fairseq code, or "normal" as in the Hugging Face folders.

    Raises:
        ValueError: a value is invalid.
    """

    model_type = "amos"

    vocab_size: int = 64000
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: int = 512
    rel_pos_bins: int = 64
    max_rel_pos: int = 128
    type_vocab_size: int = 0
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float = 0.1
    head_activation: str = "tanh"
    head_init: str = "default"
    bos_token_id: int = 0
    cls_token_id: int = 0
    pad_token_id: int = 1
    eos_token_id: int = 2
    sep_token_id: int = 2
    unk_token_id: int = 3

    def __post_init__(self, **kwargs: Any) -> None:
        from transformers.activations import ACT2FN

        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]  # not typed
        register_auto_classes(self)
        refuse_values(
            self, {name: (_is_positive(getattr(self, name)), "1 or more") for name in _SIZES}
        )
        heads, bins, tokens = self.num_attention_heads, self.rel_pos_bins, self.vocab_size
        known_activation = self.hidden_act in ACT2FN
        rules = {n: (0 <= getattr(self, n) < 1, "from 0 to below 1") for n in _DROPOUTS}
        rules |= {
            "hidden_size": (self.hidden_size % heads == 0, f"a multiple of the {heads} heads"),
            "rel_pos_bins": (bins >= 4 and bins % 2 == 0, "an even number, 4 or more"),
            "max_rel_pos": (self.max_rel_pos > bins // 4 + 1, f"above {bins // 4 + 1}"),
            "type_vocab_size": (self.type_vocab_size == 0, "0: there are no segments"),
            "pad_token_id": (self.pad_token_id in range(tokens), f"from 0 to {tokens - 1}"),
            "hidden_act": (known_activation, "an activation that transformers knows, such as gelu"),
            "head_activation": (self.head_activation in ("tanh", "gelu"), "tanh or gelu"),
            "head_init": (self.head_init in ("default", "normal"), "default or normal"),
        }
        refuse_values(self, rules)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and value > 0
