"""What one stage of one trial is to compute."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..data.dataset import EncodedDataset
from ..data.training_set import TrainingSet
from ..recipes import Hyperparameters, Stage
from ..recipes.schedule import Schedule
from ..tasks import Task


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that decides what a stage of a trial computes.

    Attributes:
        task: its head, metrics and labels.
        stage: its loss.
        hyper: the configuration.
        plan: steps, warmup and evaluation points.
        seed: of the data order, dropout and new weights.
        train: training examples.
        dev: dev split -> examples; the first one selects.
        selector: the score that selects, "dev.accuracy"; "" for the first dev split's metric.
        keep_best: whether to copy the weights of the best evaluation.
        select: "best" or "last", the evaluation that counts.
    """

    task: Task
    stage: Stage
    hyper: Hyperparameters
    plan: Schedule
    seed: int
    train: TrainingSet
    dev: Mapping[str, EncodedDataset]
    selector: str = ""
    keep_best: bool = False
    select: str = "best"
