"""The encoder of AMOS and COCO-LM for transformers.

It is BERT's encoder with a bias for each head and distance, which all layers share. It is apart
from `modeling_heads` because every head is built on it.
"""

import math
from typing import TYPE_CHECKING, Any, cast

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

# The bias of a padded key. Its weight is 0 in every precision, float16 can hold it, and an example
# of padding alone gets finite weights, where -inf would give NaN.
MASKED_SCORE = -3e4


def relative_position_bucket(distance: torch.Tensor, bins: int, furthest: int) -> torch.Tensor:
    """Return the row of the bias table for each distance.

    Distances up to bins / 4 have a row each. Further ones share rows, each wider than the previous
    by a constant factor, until `furthest`. The table's last row is not used. T5 rounds in the other
    direction.

    Args:
        distance: integers, position of the key minus position of the query, of any shape.
        bins: rows of the table.
        furthest: the distance from which on all distances share a row.
    """
    half = bins // 2
    exact = half // 2
    absolute = distance.abs()
    log_ratio = torch.log(absolute.clamp(min=exact).float() / exact)
    far = log_ratio / math.log((furthest - 1) / exact)
    shared = (exact + torch.ceil(far * (half - 1 - exact)).long()).clamp(max=half - 1)
    return torch.where(absolute < exact, absolute, shared) * distance.sign() + half - 1


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
    """Compute attention in plain steps, as transformers' "eager" attention.

    The softmax is computed in float32 or more.

    Args:
        module: the attention layer; dropout is applied if it is in training mode.
        query: [examples, heads, tokens, size].
        key: [examples, heads, tokens, size].
        value: [examples, heads, tokens, size].
        attention_mask: added to the scores, [examples or 1, heads, tokens, tokens].
        scaling: factor of the queries.
        dropout: rate of the weights' dropout.

    Returns:
        The attended values, [examples, tokens, heads, size], and the weights,
        [examples, heads, tokens, tokens].
    """
    scores = (query * scaling) @ key.transpose(-1, -2) + attention_mask
    precise = torch.promote_types(scores.dtype, torch.float32)
    weights = scores.softmax(-1, dtype=precise).to(value.dtype)
    weights = functional.dropout(weights, dropout, module.training)
    return (weights @ value).transpose(1, 2), weights


class AmosSelfAttention(nn.Module):
    """Bidirectional self-attention; queries, keys and values come from one projection."""

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
        """Return the output, [examples, tokens, width], and the weights if they are available.

        Args:
            hidden: [examples, tokens, width].
            bias: added to the scores, [examples or 1, heads, tokens, tokens].
            kwargs: passed on to the attention function.
        """
        query, key, value = self.in_proj(hidden).unflatten(-1, (3, -1, self.size)).unbind(2)
        name = self.config._attn_implementation
        context, weights = ALL_ATTENTION_FUNCTIONS.get_interface(name, attend_with_bias)(
            self,
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            bias,
            scaling=self.size**-0.5,
            dropout=self.dropout.p if self.training else 0.0,
            **kwargs,
        )
        return self.out_proj(context.flatten(2)), weights


class AmosLayer(GradientCheckpointingLayer):  # type: ignore[no-untyped-call]  # not typed
    """One layer: attention and a feed-forward network, each with residual and LayerNorm."""

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
        """Return the layer's hidden states, [examples, tokens, width].

        Args:
            hidden: [examples, tokens, width].
            bias: added to the attention scores, [examples or 1, heads, tokens, tokens].
            kwargs: passed on to the attention function.
        """
        attended, _ = self.attention["self_attn"](hidden, bias, **kwargs)
        hidden = self.attention["LayerNorm"](hidden + self.dropout(attended))
        inner = self.activation(self.intermediate["dense"](hidden))
        states: torch.Tensor = self.output["LayerNorm"](
            hidden + self.dropout(self.output["dense"](inner))
        )
        return states


class AmosPreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]  # not typed
    """The base class of the family's models, with what transformers must know of them."""

    config: AmosConfig
    base_model_prefix = "amos"
    supports_gradient_checkpointing = True
    _supports_sdpa = True  # flash and flex attention support no bias for each head
    _input_embed_layer = "word_embeddings"
    _no_split_modules = ["AmosLayer"]  # noqa: RUF012
    _can_record_outputs = {"hidden_states": AmosLayer, "attentions": AmosSelfAttention}  # noqa: RUF012

    if TYPE_CHECKING:  # transformers does not type these methods

        def __init_subclass__(cls, **kwargs: Any) -> None: ...
        def post_init(self) -> None: ...  # noqa: D102
        def _init_weights(self, module: nn.Module) -> None: ...


class AmosEmbeddings(nn.Module):
    """Word and position embeddings; positions start at 0 and count padding too."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(
            config.vocab_size, width, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Add the position embeddings and normalize.

        Args:
            words: word embeddings, [examples, tokens, width].

        Returns:
            [examples, tokens, width].

        Raises:
            ValueError: there are more tokens than positions.
        """
        positions = self.position_embeddings.weight
        if words.shape[1] > len(positions):
            raise ValueError(f"{words.shape[1]} tokens in a row; {len(positions)} have positions")
        embeddings: torch.Tensor = self.dropout(self.LayerNorm(words + positions[: words.shape[1]]))
        return embeddings


class AmosModel(AmosPreTrainedModel):
    """The encoder, without a head."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.embeddings = AmosEmbeddings(config)
        self.relative_attention_bias = nn.Embedding(config.rel_pos_bins, config.num_attention_heads)
        layers = nn.ModuleList(AmosLayer(config) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.post_init()

    def bias(self, tokens: int) -> torch.Tensor:
        """Return the bias of each key (column) for each query (row), [1, heads, tokens, tokens]."""
        table = self.relative_attention_bias
        distance = torch.arange(1 - tokens, tokens, device=table.weight.device)
        rows: torch.Tensor = table(
            relative_position_bucket(distance, self.config.rel_pos_bins, self.config.max_rel_pos)
        )
        return rows.T.unfold(1, tokens, 1).flip(1)[None]

    @capture_outputs  # type: ignore[untyped-decorator]  # not typed
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """Return the hidden states as `last_hidden_state`, [examples, tokens, width].

        Args:
            input_ids: token ids, [examples, tokens].
            attention_mask: 0 for padding, [examples, tokens]; None: there is no padding.
            token_type_ids: not used.
            inputs_embeds: word embeddings instead of `input_ids`, [examples, tokens, width].
            kwargs: passed on to the attention function.

        Raises:
            ValueError: not exactly one of `input_ids` and `inputs_embeds` is given, or there are
                more tokens than positions.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("one of input_ids and inputs_embeds must be given, and not both")
        if inputs_embeds is None:
            inputs_embeds = self.embeddings.word_embeddings(input_ids)
        hidden, bias = self.embeddings(inputs_embeds), self.bias(inputs_embeds.shape[1])
        if attention_mask is not None:
            hidden = hidden * attention_mask[..., None].to(hidden.dtype)
            bias = torch.where(attention_mask[:, None, None].bool(), bias, MASKED_SCORE)
        for layer in cast(nn.ModuleList, self.encoder["layer"]):
            hidden = layer(hidden, bias, **kwargs)
        return BaseModelOutput(last_hidden_state=hidden)
