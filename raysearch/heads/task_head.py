"""TaskHead: what the code needs to know of one kind of task output.

It is apart from the heads, which implement it, and from the registry, which lists them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch

from ..data.dataset import EncodedDataset
from ..data.encoders.encoder import Encoder
from ..data.training_set import TrainingSet
from ..recipes import Hyperparameters
from ..run_folder.dev_predictions import KeptSplit
from ..tasks import HEAD_FACTS, Head, HeadFacts, Split, Task

Batch = dict[str, torch.Tensor]  # of `EncodedDataset.batch`, without labels
Predictions = TypeVar("Predictions")  # of all examples of a split
# Computes numbers from a batch, float32 [examples, numbers].
Forward = Callable[[Any, Batch, Hyperparameters], torch.Tensor]


class Mean(Protocol):
    """The mean over several models of what each of them computes from the examples of a split."""

    def __call__(
        self, forward: Forward, columns: Mapping[str, np.ndarray] | None = None
    ) -> np.ndarray:
        """Return the mean, float64 [examples, numbers].

        Args:
            forward: computes the numbers of a batch, with each model's own configuration; where
                their count varies with the batch, missing ones are 0.
            columns: arrays [examples, ..] of which every batch gets its rows.
        """


class TaskHead(ABC, Generic[Predictions]):
    """A kind of task output: from examples to scores and prediction files.

    Attributes:
        name: the name in a task's row; `facts` has what is known of it without torch.
        purpose: what a model with it does, for messages.
        encoder: how its examples become rows of token ids.
    """

    name: ClassVar[Head]
    purpose: ClassVar[str]
    encoder: ClassVar[Encoder]

    @property
    def facts(self) -> HeadFacts:
        """Return the facts that need no torch."""
        return HEAD_FACTS[self.name]

    def variant(self, hyper: Hyperparameters) -> dict[str, str]:
        """Return the hyperparameters that select a variant: the configuration's `raysearch`."""
        return {field: getattr(hyper, field) for field in self.facts.variant_fields}

    def has_own_modules(self, variant: Mapping[str, str]) -> bool:
        """Return whether a variant has modules that transformers' class of the model lacks."""
        return False

    def attach(self, model: Any, variant: Mapping[str, str]) -> None:  # may do nothing
        """Give a transformers model the forward pass that losses and `forward` need.

        Args:
            model: a PreTrainedModel, changed in place.
            variant: see `variant`; it may lack fields, whose defaults are used.

        Raises:
            InputError: the variant does not fit the model.
        """

    def forward(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        """Return what the model computes of a batch for scores, float32 [examples, outputs].

        Args:
            model: with this head attached.
            batch: without gold labels.
            hyper: the trial's configuration.
        """
        logits: torch.Tensor = model(**batch).logits
        return logits.float()

    def forward_to_write(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        """Return what the model computes of a batch for prediction files; see `forward`."""
        return self.forward(model, batch, hyper)

    def are_finite(self, outputs: np.ndarray) -> bool:
        """Return whether no output is NaN, nor infinite where it should not be."""
        return bool(np.isfinite(outputs).all())

    @abstractmethod
    def decode(
        self, outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
    ) -> Predictions:
        """Return the predictions that outputs stand for.

        Args:
            outputs: of `forward` or `forward_to_write`, [examples, outputs], in the file's order.
            examples: the split.
            hyper: the trial's configuration.
        """

    def predict_average(
        self, mean: Mean, examples: EncodedDataset, task: Task, hyper: Hyperparameters
    ) -> Predictions:
        """Return what several models predict together: what the mean of their scores stands for.

        Args:
            mean: gives the mean over the models.
            examples: the split.
            task: the task.
            hyper: the configuration that decodes.
        """
        return self.decode(mean(self.forward), examples, hyper)

    @abstractmethod
    def score(
        self,
        predictions: Predictions,
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> dict[str, float]:
        """Return all of the task's metrics by name, as finite fractions.

        Args:
            predictions: of `decode`.
            examples: the split, with labels.
            task: its metrics and labels are used.
            hyper: the trial's configuration.
        """

    @abstractmethod
    def kept(
        self,
        predictions: Predictions,
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> KeptSplit:
        """Return what a run folder keeps of a dev split: predictions, and what scores them.

        The arguments are those of `score`.
        """

    def guessed_classes(self, task: Task, train: TrainingSet) -> int | None:
        """Return the number of classes of which a model that has learned nothing guesses one.

        Returns:
            None if a loss at the logarithm of some number is no sign of that.
        """
        return None

    @abstractmethod
    def write(
        self,
        folder: Path,
        task: Task,
        split: Split,
        ids: Sequence[str],
        predictions: Predictions,
        hyper: Hyperparameters,
    ) -> list[Path]:
        """Write predictions in the format and under the name that the benchmark takes.

        Args:
            folder: the folder for the files.
            task: the task.
            split: one of its splits with a submission file.
            ids: the ids of the examples, in the order of the file.
            predictions: of `decode`.
            hyper: the trial's configuration.

        Returns:
            The files.

        Raises:
            InputError: the benchmark takes no predictions of the split, or they cannot be written.
        """
