"""Summaries of a sequence that ignore padding.

transformers' `SequenceSummary` takes a row's last position, or the mean of all positions, which are
wrong for shorter rows that are padded. Apart because it changes modules of transformers in place.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch


def summarize_real_tokens(model: torch.nn.Module) -> None:
    """Let heads that read the last token, or the mean of all tokens, ignore padding.

    Then the outputs of an example do not depend on the other examples of its batch, nor on the side
    that is padded.

    Args:
        model: changed in place.
    """
    summaries = [m for m in model.modules() if getattr(m, "summary_type", None) in _SUMMARIES]
    if not summaries:
        return
    masks: dict[str, torch.Tensor | None] = {}  # of the forward pass in progress

    def remember(_: Any, args: Any, inputs: dict[str, Any]) -> None:
        mask = inputs.get("attention_mask")
        masks["real"] = None if mask is None else mask.flatten(0, -2)

    model.register_forward_pre_hook(remember, with_kwargs=True)
    for summary in summaries:
        summary.forward = partial(_summarize, summary, type(summary).forward, masks)


def _summarize(
    summary: Any,
    forward: Callable[..., torch.Tensor],
    masks: dict[str, torch.Tensor | None],
    hidden_states: torch.Tensor,
    *args: Any,
    **options: Any,
) -> torch.Tensor:
    """Call a summary's `forward` with one position per row: the summary of its real tokens.

    `hidden_states` are [rows, tokens, width]. Without a mask, or with further arguments such as the
    positions to read, the summary is left as it is.
    """
    real = masks.get("real")
    if real is None or args or any(value is not None for value in options.values()):
        return forward(summary, hidden_states, *args, **options)
    return forward(summary, _SUMMARIES[summary.summary_type](hidden_states, real)[:, None])


def _last(hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the state of each row's last real token, [rows, width]."""
    positions = torch.arange(real.shape[1], device=real.device)
    last = (positions * real).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def _mean(hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the mean state of each row's real tokens, [rows, width]."""
    weights = real[..., None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


_SUMMARIES = {"last": _last, "mean": _mean, "cls_index": _last}
