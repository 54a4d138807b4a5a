"""Dropout on a CPU at a fraction of torch's cost: 16 random bits decide about each value.

`Tensor.bernoulli_` takes 6 ns per value on one core, a tenth of a small model's step; this takes
1 ns. The bits come from torch's generator (a Mersenne twister), so that seeds, checkpoints of
activations and `fork_rng` work as ever. A module of its own because attention without padding
draws its masks here too.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

_VALUES = 2**16  # of 16 bits


def scaled_mask(shape: torch.Size, rate: float, device: torch.device) -> torch.Tensor:
    """Return what dropout multiplies by: 0, or 1 / keep so that the mean is 1; float32 [*shape].

    On a CPU, the rate is rounded to a multiple of 2^-16, and `keep` is 1 minus the rounded rate.

    Args:
        shape: of the result.
        rate: the probability of a 0, below 1.
        device: of the result.
    """
    if device.type != "cpu":
        return torch.empty(shape, device=device).bernoulli_(1 - rate).div_(1 - rate)
    count = math.prod(shape)
    dropped = min(round(rate * _VALUES), _VALUES - 1)
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = words.numpy().view(np.uint16)[:count] >= dropped
    # NumPy's product of booleans is four times as fast as torch's.
    mask = np.multiply(kept, np.float32(_VALUES / (_VALUES - dropped)))
    return torch.from_numpy(mask).view(shape)


class CpuDropout(nn.Dropout):
    """An nn.Dropout whose masks are drawn by `scaled_mask`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input with a share `p` of its values set to 0 and the others scaled."""
        if not self.training or self.p == 0:
            return input
        if self.p == 1 or input.device.type != "cpu" or input.dtype != torch.float32:
            return super().forward(input)
        dropped: torch.Tensor = _Dropout.apply(input, self.p)  # type: ignore[no-untyped-call]
        return dropped


class _Dropout(torch.autograd.Function):
    """A product with a mask that is drawn in the forward pass."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rate: float) -> torch.Tensor:
        mask = scaled_mask(values.shape, rate, values.device)
        ctx.save_for_backward(mask)
        return values * mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradient * mask, None


def use_cpu_dropout(model: nn.Module) -> None:
    """Let every nn.Dropout of a model draw its masks by `scaled_mask`.

    Args:
        model: changed in place; classes derived from nn.Dropout are left as they are.
    """
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = CpuDropout  # the same object, as heads put hooks on it
