"""Plain fine-tuning: the task's own loss on the labelled examples.

The other recipes build on its functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .hyperparameters import Hyperparameters
from .recipe import Recipe, Stage

if TYPE_CHECKING:
    from torch import Tensor

IGNORE_INDEX = -100  # label of padding in the tags of a sentence: no loss, no score

Normalizers = Mapping[str, int]  # counts of a step: its mean loss is over its "units"
LossTerms = dict[str, "Tensor"]  # name -> term of a loss, a tensor without gradient, for reports


def finetune_loss(
    model: Any,
    batch: dict[str, Any],
    hyper: Hyperparameters,
    normalizers: Normalizers | None = None,
    teacher: Any = None,
    loss_terms: LossTerms | None = None,
) -> Tensor:
    """Return the loss of plain fine-tuning (Devlin et al., 2019).

    It is the cross entropy over classes, options or tags, the squared error of a regression, or the
    loss of an answer's start and end (see `span_loss`).

    Args:
        model: returns `logits`, [examples, outputs], or [examples, words, tags] for tags; for spans
            an object with their scores.
        batch: the model's inputs, and `labels`: int64 classes or float32 numbers, [examples], or
            int64 tags, [examples, words].
        hyper: the trial's hyperparameters.
        normalizers: the counts of the step that the batch is a part of; None: the batch is the
            step.
        teacher: not used.
        loss_terms: not used; the loss has one term.

    Returns:
        A scalar of at least float32: the batch's part of the mean over the examples of the step,
        over its words for tags.
    """
    return supervised_loss(model_outputs(model, batch), batch, hyper, normalizers)


def model_outputs(model: Any, batch: dict[str, Any]) -> Any:
    """Return the model's outputs: an object with the scores of spans, or logits (float32 or wider).

    Args:
        model: see `finetune_loss`.
        batch: its inputs; `labels` is not passed to the model.
    """
    import torch  # inside: studies are read and tables are written without torch

    if "at" in batch:
        return model(**batch)
    logits = model(**{name: x for name, x in batch.items() if name != "labels"}).logits
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def supervised_loss(
    outputs: Any,
    batch: dict[str, Any],
    hyper: Hyperparameters,
    normalizers: Normalizers | None = None,
) -> Tensor:
    """Return the task's own loss of a model's outputs; see `finetune_loss`."""
    from torch.nn import functional

    count: int | Tensor
    if "start" in batch:
        total, count = span_loss(outputs, hyper), len(outputs.start)
    elif (labels := batch["labels"]).is_floating_point():
        targets, count = labels / hyper.label_scale, len(labels)
        total = functional.mse_loss(outputs.squeeze(-1), targets, reduction="sum")
    else:
        total = functional.cross_entropy(
            outputs.flatten(0, -2),
            labels.flatten(),
            ignore_index=IGNORE_INDEX,
            label_smoothing=hyper.label_smoothing,
            reduction="sum",
        )
        count = (labels != IGNORE_INDEX).sum().clamp(min=1)
    return total / (max(1, normalizers["units"]) if normalizers else count)


def span_loss(outputs: Any, hyper: Hyperparameters) -> Tensor:
    """Return the sum over windows of -(log p(start) + log p(end)) / 2.

    The conditional head adds -log p(answerable) times its weight (GluonNLP, ELECTRA).

    Args:
        outputs: `start` and `end`, scores or log-probabilities [windows, tokens]; `gold`; and
            `nowhere`, the index of the token of each window that stands for no answer.
        hyper: the trial's hyperparameters.

    Returns:
        A scalar.
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
        return loss
    answerable_loss = functional.nll_loss(answerable, gold["impossible"], reduction="sum")
    return loss + hyper.answerable_weight * answerable_loss


RECIPE = Recipe(
    name="finetune",
    hyper=Hyperparameters,
    stages=(Stage(name="finetune", loss=finetune_loss),),
    heads=("classify", "regress", "choose", "span", "tag"),
)
