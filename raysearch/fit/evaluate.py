"""Predictions and scores of a split. It never updates a parameter."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch

from .. import metrics
from ..batches import Examples, by_length
from ..tasks import Task
from .world import World

TOKENS = {"cpu": 2048, "cuda": 65536}


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
        beat: called after every batch.
    """
    world = world or World()
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    batches = by_length(examples.lengths, TOKENS.get(device.type, TOKENS["cuda"]))
    found = []
    for rows in batches[world.rank :: world.size]:
        batch = examples.collate(rows, multiple=1 if device.type == "cpu" else 8)
        batch.pop("labels", None)
        batch = {name: x.to(device, non_blocking=True) for name, x in batch.items()}
        with autocast():
            found.append((rows, model(**batch).logits.float().cpu().numpy()))
        beat()
    model.train(training)
    parts = [part for worker in world.gather(found) for part in worker]
    outputs = np.empty((len(examples), parts[0][1].shape[1]), dtype=np.float32)
    for rows, values in parts:
        outputs[rows] = values
    return outputs


def decode(outputs: np.ndarray, task: Task, label_scale: float = 1.0) -> np.ndarray:
    """Predictions from a head's outputs: class ids, or scores in the task's own units."""
    if task.head == "regress":
        return outputs[:, 0] * label_scale
    return outputs.argmax(axis=1)


def score(predictions: np.ndarray, examples: Examples, task: Task) -> dict[str, float]:
    """All of the task's metrics, as fractions, finite."""
    return metrics.score(task.metrics, predictions, examples.labels)
