"""Summaries of a sequence that leave padding out. transformers' `SequenceSummary` takes the last
place of a row, or the mean of all places: with padding beside shorter rows the wrong ones."""

from functools import partial
from typing import Any

import torch


def summarize_real_tokens(model: torch.nn.Module) -> None:
    """Let a head that reads the last token, or the mean of all, read those that are no padding.

    Then what a model says of an example does not depend on the examples beside it, on whichever
    side they are padded.
    """
    summaries = [module for module in model.modules() if hasattr(module, "summary_type")]
    if not any(one.summary_type in _SUMMARIES for one in summaries):
        return
    masks: dict[str, torch.Tensor | None] = {}

    def remember(_: Any, args: Any, inputs: dict[str, Any]) -> None:
        mask = inputs.get("attention_mask")
        masks["real"] = None if mask is None else mask.flatten(0, -2)

    model.register_forward_pre_hook(remember, with_kwargs=True)
    for one in summaries:
        if one.summary_type in _SUMMARIES:
            one.forward = partial(_summarize, one, type(one).forward, masks)


def _summarize(
    summary: Any, forward: Any, masks: dict[str, Any], hidden_states: torch.Tensor, *args: Any,
    **options: Any,
) -> torch.Tensor:  # fmt: skip
    """Give the module one place to read: what the real tokens of each row say.

    Args:
        hidden_states: [rows, tokens, width].
    """
    real = masks.get("real")
    if real is None or args or any(value is not None for value in options.values()):
        return forward(summary, hidden_states, *args, **options)
    return forward(summary, _SUMMARIES[summary.summary_type](hidden_states, real)[:, None])


def _last(hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """[rows, tokens, width] -> [rows, width] of each row's last real token."""
    places = torch.arange(real.shape[1], device=real.device)
    last = (places * real).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def _mean(hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """[rows, tokens, width] -> [rows, width], the mean of each row's real tokens."""
    weights = real[..., None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


_SUMMARIES = {"last": _last, "mean": _mean, "cls_index": _last}
