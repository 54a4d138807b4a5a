"""An exact saving: training passes that compute no padding, for models with BERT's layers.

All parts of a layer but attention work token by token, so they need no rows. Apart because it
replaces the passes of transformers' embeddings and encoders.
"""

from functools import partial
from types import TracebackType
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from .first_token_only import computed_tokens, sample_pair
from .unpadded_attention import TokenLayout, UnpaddedAttention

# Models of transformers whose embeddings, layers and passes are BERT's.
_MODELS = ("BertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel", "ElectraModel")


@torch.no_grad()
def can_be_unpadded(model: PreTrainedModel) -> bool:
    """Return whether `UnpaddedPasses` gives what a model's own passes give.

    Its class tells that it has BERT's layers, and two rows of different lengths that this version
    of transformers computes what is expected here.

    Args:
        model: with its head, not on the meta device, its word embedding whole.
    """
    base: Any = model.base_model
    if type(base).__name__ not in _MODELS or base is model or model.config.is_decoder:
        return False
    if computed_tokens(base.encoder.layer[-1]) not in (None, 1):
        return False
    ids = sample_pair(model).repeat(2, 1)
    mask = torch.ones_like(ids)
    ids[1, 3:], mask[1, 3:] = model.config.pad_token_id or 0, 0
    training = model.training
    model.train(False)
    try:
        expected = base(input_ids=ids, attention_mask=mask)[0]
        with UnpaddedPasses(model, evaluation=True):
            found = base(input_ids=ids, attention_mask=mask)[0]
    finally:
        model.train(training)
    real = mask[:, : expected.shape[1], None]
    return torch.allclose(found * real, expected * real, rtol=1e-3, atol=1e-4)


class UnpaddedPasses:
    """A context in which a model's training passes compute no padding.

    Within it, `model(input_ids, attention_mask, ...)` gives what it gives outside, but zeros where
    hidden states of padding would stand. Passes without an attention mask, with other embeddings
    than those of `input_ids`, or in evaluation mode, are left as they are.

    Args:
        model: a model that `can_be_unpadded` accepts.
        evaluation: whether passes in evaluation mode are changed too.
    """

    def __init__(self, model: torch.nn.Module, *, evaluation: bool = False) -> None:
        pretrained: Any = model
        self._base = pretrained.base_model
        self._evaluation = evaluation
        self._computed_tokens = computed_tokens(self._base.encoder.layer[-1])
        self._heads = int(pretrained.config.num_attention_heads)
        self._layout: TokenLayout | None = None  # of the pass in progress
        self._hook: Any = None

    def __enter__(self) -> None:
        embeddings, encoder = self._base.embeddings, self._base.encoder
        self._hook = self._base.register_forward_pre_hook(self._begin, with_kwargs=True)
        embeddings.forward = partial(self._embed, embeddings.forward)
        encoder.forward = partial(self._encode, encoder.forward)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hook.remove()
        del self._base.embeddings.forward, self._base.encoder.forward

    def _begin(self, base: Any, args: Any, inputs: dict[str, Any]) -> Any:
        """Take the mask out of a pass, and keep the layout that it stands for."""
        mask = inputs.get("attention_mask")
        usual = (base.training or self._evaluation) and inputs.get("inputs_embeds") is None
        self._layout = None
        if not usual or mask is None or mask.dim() != 2:
            return args, inputs
        self._layout = TokenLayout(mask, self._heads)
        return args, {**inputs, "attention_mask": None}

    def _embed(
        self,
        embed: Any,
        input_ids: Any = None,
        token_type_ids: Any = None,
        position_ids: Any = None,
        **others: Any,
    ) -> torch.Tensor:
        """Return the embeddings [1, tokens, width] of a batch."""
        layout = self._layout
        if layout is not None:
            if position_ids is None:
                position_ids = _positions(self._base.embeddings, input_ids)
            position_ids = layout.flatten(position_ids.expand_as(input_ids))
            if token_type_ids is not None:
                token_type_ids = layout.flatten(token_type_ids)
            input_ids = layout.flatten(input_ids)
        embedded: torch.Tensor = embed(
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            **others,
        )
        return embedded

    def _encode(self, encode: Any, hidden_states: torch.Tensor, *args: Any, **others: Any) -> Any:
        """Return the last hidden states of a batch, [rows, length or first tokens, width]."""
        layout = self._layout
        if layout is None:
            return encode(hidden_states, *args, **others)
        states, layers = hidden_states[0], self._base.encoder.layer
        for depth, layer in enumerate(layers, 1):
            first_only = self._computed_tokens is not None and depth == len(layers)
            run = partial(_layer_forward, layer)
            if layer.gradient_checkpointing and layer.training:
                states = layer._gradient_checkpointing_func(run, states, layout, first_only)
            else:
                states = run(states, layout, first_only)
        if self._computed_tokens is None:
            states = layout.restore(states)
        else:
            states = layout.in_batch_order(states)[:, None]
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=states)


def _layer_forward(
    layer: Any, states: torch.Tensor, layout: TokenLayout, first_only: bool
) -> torch.Tensor:
    """Return the output of BertLayer.forward for all tokens, or for first tokens alone.

    Args:
        layer: one of BERT's.
        states: [tokens, width].
        layout: of the tokens.
        first_only: whether only the first token of each row is computed, in the layout's order.
    """
    attention = layer.attention.self
    chosen = states[layout.starts] if first_only else states
    context = UnpaddedAttention.apply(  # type: ignore[no-untyped-call]  # torch's
        attention.query(chosen),
        attention.key(states),
        attention.value(states),
        layout,
        attention.num_attention_heads,
        attention.dropout.p if layer.training else 0.0,
    )
    output: torch.Tensor = layer.feed_forward_chunk(layer.attention.output(context, chosen))
    return output


def _positions(embeddings: Any, input_ids: torch.Tensor) -> torch.Tensor:
    """Return the positions that embeddings give to the tokens of a batch, int64 [rows, length]."""
    if hasattr(embeddings, "create_position_ids_from_input_ids"):  # RoBERTa's
        positions: torch.Tensor = embeddings.create_position_ids_from_input_ids(
            input_ids, embeddings.padding_idx
        )
        return positions
    return torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
