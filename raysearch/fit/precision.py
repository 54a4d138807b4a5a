"""The number format of forward passes, and the loss scale that fp16 needs."""

from contextlib import AbstractContextManager, nullcontext

import torch

from ..recipes import Hyper

_FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, hyper: Hyper) -> AbstractContextManager:
    """The context of a forward pass; weights and gradients stay float32."""
    kind = _FORMATS.get(hyper.precision)
    return torch.autocast(device.type, kind) if kind else nullcontext()


def scaler(device: torch.device, hyper: Hyper) -> torch.amp.GradScaler | None:
    """The dynamic loss scale of fp16: halved at an overflow, doubled after a window without."""
    if hyper.precision != "fp16":
        return None
    return torch.amp.GradScaler(
        device.type, init_scale=hyper.fp16_scale, growth_interval=hyper.fp16_window
    )
