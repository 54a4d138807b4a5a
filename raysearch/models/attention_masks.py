"""Attention masks of transformers without waiting for the device.

For `sdpa` transformers makes a mask only if some token is padding. It asks the mask on the device,
so that each forward pass waits for all that the device has still to do. Whoever made the batch knew
it: the mask says so (`data/device_batches.py`). The mask that the layers get is the same.
"""

from typing import Any

import torch
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask

from ..data.device_batches import MASK, PADDED

# The masks of the forward passes in progress, outermost first; None where nothing is known.
_in_progress: list[torch.Tensor | None] = []


def tell_padding(model: torch.nn.Module) -> None:
    """Let a model's forward passes use what their mask says of itself.

    Args:
        model: changed in place; its class and its attributes stay.
    """
    model.register_forward_pre_hook(_enter, with_kwargs=True)
    model.register_forward_hook(_leave, always_call=True)


def _enter(_: torch.nn.Module, __: tuple[Any, ...], inputs: dict[str, Any]) -> None:
    if not torch.compiler.is_compiling():
        mask = inputs.get(MASK)
        _in_progress.append(mask if hasattr(mask, PADDED) else None)


def _leave(_: torch.nn.Module, __: tuple[Any, ...], ___: Any) -> None:
    if _in_progress and not torch.compiler.is_compiling():
        _in_progress.pop()


def _sdpa_mask(*arguments: Any, **options: Any) -> torch.Tensor | None:
    """Return transformers' mask for `sdpa`; see its `sdpa_mask` for the arguments."""
    given, outer = options.get(MASK), _in_progress[-1] if _in_progress else None
    may_skip = options.get("allow_is_bidirectional_skip", False)
    if outer is None or not may_skip or given is None or not _is_of(given, outer):
        made: torch.Tensor | None = sdpa_mask(*arguments, **options)
        return made
    local = options.get("local_size")
    if not getattr(outer, PADDED) and (local is None or options["kv_length"] < local):
        return None  # as transformers does where nothing is padding
    made = sdpa_mask(*arguments, **{**options, "allow_is_bidirectional_skip": False})
    return made


def _is_of(given: torch.Tensor, outer: torch.Tensor) -> bool:
    """Return whether a mask is one that a model was called with, its groups flattened at most."""
    return given.shape[-1] == outer.shape[-1] and given.numel() == outer.numel()


ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] = _sdpa_mask
