"""AdamW with every choice that the papers make: what decays, where epsilon stands, and by layer."""

import math
import re
from collections import defaultdict

import torch

from ..models.layer_depths import depths_of
from ..models.pruned_embedding import PrunedEmbedding
from ..recipes import Hyperparameters

# The outermost list that a parameter is in, and its place there; a list of lists is one (Funnel).
# ALBERT's layers share the weights of their group, which counts as one layer.
_LAYER = re.compile(r"^(?P<list>.*?[^\d.][^.]*)\.(?P<place>\d+(?:\.\d+)*)\.")
# What stands between token ids and the first layer; DeBERTa keeps the norm of its relative
# positions in the encoder, AMOS has one table of them for all layers.
_BELOW = re.compile(r"emb|relative_attention_bias|\bshared\b|deberta\.encoder\.LayerNorm")
_TABLE = re.compile(
    r"(?:embeddings?|embed_tokens|embed_positions|relative_attention_bias)\.weight$"
)
_NORM = re.compile(r"norm|ln_", re.IGNORECASE)
_STACKS = ("encoder", "decoder")  # in the order in which a text passes through them


def parameter_depths(names: list[str]) -> dict[str, int]:
    """Return how deep each parameter lies: 0 embeddings, i + 1 encoder layer i, L + 1 above the
    layers.

    This is what names alone tell, for a toy: of several stacks a decoder is the upper one, of
    others the one that is named later. Of a model of transformers `depths_of` tells more.
    """
    places = {name: _layer(hit) for name in names if (hit := _LAYER.search(name))}
    owners = sorted(dict.fromkeys(owner for owner, _ in places.values()), key=_rank)
    layers = sorted(set(places.values()), key=lambda key: (owners.index(key[0]), key[1]))
    order = {key: depth for depth, key in enumerate(layers, 1)}
    return {
        name: order[places[name]] if name in places
        else 0 if _BELOW.search(name) else len(order) + 1
        for name in names
    }  # fmt: skip


def _layer(hit: re.Match[str]) -> tuple[str, tuple[int, ...]]:
    """Return the module that a layer's list is in, and the layer's place in the list."""
    owner, place = hit["list"].rpartition(".")[0], hit["place"]
    return owner, tuple(int(number) for number in place.split("."))


def _rank(owner: str) -> int:
    last = owner.rpartition(".")[2]
    return _STACKS.index(last) if last in _STACKS else 0


def learning_rate_multipliers(
    model: torch.nn.Module | list[str], hyper: Hyperparameters
) -> dict[str, float]:
    """Return the learning rate multiplier of each parameter under layer-wise decay d.

    With L layers and offset o, layer i has d^(L + o - 1 - i), embeddings d^(L + o), and what
    stands above the layers 1: head, pooler, last norm. ELECTRA's code has o = 2, its paper 1
    (google-research/electra, issue 51).

    Args:
        model: or the names of its parameters alone, of which less can be told: see `depths`.

    Raises:
        InputError: the layers of a model cannot be told.
    """
    if isinstance(model, torch.nn.Module) and hyper.layerwise_decay in (None, 1):
        return {name: 1.0 for name, _ in model.named_parameters()}
    depth = _depths_of(model) if isinstance(model, torch.nn.Module) else parameter_depths(model)
    top = max(depth.values(), default=0)
    rate, offset = hyper.layerwise_decay or 1.0, hyper.layerwise_offset
    return {n: 1.0 if d == top else rate ** (top - 1 + offset - d) for n, d in depth.items()}


def _depths_of(model: torch.nn.Module) -> dict[str, int]:
    """Return how deep each parameter of a model lies."""
    if hasattr(model, "base_model"):
        return depths_of(model)
    return parameter_depths([name for name, _ in model.named_parameters()])


def has_weight_decay(
    name: str, shape: torch.Size, hyper: Hyperparameters, owner: torch.nn.Module | None = None
) -> bool:
    """Return whether weight decay touches a parameter.

    Args:
        name: its name; a bias is what is called so, as DeBERTa's q_bias.
        owner: the module that holds it, whose class tells norms and tables. Without it the name
            does: a norm is what is called so, and a vector; an embedding is a table, not its
            projection.
    """
    if owner is None:
        norm = bool(_NORM.search(name)) and len(shape) <= 1
        table = bool(_TABLE.search(name))
    else:
        norm, table = _is_norm(owner), _is_table(owner)
    kinds = {"bias": name.endswith("bias"), "norm": norm, "embedding": table}
    return not any(kinds[kind] for kind in hyper.decay_exclude)


def _is_norm(module: torch.nn.Module) -> bool:
    """Return whether a module is a norm: torch's own, or one whose class is called so (T5LayerNorm,
    MobileBERT's NoNorm)."""
    norms = (torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.GroupNorm)
    return isinstance(module, norms) or type(module).__name__.lower().endswith("norm")


def _is_table(module: torch.nn.Module) -> bool:
    """Return whether a module is a table that is looked up by number: of words, positions or
    distances (I-BERT's QuantEmbedding is no nn.Embedding)."""
    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag, PrunedEmbedding)
    return isinstance(module, kinds) or type(module).__name__ == "QuantEmbedding"


class AdamW:
    """AdamW over a model's parameters, its scalars recomputed at every step.

    All variants are one fused kernel: leaving out the bias corrections c1 = 1 - b1^t and
    c2 = 1 - b2^t is a learning rate of lr c1 / sqrt(c2) with epsilon / sqrt(c2), and an epsilon
    that is added before the correction is epsilon / sqrt(c2).
    """

    def __init__(self, model: torch.nn.Module, hyper: Hyperparameters) -> None:
        self.hyper = hyper
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        scale = learning_rate_multipliers(model, hyper)
        groups: dict[tuple[bool, float], list[torch.nn.Parameter]] = defaultdict(list)
        for name, parameter in named:
            owner = model.get_submodule(name.rpartition(".")[0])
            decay = has_weight_decay(name, parameter.shape, hyper, owner)
            groups[decay, scale[name]].append(parameter)
        self.inner = torch.optim.AdamW(
            [
                {"params": parameters, "decay": decay, "scale": factor}
                for (decay, factor), parameters in groups.items()
            ],
            betas=hyper.adam_betas,
            fused=True,
        )
        self.parameters = [parameter for _, parameter in named]
        self.updates = 0

    def prepare(self, rate: float) -> None:
        """Set the scalars of the next update.

        Args:
            rate: the schedule's learning rate.
        """
        hyper, t = self.hyper, self.updates + 1
        c1, c2 = 1 - hyper.adam_betas[0] ** t, math.sqrt(1 - hyper.adam_betas[1] ** t)
        raw = hyper.adam_eps_on == "raw" or not hyper.bias_correction
        for group in self.inner.param_groups:
            lr = rate * group["scale"]
            decay = hyper.weight_decay if group["decay"] else 0.0
            group["eps"] = hyper.adam_eps / c2 if raw else hyper.adam_eps
            group["lr"] = lr if hyper.bias_correction else lr * c1 / c2
            group["weight_decay"] = decay if hyper.bias_correction else decay * c2 / c1

    def step(self, scaler: torch.amp.GradScaler | None = None) -> bool:
        """Update the parameters; an overflow that the scaler finds is no update.

        Returns:
            Whether they were updated.
        """
        if scaler is None:
            self.inner.step()
            self.updates += 1
            return True
        before = scaler.get_scale()
        scaler.step(self.inner)
        scaler.update()
        updated = scaler.get_scale() >= before
        self.updates += updated
        return updated

    def state_dict(self) -> dict:
        """What a checkpoint keeps."""
        return {"inner": self.inner.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.inner.load_state_dict(state["inner"])
        self.updates = state["updates"]
