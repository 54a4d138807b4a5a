"""The workers that train one model together: gradients are summed, predictions gathered.

It is apart from the trainer, and used instead of torch's DistributedDataParallel, because a recipe
may call the model several times per step, and a short step may leave a worker without examples.
DistributedDataParallel's reducer supports neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

BUCKET = 25 * 2**20  # bytes summed in one call; larger buckets hide less latency than they cost

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class DistributedContext:
    """This worker's position among the workers of a trial.

    Attributes:
        rank: index of this worker.
        size: number of workers.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "DistributedContext":
        """Return the context of torch's process group; of a single worker if there is none."""
        if not dist.is_initialized():
            return cls()
        return cls(rank=dist.get_rank(), size=dist.get_world_size())

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over the workers; a missing gradient counts as zero."""
        if self.size == 1:
            return
        gradients = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        pending = []
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            pending.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
        for bucket, flat, work in pending:
            work.wait()
            sizes = [gradient.numel() for gradient in bucket]
            for gradient, total in zip(bucket, torch.split(flat, sizes), strict=True):
                gradient.copy_(total.view_as(gradient))

    def all_gather(self, value: T) -> list[T]:
        """Return the values of all workers, in the order of their ranks."""
        if self.size == 1:
            return [value]
        values = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        """Return the value of rank 0, on every worker."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]


def _buckets(gradients: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Group consecutive gradients of one type into buckets of up to BUCKET bytes."""
    buckets: list[list[torch.Tensor]] = []
    free = 0
    for gradient in gradients:
        size = gradient.numel() * gradient.element_size()
        if size > free or buckets[-1][0].dtype != gradient.dtype:
            buckets.append([])
            free = BUCKET
        buckets[-1].append(gradient)
        free -= size
    return buckets
