"""How deep each parameter of a model lies, for layer-wise learning rates.

Layers are the elements of the encoder's nn.ModuleLists, in the order in which a forward pass calls
them; the depth of any other module follows from when that pass calls it. A copy of the model with
all values zero is run once on eight tokens. Names of modules are not read, so that a new family
needs nothing here.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from ..errors import InputError, Problem, first_line
from .adapter_weights import adapted_weight

TOKENS = 8  # of the sample text
_MODELS = 8  # whose depths are cached

Depths = Mapping[str, int]


def depths_of(model: PreTrainedModel) -> dict[str, int]:
    """Return how deep each parameter of a model lies.

    0 are the embeddings and what is between them and the first layer, i + 1 is encoder layer i,
    L + 1 is everything above the L layers: head, pooler, last norm. Layers of a decoder follow
    those of the encoder whose output they read. Layers that share their weights count as one.
    Modules between two layers belong to the lower one.

    Returns:
        Parameter name -> depth.

    Raises:
        InputError: the model's layers cannot be determined.
    """
    config = model.config
    # mypy takes the __hash__ of a class for that of its instances.
    encoder_depths, top = _encoder_depths(
        type(model),  # type: ignore[arg-type]
        type(config),  # type: ignore[arg-type]
        config.to_json_string(use_diff=False),
    )
    encoder_names = {id(parameter): name for name, parameter in model.base_model.named_parameters()}
    return {
        name: encoder_depths.get(adapted_weight(encoder_names.get(id(parameter), "")), top)
        for name, parameter in model.named_parameters()
    }


@lru_cache(maxsize=_MODELS)
def _encoder_depths(
    model_class: type[PreTrainedModel], config_class: type[PreTrainedConfig], config: str
) -> tuple[Depths, int]:
    """Return the depths of an encoder's parameters, and the depth of what is above its layers.

    `config` is the configuration as JSON.
    """
    with torch.device("meta"):
        encoder = model_class(config_class(**json.loads(config))).base_model
    names = [name for name, _ in encoder.named_parameters()]
    try:
        times = _first_calls(encoder)
    except Exception as error:  # foreign code that runs on a text for the first time
        reason = f"its encoder did not run on a text of {TOKENS} tokens: {first_line(error)}"
        raise _refusal(model_class, reason) from None
    layers = _layer_numbers(encoder, times, model_class)
    depths = {name: _depth(name, encoder, layers, times) for name in names}
    return depths, _top(layers)


def _top(layers: Mapping[str, int]) -> int:
    """Return the depth of what is above all layers."""
    return len(set(layers.values())) + 1


def _refusal(model_class: type, reason: str) -> InputError:
    text = f"the layers of {model_class.__name__} cannot be told: {reason}"
    text += "\nleave layerwise_decay out"
    return InputError("model", [Problem(location="layerwise_decay", text=text)])


def _first_calls(encoder: nn.Module) -> dict[str, int]:
    """Return when a forward pass first calls each module: name -> index in the order of calls."""
    fill_with_zeros(encoder)
    calls: dict[str, int] = {}

    def recorder(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            calls.setdefault(name, len(calls))

        return hook

    for name, module in encoder.named_modules():
        module.register_forward_pre_hook(recorder(name))
    with torch.no_grad():
        encoder.eval()(**sample_text(encoder.config))
    times: dict[str, int] = {}
    # A module is called no later than its parts; its `forward` may have been called past its hooks.
    for name, time in calls.items():
        for owner in _owners(f"{name}."):
            times[owner] = min(time, times.get(owner, time))
    return times


def fill_with_zeros(model: nn.Module) -> None:
    """Give a model on the meta device zeros as values, in place.

    The zeros of parameters take no memory until they are written to.
    """
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:  # numpy uses calloc, whose pages are allocated when written
                zeros = np.zeros(tuple(parameter.shape), dtype=np.float32)
                module._parameters[name] = nn.Parameter(torch.from_numpy(zeros), False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)


def sample_text(config: Any) -> dict[str, torch.Tensor]:
    """Return a batch of one text that any encoder reads: begin, words, end; `TOKENS` tokens.

    Args:
        config: the encoder's transformers configuration.
    """
    ids = (getattr(config, f"{name}_token_id", None) for name in ("bos", "eos", "pad"))
    begin, end, padding = (
        id_ if isinstance(id_, int) and 0 <= id_ < config.vocab_size else 0 for id_ in ids
    )
    word = next(id_ for id_ in range(4) if id_ not in {begin, end, padding})
    row = torch.tensor([[begin, *[word] * (TOKENS - 2), end]])
    text = {"input_ids": row, "attention_mask": torch.ones_like(row)}
    return text | ({"decoder_input_ids": row} if config.is_encoder_decoder else {})


def _layer_numbers(
    encoder: nn.Module, times: Mapping[str, int], model_class: type[PreTrainedModel]
) -> dict[str, int]:
    """Return the modules that layers consist of: name -> the layer's number, from 0.

    A layer is an element of a list; or one element each of several lists of the same length in one
    module, whose elements are called in turn (XLM).
    """
    lists = dict(_layer_lists(encoder))
    keys: dict[str, tuple[str, int]] = {}  # module -> the layer's first list, its index in it
    for name, elements in lists.items():
        parent = name.rpartition(".")[0]
        same_length = (key for key, parts in lists.items() if len(parts) == len(elements))
        first = next(key for key in same_length if key.rpartition(".")[0] == parent)
        keys |= {part: (first, index) for index, part in enumerate(elements) if part in times}
    if not keys:
        raise _refusal(model_class, "it has no list of layers that a text passes through")
    numbers: dict[tuple[str, int], int] = {}
    in_order = sorted(keys, key=times.__getitem__)
    for name in in_order:
        numbers.setdefault(keys[name], len(numbers))
    order = [numbers[keys[name]] for name in in_order]
    if order != sorted(order):
        reason = "a text passes through its lists of layers one after the other, not in turn"
        raise _refusal(model_class, reason)
    return {name: numbers[key] for name, key in keys.items()}


def _layer_lists(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the outermost lists of layers: name, the names of their elements in order."""
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if not isinstance(child, nn.ModuleList):
            yield from _layer_lists(child, f"{path}.")
        elif elements := list(_elements(child, path)):
            yield path, elements


def _elements(layers: nn.ModuleList, prefix: str) -> Iterator[str]:
    """Yield the elements of a list of layers, or of blocks of layers, that have parameters."""
    for name, child in layers.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _elements(child, f"{prefix}.{name}")
        elif not isinstance(child, nn.Embedding) and any(True for _ in child.parameters()):
            yield f"{prefix}.{name}"


def _depth(
    name: str, encoder: nn.Module, layers: Mapping[str, int], times: Mapping[str, int]
) -> int:
    """Return how deep a parameter of an encoder lies."""
    owners = _owners(name)
    for owner in owners:
        if owner in layers:
            return layers[owner] + 1
    holders = [owner for owner in owners if any(_is_inside(part, owner) for part in layers)]
    if isinstance(encoder.get_submodule(owners[0]), nn.Embedding) or owners[0] in holders:
        return 0  # a table, or a single parameter beside the layers such as XLNet's mask_emb
    siblings = [part for part in layers if _is_inside(part, holders[0])]
    called = (owner for owner in owners if owner in times and owner not in holders)
    time = next((times[owner] for owner in called), None)
    if time is None:
        return _top(layers)  # a text does not pass through it
    if time < min(times[part] for part in siblings):
        return 0
    if time > max(times[part] for part in layers):
        return _top(layers)
    return 1 + max(number for part, number in layers.items() if times[part] < time)


def _owners(name: str) -> list[str]:
    """Return the modules that hold a parameter, from its own to the encoder (an empty name)."""
    parts = name.split(".")[:-1]
    return [".".join(parts[:end]) for end in range(len(parts), -1, -1)]


def _is_inside(name: str, owner: str) -> bool:
    return not owner or name.startswith(f"{owner}.")
