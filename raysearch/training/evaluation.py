"""Outputs of a model for all examples of a split.

It is apart from the trainer because predictions with a finished model need it without training. It
never updates a parameter.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch

from ..data.dataset import EncodedDataset
from ..data.sampling import length_sorted_batches
from ..heads import HEADS
from ..recipes import Hyperparameters
from ..tasks import Task
from .distributed import DistributedContext

TOKENS = {"cpu": 2048, "cuda": 65536}  # padded tokens of a batch
# Returns what a model computes from a batch, [examples, numbers].
Forward = Callable[[torch.nn.Module, dict[str, torch.Tensor], Hyperparameters], torch.Tensor]
_GOLD = ("labels", "start", "end", "impossible")


@torch.inference_mode()
def predict_outputs(
    model: torch.nn.Module,
    examples: EncodedDataset,
    task: Task,
    hyper: Hyperparameters,
    *,
    world: DistributedContext | None = None,
    autocast: Callable[[], AbstractContextManager[object]],
    on_batch: Callable[[int], None] = lambda count: None,
    forward: Forward | None = None,
) -> np.ndarray:
    """Return what the task's head computes from every example, float32, in the file's order.

    Args:
        model: the model with the task's head; its training mode is restored afterwards.
        examples: the split.
        task: the task; its head decides what the outputs are.
        hyper: the trial's configuration.
        world: the workers that share the batches; None: this one alone.
        autocast: returns the context of a forward pass.
        on_batch: called after every batch with the number of examples that this worker has done.
        forward: computes the outputs of a batch; None: `TaskHead.forward` of the task's head.

    Returns:
        [examples, outputs], see `TaskHead.forward`; 0 where an example has fewer outputs.

    Raises:
        MemoryError: a single example does not fit into memory.
    """
    world, forward = world or DistributedContext(), forward or HEADS[task.head].forward
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    batches = length_sorted_batches(examples.lengths, TOKENS.get(device.type, TOKENS["cuda"]))
    parts: list[tuple[np.ndarray, torch.Tensor]] = []
    count = 0
    for rows in batches[world.rank :: world.size]:
        with autocast():
            parts += _batch_outputs(model, examples, rows, device, forward, hyper)
        count += len(rows)
        on_batch(count)
    model.train(training)
    shares = world.all_gather([(rows, values.cpu().numpy()) for rows, values in parts])
    return _merge_outputs([part for share in shares for part in share], len(examples))


def _merge_outputs(parts: list[tuple[np.ndarray, np.ndarray]], examples: int) -> np.ndarray:
    """Return the outputs of all batches in one array, narrower ones padded with 0."""
    width = max(values.shape[1] for _, values in parts)
    outputs = np.zeros((examples, width), dtype=np.float32)
    for rows, values in parts:
        outputs[rows, : values.shape[1]] = values
    return outputs


def _batch_outputs(
    model: torch.nn.Module,
    examples: EncodedDataset,
    rows: np.ndarray,
    device: torch.device,
    forward: Forward,
    hyper: Hyperparameters,
) -> list[tuple[np.ndarray, torch.Tensor]]:
    """Return the rows and outputs of a batch, in halves where memory runs out."""
    try:
        batch = examples.batch(rows, device)
        batch = {name: x for name, x in batch.items() if name not in _GOLD}
        return [(rows, forward(model, batch, hyper))]
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            tokens = int(examples.lengths[rows].max())
            raise MemoryError(f"one example of {tokens} tokens does not fit in memory") from None
    # Not in the except block: the exception still references the tensors of the pass.
    middle = len(rows) // 2
    return [
        part
        for half in (rows[:middle], rows[middle:])
        for part in _batch_outputs(model, examples, half, device, forward, hyper)
    ]
