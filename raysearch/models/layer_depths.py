"""How deep each parameter of a model lies, for layer-wise learning rates.

Layers are the elements of the encoder's nn.ModuleLists, in the order in which a forward pass calls
them; what else there is lies where that pass calls it. A copy of the model in zeros is run once on
eight tokens. Names of modules are not read, so that a new family needs nothing here."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from ..errors import InputError, Problem

TOKENS = 8  # of the text that the copy reads
_COPIES = 8  # of which models the depths are remembered

Depths = Mapping[str, int]


def depths_of(model: PreTrainedModel) -> dict[str, int]:
    """Return how deep each parameter of a model lies.

    0 are the embeddings and what stands between them and the first layer, i + 1 is encoder layer
    i, L + 1 what stands above the L layers: head, pooler, last norm. Layers of a decoder follow
    those of the encoder whose output they read. Layers that share their weights count as one.
    What stands between two layers belongs to the lower one.

    Returns:
        Parameter name -> depth.

    Raises:
        InputError: the model's layers cannot be told.
    """
    config = model.config
    inner, top = _of_encoder(type(model), type(config), config.to_json_string(use_diff=False))
    body = {id(parameter): name for name, parameter in model.base_model.named_parameters()}
    return {
        name: inner.get(body.get(id(parameter), ""), top)
        for name, parameter in model.named_parameters()
    }


@lru_cache(maxsize=_COPIES)
def _of_encoder(
    kind: type[PreTrainedModel], shape: type[PreTrainedConfig], text: str
) -> tuple[Depths, int]:
    """Return the depths of an encoder's parameters, and that of what stands above its layers.

    Args:
        kind, shape: classes of the model and of its configuration.
        text: the configuration as JSON.
    """
    with torch.device("meta"):
        body = kind(shape(**json.loads(text))).base_model
    names = [name for name, _ in body.named_parameters()]
    try:
        times = _first_calls(body)
    except Exception as error:  # foreign code that runs on a text for the first time
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _refusal(
            kind, f"its encoder did not run on a text of {TOKENS} tokens: {first}"
        ) from None
    layers = _layers(body, times, kind)
    return {name: _depth(name, body, layers, times) for name in names}, len(
        set(layers.values())
    ) + 1


def _refusal(kind: type, reason: str) -> InputError:
    text = f"the layers of {kind.__name__} cannot be told: {reason}\nleave layerwise_decay out"
    return InputError("model", [Problem(location="layerwise_decay", text=text)])


def _first_calls(body: nn.Module) -> dict[str, int]:
    """Return when a forward pass first calls each module: name -> place in that order."""
    fill_with_zeros(body)
    calls: dict[str, int] = {}

    def note(name: str) -> Any:
        def hook(*_: Any) -> None:
            calls.setdefault(name, len(calls))

        return hook

    for name, module in body.named_modules():
        module.register_forward_pre_hook(note(name))
    with torch.no_grad():
        body.eval()(**sample_text(body.config))
    times: dict[str, int] = {}
    for name, time in calls.items():  # of a module whose `forward` is called past its hooks too
        for owner in _owners(f"{name}."):
            times[owner] = min(time, times.get(owner, time))
    return times


def fill_with_zeros(model: nn.Module) -> None:
    """Give a model without values zeros, in memory that is not taken before it is written to."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:  # calloc's pages
                zeros = np.zeros(tuple(parameter.shape), dtype=np.float32)
                module._parameters[name] = nn.Parameter(torch.from_numpy(zeros), False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)


def sample_text(config: Any) -> dict[str, torch.Tensor]:
    """Return a text of `TOKENS` tokens that any encoder reads: begin, words, end."""
    given = (getattr(config, f"{name}_token_id", None) for name in ("bos", "eos", "pad"))
    begin, end, padding = (
        number if isinstance(number, int) and 0 <= number < config.vocab_size else 0
        for number in given
    )
    special = {begin, end, padding}
    word = next(number for number in range(4) if number not in special)
    ids = torch.tensor([[begin, *[word] * (TOKENS - 2), end]])
    text = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return text | ({"decoder_input_ids": ids} if config.is_encoder_decoder else {})


def _layers(
    body: nn.Module, times: Mapping[str, int], kind: type[PreTrainedModel]
) -> dict[str, int]:
    """Return the modules that layers consist of: name -> the layer's number, from 0.

    A layer is an element of a list, or of several lists of one length in one module, whose
    elements take turns (XLM).
    """
    stacks = dict(_stacks(body))
    keys: dict[str, tuple[str, int]] = {}
    for name, elements in stacks.items():
        parent = name.rpartition(".")[0]
        alike = (other for other, parts in stacks.items() if len(parts) == len(elements))
        beside = [other for other in alike if other.rpartition(".")[0] == parent]
        keys |= {one: (beside[0], number) for number, one in enumerate(elements) if one in times}
    if not keys:
        raise _refusal(kind, "it has no list of layers that a text passes through")
    begin: dict[tuple[str, int], int] = {}
    for name in sorted(keys, key=times.__getitem__):
        begin.setdefault(keys[name], len(begin))
    order = [begin[keys[name]] for name in sorted(keys, key=times.__getitem__)]
    if order != sorted(order):
        raise _refusal(kind, "a text passes through its lists of layers one after the other")
    return {name: begin[key] for name, key in keys.items()}


def _stacks(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the outermost lists of layers: name, the names of their elements in order."""
    for name, child in module.named_children():
        whole = f"{prefix}{name}"
        if not isinstance(child, nn.ModuleList):
            yield from _stacks(child, f"{whole}.")
        elif elements := list(_elements(child, whole)):
            yield whole, elements


def _elements(stack: nn.ModuleList, prefix: str) -> Iterator[str]:
    """Yield the elements of a list of layers, or of blocks of layers, that have parameters."""
    for name, child in stack.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _elements(child, f"{prefix}.{name}")
        elif not isinstance(child, nn.Embedding) and any(True for _ in child.parameters()):
            yield f"{prefix}.{name}"


def _depth(name: str, body: nn.Module, layers: Mapping[str, int], times: Mapping[str, int]) -> int:
    """Return how deep a parameter of an encoder lies."""
    above = _owners(name)  # from the module that holds it outwards
    for owner in above:
        if owner in layers:
            return layers[owner] + 1
    holds = [owner for owner in above if any(_inside(one, owner) for one in layers)]
    if isinstance(body.get_submodule(above[0]), nn.Embedding) or holds[:1] == above[:1]:
        return 0  # a table, or a lone parameter beside the layers, as XLNet's mask_emb
    own = [one for one in layers if _inside(one, holds[0])]
    time = next((times[owner] for owner in above if owner in times and owner not in holds), None)
    if time is None:
        return len(set(layers.values())) + 1  # a text does not pass through it
    if time < min(times[one] for one in own):
        return 0
    if time > max(times[one] for one in layers):
        return len(set(layers.values())) + 1
    return 1 + max(number for one, number in layers.items() if times[one] < time)


def _owners(name: str) -> list[str]:
    """Return the modules that a parameter is in, from the one that holds it to the whole, ""."""
    parts = name.split(".")[:-1]
    return [".".join(parts[:end]) for end in range(len(parts), -1, -1)]


def _inside(name: str, owner: str) -> bool:
    return not owner or name.startswith(f"{owner}.")
