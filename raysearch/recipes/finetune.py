"""Plain fine-tuning: the task's own loss on the labelled examples."""

import math
from collections.abc import Mapping
from typing import Any

from .hyperparameters import Hyperparameters
from .recipe import Recipe, Stage

IGNORE_INDEX = -100  # fills the tags of a short row: no loss, no score

Normalizers = Mapping[str, int]  # what a step holds: "units", that its mean loss is over
LossTerms = dict[str, Any]  # what a loss consists of, for reports


def finetune_loss(
    model: Any, batch: dict[str, Any], hyper: Hyperparameters,
    over: Normalizers | None = None, teacher: Any = None, terms: LossTerms | None = None,
) -> Any:  # fmt: skip
    """Cross entropy over classes, options or tags, squared error of a score (Devlin et al., 2019),
    or the loss of an answer's ends, see `span_loss`.

    Args:
        model: gives `logits`, [examples, outputs], [examples, words, tags] where words are tagged,
            or the scores of spans.
        batch: the model's inputs and `labels`, [examples]: int64 classes or float32 scores; or
            [examples, words] of tags.
        over: what the step counts that the batch is a part of; none: it is the step.

    Returns:
        A scalar of at least float32: the batch's part of the mean over the step's examples, of tags
        over its words.
    """
    return supervised_loss(model_outputs(model, batch), batch, hyper, over)


def model_outputs(model: Any, batch: dict[str, Any]) -> Any:
    """What the model says of a batch: the scores of spans, or logits of at least float32."""
    import torch  # studies are read and tables written without it

    if "at" in batch:
        return model(**batch)
    logits = model(**{name: x for name, x in batch.items() if name != "labels"}).logits
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def supervised_loss(
    said: Any, batch: dict[str, Any], hyper: Hyperparameters, over: Normalizers | None = None
) -> Any:
    """The task's own loss of what a model says of a batch: see `finetune_loss`."""
    from torch.nn import functional

    if "start" in batch:
        total, units = span_loss(said, hyper), len(said.start)
    elif (labels := batch["labels"]).is_floating_point():
        wanted, units = labels / hyper.label_scale, len(labels)
        total = functional.mse_loss(said.squeeze(-1), wanted, reduction="sum")
    else:
        total = functional.cross_entropy(
            said.flatten(0, -2), labels.flatten(),
            ignore_index=IGNORE_INDEX, label_smoothing=hyper.label_smoothing, reduction="sum",
        )  # fmt: skip
        units = (labels != IGNORE_INDEX).sum().clamp(min=1)
    return total / (max(1, over["units"]) if over else units)


def span_loss(said: Any, hyper: Hyperparameters) -> Any:
    """Sum over windows of -(log p(start) + log p(end)) / 2, and of the conditional head's
    -log p(answerable) times its weight (GluonNLP, ELECTRA).

    Args:
        said: `start` and `end`, scores or log-probabilities [windows, tokens]; `gold`; `nowhere`,
            the place in each window that stands for no answer.
    """
    from torch.nn import functional

    gold, start, end = said.gold, said.start, said.end
    if hyper.span_over == "context":
        outside = (~said.context).scatter(1, said.nowhere[:, None], False)
        start, end = (scores.masked_fill(outside, -math.inf) for scores in (start, end))
    ends = (start, gold["start"]), (end, gold["end"])
    span = sum(functional.cross_entropy(*pair, reduction="sum") for pair in ends) / 2
    answerable = getattr(said, "answerable", None)
    if answerable is None:
        return span
    known = functional.nll_loss(answerable, gold["impossible"], reduction="sum")
    return span + hyper.answerable_weight * known


RECIPE = Recipe(
    name="finetune",
    hyper=Hyperparameters,
    stages=(Stage(name="finetune", loss=finetune_loss),),
    heads=("classify", "regress", "choose", "span", "tag"),
)
