"""Choices among the options of an example."""

from ..data.encoders import multiple_choice
from ..data.training_set import TrainingSet
from ..tasks import Task
from .example_head import ExampleHead


class MultipleChoice(ExampleHead):
    """A score for each option of an example; predictions are indices of options."""

    name = "choose"
    purpose = "chooses among options"
    encoder = multiple_choice.ENCODER

    def guessed_classes(self, task: Task, train: TrainingSet) -> int:
        """Return the number of options of an example; see `TaskHead.guessed_classes`."""
        return train.group

    def text(self, prediction: float, task: Task) -> str:
        """Return the index of an option."""
        return str(int(prediction))
