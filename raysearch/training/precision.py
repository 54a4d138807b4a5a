"""The number format of forward passes, and the loss scale that fp16 needs."""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch

from ..recipes import Hyperparameters

_FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, hyper: Hyperparameters) -> AbstractContextManager:
    """The context of a forward pass; weights and gradients stay float32."""
    kind = _FORMATS.get(hyper.precision)
    return torch.autocast(device.type, kind) if kind else nullcontext()


def scaler(device: torch.device, hyper: Hyperparameters) -> torch.amp.GradScaler | None:
    """The dynamic loss scale of fp16: halved at an overflow, doubled after a window without."""
    if hyper.precision != "fp16":
        return None
    return torch.amp.GradScaler(
        device.type, init_scale=hyper.fp16_scale, growth_interval=hyper.fp16_window
    )


def mark_overflow(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Make a gradient of a whole step that fp16 cannot hold an overflow, for the scaler to find.

    A weight's gradient is computed in fp16 for each micro-batch and added up in float32: cut in
    more micro-batches, by more workers too, a step could pass that overflows in one. Whether it
    is skipped is told from the sum over all of them. No value is read back from the device.

    Args:
        parameters: their gradients are whole and still carry the loss scale.
    """
    gradients = [p.grad for p in parameters if p.grad is not None and p.grad.numel()]
    if gradients:
        largest = torch.nn.utils.get_total_norm(gradients, math.inf)
        gradients[0].masked_fill_(largest.to(torch.float16).isinf(), math.inf)
