"""Predictions and scores of a split. It never updates a parameter."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch

from .. import metrics
from ..batches import Examples, by_length
from ..tasks import Task
from .world import World

TOKENS = {"cpu": 2048, "cuda": 65536}  # padded tokens of a batch


@torch.inference_mode()
def logits(
    model: torch.nn.Module,
    examples: Examples,
    *,
    world: World | None = None,
    autocast: Callable[[], AbstractContextManager],
    beat: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The head's outputs for every example, float32 [examples, outputs], in the file's order.

    Args:
        world: workers that share the batches.
        autocast: gives the context of a forward pass.
        beat: called after every batch.

    Raises:
        MemoryError: a lone example does not fit.
    """
    world = world or World()
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    batches = by_length(examples.lengths, TOKENS.get(device.type, TOKENS["cuda"]))
    found = []
    for rows in batches[world.rank :: world.size]:
        with autocast():
            found.append((rows, _outputs(model, examples, rows, device)))
        beat()
    model.train(training)
    shares = world.gather([(rows, values.cpu().numpy()) for rows, values in found])
    parts = [part for share in shares for part in share]
    outputs = np.empty((len(examples), parts[0][1].shape[1]), dtype=np.float32)
    for rows, values in parts:
        outputs[rows] = values
    return outputs


def _outputs(
    model: torch.nn.Module, examples: Examples, rows: np.ndarray, device: torch.device
) -> torch.Tensor:
    """Outputs of one batch; half by half where memory runs out."""
    try:
        batch = examples.batch(rows, device)
        batch.pop("labels", None)
        return model(**batch).logits.float()
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            tokens = int(examples.lengths[rows].max())
            raise MemoryError(f"one example of {tokens} tokens does not fit in memory") from None
    half = len(rows) // 2
    halves = (_outputs(model, examples, part, device) for part in (rows[:half], rows[half:]))
    return torch.cat(list(halves))


def decode(outputs: np.ndarray, task: Task, label_scale: float = 1.0) -> np.ndarray:
    """Predictions from a head's outputs: class ids, or scores in the task's own units."""
    if task.head == "regress":
        return outputs[:, 0] * label_scale
    return outputs.argmax(axis=1)


def score(predictions: np.ndarray, examples: Examples, task: Task) -> dict[str, float]:
    """All of the task's metrics, as fractions, finite."""
    return metrics.score(task.metrics, predictions, examples.labels)
