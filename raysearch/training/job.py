"""Job: everything that decides what one stage of a trial computes.

It is apart from the trainer because the gradient accumulator reads it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..data.dataset import EncodedDataset
from ..data.training_set import TrainingSet
from ..recipes import Hyperparameters, Stage
from ..recipes.schedule import Schedule
from ..tasks import Task


@dataclass(frozen=True, kw_only=True)
class Job:
    """The input of one stage of a trial.

    Attributes:
        task: the task; its head, metrics and labels are used.
        stage: the stage of the recipe; its loss is used.
        hyper: the trial's configuration.
        schedule: steps, warmup and evaluation steps.
        seed: seed of the order of the data, of dropout and of new weights.
        train: the training examples.
        dev: dev split -> examples whose scores are printed; the first split selects.
        searched: dev split -> examples that select instead, if those of `dev` are held out; empty
            if they are not.
        selector: name of the score that selects, such as "dev.accuracy"; "" for the task's metric
            on the first split of the part that selects.
        keep_best: whether to keep a copy of the weights of the best evaluation.
        keep_predictions: whether to keep the dev predictions of the evaluation that counts.
        select: which evaluation counts, "best" or "last".
    """

    task: Task
    stage: Stage
    hyper: Hyperparameters
    schedule: Schedule
    seed: int
    train: TrainingSet
    dev: Mapping[str, EncodedDataset]
    searched: Mapping[str, EncodedDataset] = field(default_factory=dict)
    selector: str = ""
    keep_best: bool = False
    keep_predictions: bool = False
    select: str = "best"
