"""The number format of forward passes, and the loss scale that fp16 needs.

It is apart from the trainer because the gradient accumulator uses it too.
"""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch

from ..recipes import Hyperparameters

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, hyper: Hyperparameters) -> AbstractContextManager[object]:
    """Return the context of a forward pass; weights and gradients stay float32."""
    dtype = _DTYPES.get(hyper.precision)
    return torch.autocast(device.type, dtype) if dtype else nullcontext()


def make_scaler(device: torch.device, hyper: Hyperparameters) -> torch.amp.GradScaler | None:
    """Return the dynamic loss scale of fp16; None for other precisions.

    It is halved at an overflow, and doubled after `fp16_window` steps without one.
    """
    if hyper.precision != "fp16":
        return None
    return torch.amp.GradScaler(
        device.type, init_scale=hyper.fp16_scale, growth_interval=hyper.fp16_window
    )


def mark_overflow(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Put an infinity into a step's gradients if fp16 cannot hold them, for the scaler to find.

    A weight's gradient is computed in fp16 for each micro-batch and summed in float32. With more
    micro-batches or workers, a step could therefore pass that overflows with fewer. So the sum over
    all of them decides whether the step is skipped. No value is copied from the device.

    Args:
        parameters: their gradients are summed over the step and still carry the loss scale.
    """
    gradients = [p.grad for p in parameters if p.grad is not None and p.grad.numel()]
    if gradients:
        largest = torch.nn.utils.get_total_norm(gradients, math.inf)
        gradients[0].masked_fill_(largest.to(torch.float16).isinf(), math.inf)
