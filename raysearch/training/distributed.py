"""The workers that train one model together: gradients are summed, predictions gathered.

Not torch's DistributedDataParallel: a recipe may call the model several times a step, and a short
step may leave a worker without examples, neither of which its reducer takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

BUCKET = 25 * 2**20  # bytes summed in one call; larger ones hide less latency than they cost


@dataclass(frozen=True, kw_only=True)
class DistributedContext:
    """This worker's place among `size` workers."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "DistributedContext":
        """The process group that is up, or a world of one."""
        if not dist.is_initialized():
            return cls()
        return cls(rank=dist.get_rank(), size=dist.get_world_size())

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over the workers; none counts as zero."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        pending = []
        for bucket in _buckets([parameter.grad for parameter in parameters]):
            flat = _flatten_dense_tensors(bucket)
            pending.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
        for bucket, flat, work in pending:
            work.wait()
            for gradient, total in zip(bucket, _unflatten_dense_tensors(flat, bucket), strict=True):
                gradient.copy_(total)

    def gather(self, value: Any) -> list[Any]:
        """Every worker's value, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def share(self, value: Any) -> Any:
        """Rank 0's value, on every worker."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]


def _buckets(gradients: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Consecutive gradients of up to BUCKET bytes together."""
    buckets: list[list[torch.Tensor]] = []
    room = 0
    for gradient in gradients:
        size = gradient.numel() * gradient.element_size()
        if size > room or buckets[-1][0].dtype != gradient.dtype:
            buckets.append([])
            room = BUCKET
        buckets[-1].append(gradient)
        room -= size
    return buckets
