"""AdamW with every choice that the papers make: what decays, where epsilon stands, and by layer."""

import math
import re
from collections import defaultdict

import torch

from ..recipes import Hyper

# ALBERT's layers share the weights of their group, which counts as one layer.
_LAYER = re.compile(r"(?:^|\.)(?:layers?|albert_layer_groups|h|block)\.(\d+)\.")
# What stands between token ids and the first layer; DeBERTa keeps the norm of its relative
# positions in the encoder, AMOS has one table of them for all layers.
_BELOW = re.compile(r"embed|relative_attention_bias|deberta\.encoder\.LayerNorm")
_TABLE = re.compile(
    r"(?:embeddings?|embed_tokens|embed_positions|relative_attention_bias)\.weight$"
)
_NORM = re.compile(r"norm|ln_", re.IGNORECASE)


def depths(names: list[str]) -> dict[str, int]:
    """How deep each parameter lies: 0 embeddings, i + 1 encoder layer i, L + 1 above the layers."""
    found = {name: _LAYER.search(name) for name in names}
    layers = 1 + max((int(hit.group(1)) for hit in found.values() if hit), default=-1)
    return {
        name: int(hit.group(1)) + 1 if hit else 0 if _BELOW.search(name) else layers + 1
        for name, hit in found.items()
    }


def multipliers(names: list[str], hyper: Hyper) -> dict[str, float]:
    """Learning rate multiplier of each parameter under layer-wise decay d.

    With L layers and offset o, layer i has d^(L + o - 1 - i), embeddings d^(L + o), and what
    stands above the layers 1: head, pooler, last norm. ELECTRA's code has o = 2, its paper 1
    (google-research/electra, issue 51).
    """
    depth = depths(names)
    top = max(depth.values(), default=0)
    rate, offset = hyper.layerwise_decay or 1.0, hyper.layerwise_offset
    return {n: 1.0 if d == top else rate ** (top - 1 + offset - d) for n, d in depth.items()}


def decays(name: str, shape: torch.Size, hyper: Hyper) -> bool:
    """Whether weight decay touches a parameter.

    A norm is what its name says, and a vector; an embedding is a table, not its projection.
    """
    kinds = {
        "bias": name.endswith("bias"),
        "norm": bool(_NORM.search(name)) and len(shape) <= 1,
        "embedding": bool(_TABLE.search(name)),
    }
    return not any(kinds[kind] for kind in hyper.decay_exclude)


class AdamW:
    """AdamW over a model's parameters, its scalars recomputed at every step.

    All variants are one fused kernel: leaving out the bias corrections c1 = 1 - b1^t and
    c2 = 1 - b2^t is a learning rate of lr c1 / sqrt(c2) with epsilon / sqrt(c2), and an epsilon
    that is added before the correction is epsilon / sqrt(c2).
    """

    def __init__(self, model: torch.nn.Module, hyper: Hyper) -> None:
        self.hyper = hyper
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        scale = multipliers([name for name, _ in named], hyper)
        groups: dict[tuple[bool, float], list[torch.nn.Parameter]] = defaultdict(list)
        for name, parameter in named:
            groups[decays(name, parameter.shape, hyper), scale[name]].append(parameter)
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
