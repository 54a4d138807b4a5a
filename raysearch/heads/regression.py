"""Numbers that rate texts, or pairs of texts."""

import math
from typing import Any

import numpy as np
import torch

from ..data.dataset import EncodedDataset
from ..data.encoders import sequence_classification
from ..recipes import Hyperparameters
from ..tasks import Task
from .example_head import ExampleHead
from .task_head import Batch, Mean


class Regression(ExampleHead):
    """A number for a text or a pair; predictions are in the task's own units."""

    name = "regress"
    purpose = "rates texts"
    encoder = sequence_classification.ENCODER

    def decode(
        self, outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
    ) -> np.ndarray:
        """Return the numbers in the task's own units, float32 [examples]."""
        numbers: np.ndarray = outputs[:, 0] * hyper.label_scale
        return numbers

    def predict_average(
        self, mean: Mean, examples: EncodedDataset, task: Task, hyper: Hyperparameters
    ) -> np.ndarray:
        """Return the mean of the numbers in the task's own units, float32 [examples].

        Models whose labels had other scales (`label_scale`) thus count alike.
        """
        return mean(self._numbers)[:, 0].astype(np.float32)

    def _numbers(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        return self.forward(model, batch, hyper)[:, :1] * hyper.label_scale

    def text(self, prediction: float, task: Task) -> str:
        """Return a number, clipped to the task's bounds, with three decimals."""
        low, high = task.bounds or (-math.inf, math.inf)
        return f"{min(max(float(prediction), low), high):.3f}"

    def exact_text(self, prediction: float, task: Task) -> str:
        """Return a number with all its digits, not clipped."""
        return repr(float(prediction))
