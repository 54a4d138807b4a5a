"""Classes of texts, or of pairs of texts."""

from ..data.encoders import sequence_classification
from ..data.training_set import TrainingSet
from ..tasks import Task
from .example_head import ExampleHead


class SequenceClassification(ExampleHead):
    """A score for each class of a text or a pair; predictions are class ids."""

    name = "classify"
    purpose = "classifies texts"
    encoder = sequence_classification.ENCODER

    def guessed_classes(self, task: Task, train: TrainingSet) -> int:
        """Return the number of the task's classes; see `TaskHead.guessed_classes`."""
        return len(task.labels)

    def text(self, prediction: float, task: Task) -> str:
        """Return the name of a class."""
        return task.labels[int(prediction)]
