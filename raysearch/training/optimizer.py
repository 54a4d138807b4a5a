"""AdamW with every choice that papers make: what decays, where epsilon is added, rates per layer.

It is apart from the trainer because these choices depend on the model's parameters alone.
"""

import math
import re
from collections import defaultdict
from typing import Any

import torch

from ..models.layer_depths import depths_of
from ..models.pruned_embedding import PrunedEmbedding
from ..recipes import Hyperparameters

# The outermost list that holds a parameter, and the index in it; a list of lists is one list
# (Funnel). ALBERT's layers share the weights of their group, which counts as one layer.
_LAYER = re.compile(r"^(?P<list>.*?[^\d.][^.]*)\.(?P<index>\d+(?:\.\d+)*)\.")
# Parameters between the token ids and the first layer. DeBERTa keeps the norm of its relative
# positions in the encoder, AMOS has one table of them for all layers.
_BELOW = re.compile(r"emb|relative_attention_bias|\bshared\b|deberta\.encoder\.LayerNorm")
_TABLE = re.compile(
    r"(?:embeddings?|embed_tokens|embed_positions|relative_attention_bias)\.weight$"
)
_NORM = re.compile(r"norm|ln_", re.IGNORECASE)
_STACKS = ("encoder", "decoder")  # in the order in which a text passes through them


def parameter_depths(names: list[str]) -> dict[str, int]:
    """Return the depth of each parameter, as far as its name tells it.

    0 are the embeddings, i + 1 is encoder layer i, L + 1 is everything above the L layers. Of
    several stacks of layers, a decoder is above an encoder; otherwise the stack whose name comes
    later is above. This is for toy models: `layer_depths.depths_of` knows more of a model of
    transformers.

    Args:
        names: names of parameters.
    """
    keys = {name: _layer_key(match) for name in names if (match := _LAYER.search(name))}
    owners = sorted(dict.fromkeys(owner for owner, _ in keys.values()), key=_stack_index)
    layers = sorted(set(keys.values()), key=lambda key: (owners.index(key[0]), key[1]))
    layer_depths = {key: depth for depth, key in enumerate(layers, 1)}
    top = len(layers) + 1
    depths = {}
    for name in names:
        if name in keys:
            depths[name] = layer_depths[keys[name]]
        else:
            depths[name] = 0 if _BELOW.search(name) else top
    return depths


def _layer_key(match: re.Match[str]) -> tuple[str, tuple[int, ...]]:
    """Return the module that owns a layer's list, and the layer's index in the list."""
    owner = match["list"].rpartition(".")[0]
    return owner, tuple(int(number) for number in match["index"].split("."))


def _stack_index(owner: str) -> int:
    last = owner.rpartition(".")[2]
    return _STACKS.index(last) if last in _STACKS else 0


def learning_rate_multipliers(
    model: torch.nn.Module | list[str], hyper: Hyperparameters
) -> dict[str, float]:
    """Return the learning rate multiplier of each parameter under layer-wise decay d.

    With L layers and offset o, layer i has d^(L + o - 1 - i), embeddings have d^(L + o), and what
    is above the layers has 1: head, pooler, last norm. ELECTRA's code has o = 2, its paper 1
    (google-research/electra, issue 51).

    Args:
        model: the model; or the names of its parameters alone, which tell less, see
            `parameter_depths`.
        hyper: `layerwise_decay` and `layerwise_offset` are used.

    Raises:
        InputError: the layers of the model cannot be determined.
    """
    if isinstance(model, torch.nn.Module) and hyper.layerwise_decay in (None, 1):
        return {name: 1.0 for name, _ in model.named_parameters()}
    depths = _model_depths(model) if isinstance(model, torch.nn.Module) else parameter_depths(model)
    top = max(depths.values(), default=0)
    decay, offset = hyper.layerwise_decay or 1.0, hyper.layerwise_offset
    return {
        name: 1.0 if depth == top else decay ** (top - 1 + offset - depth)
        for name, depth in depths.items()
    }


def _model_depths(model: torch.nn.Module) -> dict[str, int]:
    """Return the depth of each parameter of a model."""
    if hasattr(model, "base_model"):
        pretrained: Any = model  # of transformers, which training does not import
        return depths_of(pretrained)
    return parameter_depths([name for name, _ in model.named_parameters()])


def has_weight_decay(
    name: str, shape: torch.Size, hyper: Hyperparameters, owner: torch.nn.Module | None = None
) -> bool:
    """Return whether weight decay applies to a parameter.

    Args:
        name: name of the parameter. A bias is recognized by it, such as DeBERTa's q_bias.
        shape: shape of the parameter.
        hyper: `decay_exclude` is used.
        owner: the module that holds the parameter; its class tells norms and embeddings. Without it
            the name tells: a norm has it in its name and is a vector; an embedding is a table, not
            the projection of one.
    """
    if owner is None:
        norm = bool(_NORM.search(name)) and len(shape) <= 1
        table = bool(_TABLE.search(name))
    else:
        norm, table = _is_norm(owner), _is_embedding(owner)
    kinds = {"bias": name.endswith("bias"), "norm": norm, "embedding": table}
    return not any(kinds[kind] for kind in hyper.decay_exclude)


def _is_norm(module: torch.nn.Module) -> bool:
    """Return whether a module is a norm: torch's, or one by name (T5LayerNorm, NoNorm)."""
    norms = (torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.GroupNorm)
    return isinstance(module, norms) or type(module).__name__.lower().endswith("norm")


def _is_embedding(module: torch.nn.Module) -> bool:
    """Return whether a module is a table of embeddings: of words, positions or distances.

    I-BERT's QuantEmbedding is no nn.Embedding.
    """
    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag, PrunedEmbedding)
    return isinstance(module, kinds) or type(module).__name__ == "QuantEmbedding"


class AdamW:
    """An AdamW optimizer of a model, whose scalars are computed anew for every step.

    All variants run as torch's fused kernel. With c1 = 1 - b1^t and c2 = 1 - b2^t, an update
    without bias corrections is one with a learning rate of lr c1 / sqrt(c2) and an epsilon of
    epsilon / sqrt(c2). An epsilon that is added before the correction is epsilon / sqrt(c2).

    Args:
        model: its parameters that require gradients are optimized.
        hyper: the trial's configuration.

    Attributes:
        inner: torch's optimizer.
        parameters: the parameters, in the order of the model.
        updates: the number of updates so far.
    """

    def __init__(self, model: torch.nn.Module, hyper: Hyperparameters) -> None:
        self.hyper = hyper
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        multipliers = learning_rate_multipliers(model, hyper)
        groups: dict[tuple[bool, float], list[torch.nn.Parameter]] = defaultdict(list)
        for name, parameter in named:
            owner = model.get_submodule(name.rpartition(".")[0])
            decay = has_weight_decay(name, parameter.shape, hyper, owner)
            groups[decay, multipliers[name]].append(parameter)
        self.inner = torch.optim.AdamW(
            [
                {"params": parameters, "decay": decay, "scale": multiplier}
                for (decay, multiplier), parameters in groups.items()
            ],
            betas=hyper.adam_betas,
            fused=True,
        )
        self.parameters = [parameter for _, parameter in named]
        self.updates = 0
        self._scale: float | None = None  # the loss scale after the last step, if it is known

    def prepare(self, rate: float) -> None:
        """Set the scalars of the next update.

        Args:
            rate: the learning rate of the schedule.
        """
        hyper, t = self.hyper, self.updates + 1
        c1, sqrt_c2 = 1 - hyper.adam_betas[0] ** t, math.sqrt(1 - hyper.adam_betas[1] ** t)
        raw = hyper.adam_eps_on == "raw" or not hyper.bias_correction
        for group in self.inner.param_groups:
            lr = rate * group["scale"]
            decay = hyper.weight_decay if group["decay"] else 0.0
            if hyper.decay_times == "share":
                decay /= hyper.LR * group["scale"]  # torch multiplies it by the learning rate
            group["eps"] = hyper.adam_eps / sqrt_c2 if raw else hyper.adam_eps
            group["lr"] = lr if hyper.bias_correction else lr * c1 / sqrt_c2
            group["weight_decay"] = decay if hyper.bias_correction else decay * sqrt_c2 / c1

    def step(self, scaler: torch.amp.GradScaler | None = None) -> bool:
        """Update the parameters, unless the scaler finds an overflow.

        Args:
            scaler: the loss scale of fp16; None for other precisions.

        Returns:
            Whether the parameters were updated.
        """
        if scaler is None:
            self.inner.step()
            self.updates += 1
            return True
        before = scaler.get_scale() if self._scale is None else self._scale
        scaler.step(self.inner)
        scaler.update()
        self._scale = scaler.get_scale()  # the only wait for the device in a step
        updated = self._scale >= before
        self.updates += updated
        return updated

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's part of a checkpoint."""
        return {"inner": self.inner.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the optimizer from its part of a checkpoint."""
        self.inner.load_state_dict(state["inner"])
        self.updates, self._scale = state["updates"], None
