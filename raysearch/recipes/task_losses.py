"""The losses of each form of labels: classes or tags, numbers, the ends of spans.

They are apart from the recipes, which add their own terms, so that a new form of labels is one
class for all recipes. A batch shows its form, as recipes do not know the task's head.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from .consistency_losses import dropout_loss
from .hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from torch import Tensor

IGNORE_INDEX = -100  # label of padding in the tags of a sentence: no loss, no score

Batch = dict[str, Any]  # of `EncodedDataset.batch`


class TaskLoss(ABC):
    """The supervised loss of one form of labels, and how far two outputs differ."""

    def outputs(self, model: Any, batch: Batch) -> Any:
        """Return the model's scores of a batch, float32 or wider; see `model_outputs`."""
        import torch  # inside: studies are read and tables are written without torch

        logits = model(**{name: x for name, x in batch.items() if name != "labels"}).logits
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    @abstractmethod
    def total(
        self, outputs: Any, batch: Batch, hyper: Hyperparameters
    ) -> tuple[Tensor, int | Tensor]:
        """Return the sum of the loss over a batch, a scalar, and the number of its terms.

        Args:
            outputs: of `outputs`.
            batch: with labels.
            hyper: the trial's hyperparameters.
        """

    @abstractmethod
    def divergence(self, first: Any, second: Any, batch: Batch, count: int | None) -> Tensor:
        """Return R-Drop's mean divergence of two outputs, a scalar.

        Args:
            first: of `outputs`.
            second: of `outputs`, with another dropout.
            batch: with labels.
            count: the number of terms that the mean is over; None: those of the batch.
        """


class ClassLoss(TaskLoss):
    """Cross entropy over classes, options or the tags of words."""

    def total(
        self, outputs: Any, batch: Batch, hyper: Hyperparameters
    ) -> tuple[Tensor, int | Tensor]:
        """Return the sum and the number of labels that are not IGNORE_INDEX."""
        from torch.nn import functional

        labels = batch["labels"]
        total = functional.cross_entropy(
            outputs.flatten(0, -2),
            labels.flatten(),
            ignore_index=IGNORE_INDEX,
            label_smoothing=hyper.label_smoothing,
            reduction="sum",
        )
        return total, (labels != IGNORE_INDEX).sum().clamp(min=1)

    def divergence(self, first: Any, second: Any, batch: Batch, count: int | None) -> Tensor:
        """Return the divergence over the labels that are not IGNORE_INDEX."""
        return dropout_loss(first, second, batch["labels"] != IGNORE_INDEX, normalizer=count)


class NumberLoss(TaskLoss):
    """The squared error of numbers, which are divided by `label_scale`."""

    def total(
        self, outputs: Any, batch: Batch, hyper: Hyperparameters
    ) -> tuple[Tensor, int | Tensor]:
        """Return the sum of the squared errors and the number of examples."""
        from torch.nn import functional

        targets = batch["labels"] / hyper.label_scale
        total = functional.mse_loss(outputs.squeeze(-1), targets, reduction="sum")
        return total, len(targets)

    def divergence(self, first: Any, second: Any, batch: Batch, count: int | None) -> Tensor:
        """Return the squared difference of the numbers."""
        from torch.nn import functional

        difference = functional.mse_loss(first, second, reduction="sum")
        return difference / (count or len(first))


class SpanLoss(TaskLoss):
    """The mean of the cross entropies of an answer's start and end."""

    def outputs(self, model: Any, batch: Batch) -> Any:
        """Return the object with scores, gold answers and masks that a span head gives."""
        return model(**batch)

    def total(
        self, outputs: Any, batch: Batch, hyper: Hyperparameters
    ) -> tuple[Tensor, int | Tensor]:
        """Return the sum over windows of -(log p(start) + log p(end)) / 2, and their number.

        The conditional head adds -log p(answerable) times its weight (GluonNLP, ELECTRA).

        Args:
            outputs: `start` and `end`, scores or log-probabilities [windows, tokens]; `gold`; and
                `nowhere`, the index of the token of each window that stands for no answer.
            batch: not used.
            hyper: the trial's hyperparameters.
        """
        from torch.nn import functional

        gold, start, end = outputs.gold, outputs.start, outputs.end
        if hyper.span_over == "context":
            outside = (~outputs.context).scatter(1, outputs.nowhere[:, None], False)
            start, end = (scores.masked_fill(outside, -math.inf) for scores in (start, end))
        start_loss = functional.cross_entropy(start, gold["start"], reduction="sum")
        end_loss = functional.cross_entropy(end, gold["end"], reduction="sum")
        loss = (start_loss + end_loss) / 2
        answerable = getattr(outputs, "answerable", None)
        if answerable is None:
            return loss, len(outputs.start)
        answerable_loss = functional.nll_loss(answerable, gold["impossible"], reduction="sum")
        return loss + hyper.answerable_weight * answerable_loss, len(outputs.start)

    def divergence(self, first: Any, second: Any, batch: Batch, count: int | None) -> Tensor:
        """Return the mean of the divergences of start and end."""
        start = dropout_loss(first.start, second.start, normalizer=count)
        return (start + dropout_loss(first.end, second.end, normalizer=count)) / 2


_CLASSES, _NUMBERS, _SPANS = ClassLoss(), NumberLoss(), SpanLoss()


def has_spans(batch: Batch) -> bool:
    """Return whether a batch is of windows, whose labels are the ends of spans."""
    return "at" in batch  # the first token of the context


def task_loss_of(batch: Batch) -> TaskLoss:
    """Return the loss for the form of a batch's labels; without labels that of classes."""
    if has_spans(batch):
        return _SPANS
    labels = batch.get("labels")
    return _NUMBERS if labels is not None and labels.is_floating_point() else _CLASSES
