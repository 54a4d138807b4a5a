"""What a lane takes of its device, and how fast it trains: measured by its worker.

It is apart from the worker because a run measures only where lanes share devices in a number that
follows from it.
"""

import time
from typing import TYPE_CHECKING, Protocol

from .machine import device_name
from .messages import DeviceMemory, Usage

if TYPE_CHECKING:  # the driver imports this module, and loads torch later
    import torch


class MemoryReader(Protocol):
    """Reads the memory of a device; a test replaces it on machines without one."""

    def read(self, device: "torch.device") -> DeviceMemory | None:
        """Return the memory now; None for a device whose memory cannot be read."""


class TorchMemory:
    """The memory of a GPU, as its driver and torch's allocator count it."""

    def read(self, device: "torch.device") -> DeviceMemory | None:
        """Return the memory of a GPU now; None for a CPU."""
        if device.type != "cuda":
            return None
        import torch

        return DeviceMemory(
            device=device_name(device),
            free=torch.cuda.mem_get_info(device)[0],
            reserved=torch.cuda.memory_reserved(device),
            peak=torch.cuda.max_memory_reserved(device),
        )


class UsageMeter:
    """Measures what a worker trains and takes.

    Args:
        reader: reads the memory.
        device: that the worker trains on.

    Attributes:
        evaluated: whether the worker has evaluated a model; it may take more memory than a step.
    """

    def __init__(self, reader: MemoryReader, device: "torch.device") -> None:
        self._reader, self._device = reader, device
        self.evaluated = False
        self.begin(0)

    def begin(self, tokens: int) -> None:
        """Begin an attempt, which has trained on so many tokens before its checkpoint."""
        self._tokens, self._seconds = 0, 0.0
        self._last_tokens, self._last, self._trains = tokens, time.monotonic(), True

    def step(self, tokens: int, trains: bool) -> None:
        """Count what has happened since the last call, if that was training.

        Args:
            tokens: that the trial has been trained on so far.
            trains: whether the next thing that the worker does is a training step.
        """
        now = time.monotonic()
        if self._trains:
            self._tokens += tokens - self._last_tokens
            self._seconds += now - self._last
        self._last_tokens, self._last, self._trains = tokens, now, trains

    def usage(self, ran_out: int) -> Usage:
        """Return what was measured.

        Args:
            ran_out: how often the worker has run out of memory.
        """
        return Usage(
            tokens=self._tokens,
            seconds=self._seconds,
            evaluated=self.evaluated,
            ran_out=ran_out,
            memory=self._reader.read(self._device),
        )
