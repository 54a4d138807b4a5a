"""LoRA (Hu et al., 2021): adapters of low rank on linear layers of an encoder that is frozen.

Own code instead of the library peft, because of the lane: there the model is built once, and a
trial resets the adapters and the head alone. Here an adapted layer is the same object with the same
names of weights, so that pretrained weights, passes without padding, dropouts and layer-wise rates
find what they find without adapters. peft wraps the model, renames its weights, and would bring
accelerate and psutil.
"""

import math
import re
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from .dropouts import head_names

# Projection, as `lora_targets` names it -> how the names of such layers end in some family.
_PROJECTIONS = {
    "query": r"(query|query_global|query_proj|q_proj|q_lin|q_head|q)",
    "key": r"(key|key_global|key_proj|k_proj|k_lin|k_head|k)",
    "value": r"(value|value_global|value_proj|v_proj|v_lin|v_head|v)",
    "qkv": r"(Wqkv|in_proj|qkv_proj|qkv)",
    "attention_output": r"(?<!bottleneck\.)(attention\.(output\.)?dense|out_lin|out_proj|o_proj"
    r"|post_proj|attn\.Wo|attn\.o|\w*Attention\.o)",
    "intermediate": r"(intermediate\.dense|ffn|lin1|linear_1|fc1|mlp\.Wi|gate_proj|up_proj"
    r"|DenseReluDense\.wi(_\d)?)",
    "ffn_output": r"(?<!attention\.)(output\.dense|ffn_output|lin2|linear_2|fc2|mlp\.Wo|down_proj"
    r"|DenseReluDense\.wo)",
}


class LoraLinear(nn.Linear):
    """A linear layer W whose output is W x + b + scale B A dropout(x).

    Attributes:
        lora_A: [rank, inputs].
        lora_B: [outputs, rank].
        lora_dropout: of the adapter's inputs.
        scale: lora_alpha / lora_rank.
    """

    lora_A: nn.Parameter
    lora_B: nn.Parameter
    lora_dropout: nn.Dropout
    scale: float

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the layer's output, [..., outputs], for an input [..., inputs]."""
        low = functional.linear(self.lora_dropout(input), self.lora_A) * self.scale
        return functional.linear(input, self.weight, self.bias) + functional.linear(
            low, self.lora_B
        )


def projections(model: PreTrainedModel) -> dict[str, dict[str, nn.Linear]]:
    """Return the linear layers of an encoder that can be adapted: projection -> name -> layer.

    Layers of the head are not among them.
    """
    heads = head_names(model)
    kinds = {kind: re.compile(rf"(^|\.){ends}$") for kind, ends in _PROJECTIONS.items()}
    found: dict[str, dict[str, nn.Linear]] = {}
    for name, module in model.named_modules():
        if type(module) not in (nn.Linear, LoraLinear) or name.split(".")[0] in heads:
            continue
        for kind, pattern in kinds.items():
            if pattern.search(name) and not _is_in_pooler(name):
                found.setdefault(kind, {})[name] = module
    return {kind: found[kind] for kind in _PROJECTIONS if kind in found}


def adapter_problems(
    model: PreTrainedModel, hyper: Hyperparameters, ranks: Iterable[int]
) -> dict[str, str]:
    """Return why adapters cannot be put on a model: hyperparameter -> text.

    Args:
        model: with its head; the meta device would do.
        hyper: `lora_targets` is used.
        ranks: of the adapters, those that are searched too.
    """
    known, name = projections(model), type(model).__name__
    if not known:
        return {"lora_rank": f"{name} has no linear layers that are known here: leave it out"}
    if unknown := [target for target in hyper.lora_targets if target not in known]:
        text = f"{name} has no projection {', '.join(unknown)}, it has {', '.join(known)}"
        return {"lora_targets": text}
    sizes = {
        min(layer.weight.shape): target
        for target in hyper.lora_targets
        for layer in known[target].values()
    }
    smallest, largest = min(sizes), max(ranks)
    if largest >= smallest:
        text = f"rank {largest} is no less than the full rank of {sizes[smallest]}, {smallest}"
        return {"lora_rank": f"{text}, in {name}: a smaller one would do"}
    return {}


def adapt(model: PreTrainedModel, hyper: Hyperparameters) -> None:
    """Put adapters on a model's projections and freeze its encoder; a pooler counts as head.

    Args:
        model: changed in place.
        hyper: `lora_targets` and `lora_rank` are used.

    Raises:
        InputError: the model lacks a projection, or the rank is too high.
    """
    assert hyper.lora_rank is not None, "adapters without a rank"
    if problems := adapter_problems(model, hyper, [hyper.lora_rank]):
        texts = [Problem(location=field, text=text) for field, text in problems.items()]
        raise InputError("model", texts)
    known, heads = projections(model), head_names(model)
    encoder = {
        id(parameter)
        for name, parameter in model.named_parameters()
        if name.split(".")[0] not in heads and not _is_in_pooler(name)
    }
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) not in encoder)
    for target in hyper.lora_targets:
        for layer in known[target].values():
            layer.__class__ = LoraLinear  # the same object: layers may be shared (ALBERT)
            layer.lora_dropout = nn.Dropout()
    set_adapters(model, hyper)


def set_adapters(model: nn.Module, hyper: Hyperparameters) -> None:
    """Give the adapters of a model the rank, scale and dropout of a trial; they are not drawn.

    Args:
        model: with adapters; changed in place.
        hyper: of the trial.
    """
    rank = hyper.lora_rank
    assert rank is not None, "adapters without a rank"
    for layer in adapted_layers(model).values():
        layer.scale = hyper.lora_alpha / rank
        layer.lora_dropout.p = float(hyper.lora_dropout)
        outputs, inputs = layer.weight.shape
        if getattr(layer, "lora_A", None) is None or len(layer.lora_A) != rank:
            layer.lora_A = nn.Parameter(layer.weight.new_zeros(rank, inputs))
            layer.lora_B = nn.Parameter(layer.weight.new_zeros(outputs, rank))


@torch.no_grad()
def draw_adapters(model: nn.Module) -> None:
    """Draw A uniformly within 1 / sqrt(inputs), as the paper's code does, and set B to zero."""
    for layer in adapted_layers(model).values():
        nn.init.kaiming_uniform_(layer.lora_A, a=math.sqrt(5))
        layer.lora_B.zero_()


def adapted_layers(model: nn.Module) -> dict[str, LoraLinear]:
    """Return the layers of a model that have adapters, by name; none if it is trained whole."""
    return {n: module for n, module in model.named_modules() if isinstance(module, LoraLinear)}


def frozen_names(model: nn.Module) -> set[str]:
    """Return the names of the weights that a model's training never changes.

    They are none in a model without adapters.
    """
    if not adapted_layers(model):
        return set()
    weights = model.named_parameters(remove_duplicate=False)
    return {name for name, parameter in weights if not parameter.requires_grad}


def _is_in_pooler(name: str) -> bool:
    """Return whether a module or parameter is part of a pooler."""
    return "pooler" in name.split(".")
