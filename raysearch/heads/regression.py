"""Numbers that rate texts, or pairs of texts."""

import math

import numpy as np

from ..data.dataset import EncodedDataset
from ..data.encoders import sequence_classification
from ..recipes import Hyperparameters
from ..tasks import Task
from .example_head import ExampleHead


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

    def text(self, prediction: float, task: Task) -> str:
        """Return a number, clipped to the task's bounds, with three decimals."""
        low, high = task.bounds or (-math.inf, math.inf)
        return f"{min(max(float(prediction), low), high):.3f}"
