"""The encoder of AMOS and COCO-LM as a transformers family: BERT's layers, and one bias for each
head and distance, which all layers share. It knows no file of the published checkpoints."""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.output_capturing import capture_outputs

from .configuration import AmosConfig

# The bias of a padded key. Its weight is 0 in every precision, float16 holds it, and an example of
# nothing but padding gets finite weights, where -inf would give NaN.
MASKED_SCORE = -3e4


def relative_position_bucket(distance: torch.Tensor, bins: int, furthest: int) -> torch.Tensor:
    """Row of the bias table for integer distances, key minus query.

    Distances up to bins / 4 have a row each. Further ones share rows, each wider than the last by
    a constant factor, until `furthest`; the table's last row is nobody's. T5 rounds the other way.
    """
    half = bins // 2
    exact = half // 2
    away = distance.abs()
    far = torch.log(away.clamp(min=exact).float() / exact) / math.log((furthest - 1) / exact)
    shared = (exact + torch.ceil(far * (half - 1 - exact)).long()).clamp(max=half - 1)
    return torch.where(away < exact, away, shared) * distance.sign() + half - 1


def attend_with_bias(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention in plain steps: [examples, heads, tokens, size] -> [examples, tokens, heads, size]
    and the weights [examples, heads, tokens, tokens]. The softmax is of at least float32."""
    scores = (query * scaling) @ key.transpose(-1, -2) + attention_mask
    precise = torch.promote_types(scores.dtype, torch.float32)
    weights = scores.softmax(-1, dtype=precise).to(value.dtype)
    weights = functional.dropout(weights, dropout, module.training)
    return (weights @ value).transpose(1, 2), weights


class AmosSelfAttention(nn.Module):
    """Every token reads every token; queries, keys and values come from one projection."""

    is_causal = False

    def __init__(self, config: AmosConfig) -> None:
        super().__init__()
        self.config = config
        self.size = config.hidden_size // config.num_attention_heads
        self.in_proj = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(
        self, hidden: torch.Tensor, bias: torch.Tensor, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[examples, tokens, width] -> the same, and the weights where they are to be had."""
        parts = self.in_proj(hidden).unflatten(-1, (3, -1, self.size)).unbind(2)
        name = self.config._attn_implementation
        context, weights = ALL_ATTENTION_FUNCTIONS.get_interface(name, attend_with_bias)(
            self, *(part.transpose(1, 2) for part in parts), bias, scaling=self.size**-0.5,
            dropout=self.dropout.p if self.training else 0.0, **kwargs,
        )  # fmt: skip
        return self.out_proj(context.flatten(2)), weights


class AmosLayer(GradientCheckpointingLayer):
    """Attention and two dense layers, each added to what it read and then normed."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size

        def norm() -> nn.LayerNorm:
            return nn.LayerNorm(width, eps=config.layer_norm_eps)

        # Dictionaries, so that the parameters have the names of the published folders.
        attention = {"self_attn": AmosSelfAttention(config), "LayerNorm": norm()}
        self.attention = nn.ModuleDict(attention)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = nn.ModuleDict({"dense": nn.Linear(inner, width), "LayerNorm": norm()})
        self.activation = ACT2FN[config.hidden_act]
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: torch.Tensor, bias: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """[examples, tokens, width] -> the same; bias [examples or 1, heads, tokens, tokens]."""
        read, _ = self.attention["self_attn"](hidden, bias, **kwargs)
        hidden = self.attention["LayerNorm"](hidden + self.dropout(read))
        inner = self.activation(self.intermediate["dense"](hidden))
        return self.output["LayerNorm"](hidden + self.dropout(self.output["dense"](inner)))


class AmosPreTrainedModel(PreTrainedModel):
    """What transformers must know of the family."""

    config: AmosConfig
    base_model_prefix = "amos"
    supports_gradient_checkpointing = True
    _supports_sdpa = True  # flash and flex attention take no bias for each head
    _input_embed_layer = "word_embeddings"
    _no_split_modules = ["AmosLayer"]  # noqa: RUF012
    _can_record_outputs = {"hidden_states": AmosLayer, "attentions": AmosSelfAttention}  # noqa: RUF012


class AmosEmbeddings(nn.Module):
    """Words and positions, from 0 and over padding too."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__()
        words, places, width = config.vocab_size, config.max_position_embeddings, config.hidden_size
        self.word_embeddings = nn.Embedding(words, width, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(places, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """[examples, tokens, width] of words -> the same with positions, normed."""
        places = self.position_embeddings.weight
        if words.shape[1] > len(places):
            raise ValueError(f"{words.shape[1]} tokens in a row; {len(places)} have positions")
        return self.dropout(self.LayerNorm(words + places[: words.shape[1]]))


class AmosModel(AmosPreTrainedModel):
    """The encoder."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.embeddings = AmosEmbeddings(config)
        self.relative_attention_bias = nn.Embedding(config.rel_pos_bins, config.num_attention_heads)
        layers = (AmosLayer(config) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})
        self.post_init()

    def bias(self, tokens: int) -> torch.Tensor:
        """[1, heads, tokens, tokens]: what a query's (row's) scores of keys (columns) get added."""
        table = self.relative_attention_bias
        distance = torch.arange(1 - tokens, tokens, device=table.weight.device)
        rows = table(
            relative_position_bucket(distance, self.config.rel_pos_bins, self.config.max_rel_pos)
        )
        return rows.T.unfold(1, tokens, 1).flip(1)[None]

    @capture_outputs
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """[examples, tokens] -> last_hidden_state [examples, tokens, width].

        `attention_mask` is 0 at padding, none: no padding; `token_type_ids` are not read, and
        `inputs_embeds` [examples, tokens, width] stand for the words of `input_ids`.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("one of input_ids and inputs_embeds must be given, and not both")
        if inputs_embeds is None:
            inputs_embeds = self.embeddings.word_embeddings(input_ids)
        hidden, bias = self.embeddings(inputs_embeds), self.bias(inputs_embeds.shape[1])
        if attention_mask is not None:
            hidden = hidden * attention_mask[..., None].to(hidden.dtype)
            bias = torch.where(attention_mask[:, None, None].bool(), bias, MASKED_SCORE)
        for layer in self.encoder["layer"]:
            hidden = layer(hidden, bias, **kwargs)
        return BaseModelOutput(last_hidden_state=hidden)
