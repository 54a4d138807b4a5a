"""ExampleHead: the parts that are the same for all heads with one prediction for each example."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import metrics
from ..data.dataset import EncodedDataset
from ..recipes import Hyperparameters
from ..run_folder.dev_predictions import KeptSplit, class_columns
from ..tasks import Split, Task
from ..tasks.example_ids import group_of
from .submission_files import write_submission
from .task_head import TaskHead


class ExampleHead(TaskHead[np.ndarray]):
    """A head with one prediction for each example: a class, an option or a number, [examples]."""

    def decode(
        self, outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
    ) -> np.ndarray:
        """Return the index of the highest score of each example, int64 [examples]."""
        best: np.ndarray = outputs.argmax(axis=1)
        return best

    def score(
        self,
        predictions: np.ndarray,
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> dict[str, float]:
        """Return the task's metrics; see `TaskHead.score`."""
        assert examples.labels is not None, "a split without labels"
        groups = [*map(group_of, examples.ids())] if task.id_parts else None
        return metrics.score(task.metrics, predictions, examples.labels, groups)

    def kept(
        self,
        predictions: np.ndarray,
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> KeptSplit:
        """Return the predictions and the labels; see `TaskHead.kept`."""
        assert examples.labels is not None, "a split without labels"
        return examples.ids(), class_columns(predictions, examples.labels)

    @abstractmethod
    def text(self, prediction: float, task: Task) -> str:
        """Return a prediction as the benchmark spells it."""

    def exact_text(self, prediction: float, task: Task) -> str:
        """Return a prediction of a labelled split, so that the file has the prediction's scores."""
        return self.text(prediction, task)

    def write(
        self,
        folder: Path,
        task: Task,
        split: Split,
        ids: Sequence[str],
        predictions: Sequence[float] | np.ndarray,
        hyper: Hyperparameters,
    ) -> list[Path]:
        """Write a line for each example; see `TaskHead.write`."""
        text = self.exact_text if split.labelled else self.text
        return [write_submission(folder, task, split, ids, predictions, text)]
