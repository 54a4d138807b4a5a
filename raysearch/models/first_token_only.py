"""An exact saving: the last layer computes only the first tokens if the head reads no others.

The other tokens still give that layer's keys and values. In a layer of width d, a token saves 10 of
its 12 d^2 multiplications: two fifths of a two-layer model, 7 % of a twelve-layer one. Apart
because it replaces the forward pass of a layer of transformers.
"""

from functools import partial
from types import MethodType
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

# Layers that share their code in transformers, with the attribute names that `_forward` reads.
_LAYERS = ("BertLayer", "RobertaLayer", "XLMRobertaLayer", "CamembertLayer", "ElectraLayer")


def keep_first_token_only(model: PreTrainedModel) -> None:
    """Let a model's last layer give [examples, n, width] instead of [examples, tokens, width].

    Only models with BERT's layers are changed, and only if their head reads `hidden[:, :n]` and
    nothing else; this is tested on the built head, see `_reads_only`. n is the model's
    `tokens_read`, 1 if it has none. A model on the meta device is not changed.

    Args:
        model: changed in place.
    """
    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    if layers is None or type(layers[-1]).__name__ not in _LAYERS or model.config.is_decoder:
        return  # a decoder's attention mask has another form
    count = getattr(model, "tokens_read", 1)
    if next(model.parameters()).device.type != "meta" and _reads_only(model, layers[-1], count):
        layers[-1].forward = MethodType(partial(_forward, count), layers[-1])
        layers[-1].computed_tokens = count


def computed_tokens(layer: torch.nn.Module) -> int | None:
    """Return how many first tokens a layer computes; None: all tokens."""
    count: int | None = getattr(layer, "computed_tokens", None)
    return count


@torch.no_grad()
def _reads_only(model: PreTrainedModel, last: torch.nn.Module, count: int) -> bool:
    """Return whether a model's logits depend on no more than `count` tokens of its last layer.

    The other tokens are set to NaN: if they are read, even with a weight of 0, a logit is NaN.
    """

    def spoil(_: torch.nn.Module, __: Any, output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        states = states.clone()
        states[:, count:] = torch.nan
        return (states, *output[1:]) if isinstance(output, tuple) else states

    ids = sample_pair(model)
    if "MultipleChoice" in type(model).__name__:
        ids = ids[:, None]
    training, hook = model.training, last.register_forward_hook(spoil)
    try:
        logits = model.train(False)(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    finally:
        hook.remove()
        model.train(training)
    return bool(logits.isfinite().all())


def sample_pair(model: PreTrainedModel) -> torch.Tensor:
    """Return the token ids of a pair of sentences, [1, 6]: begin, word, end, and once more."""
    config = model.config
    embedding: Any = model.get_input_embeddings()  # some families have a class of their own
    begin, end = config.bos_token_id, config.eos_token_id
    vocabulary = range(embedding.num_embeddings)
    word = next(id_ for id_ in vocabulary if id_ not in (begin, end, config.pad_token_id))
    edges = [word if edge not in vocabulary else edge for edge in (begin, end)]
    sentence = [edges[0], word, edges[1]]
    return torch.tensor([[*sentence, *sentence]], device=next(model.parameters()).device)


def _forward(
    count: int,
    layer: Any,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *_: object,
    **__: object,
) -> torch.Tensor:
    """Return the output of BertLayer.forward for the first `count` tokens.

    [examples, tokens, width] becomes [examples, count, width].
    """
    attention, first = layer.attention.self, hidden_states[:, :count]

    def split_heads(x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:-1], attention.num_attention_heads, -1).transpose(1, 2)

    context = functional.scaled_dot_product_attention(
        split_heads(attention.query(first)),
        split_heads(attention.key(hidden_states)),
        split_heads(attention.value(hidden_states)),
        attn_mask=None if attention_mask is None else attention_mask[..., :count, :],
        dropout_p=attention.dropout.p if layer.training else 0.0,
    )
    attended = layer.attention.output(context.transpose(1, 2).flatten(2), first)
    output: torch.Tensor = layer.feed_forward_chunk(attended)
    return output
