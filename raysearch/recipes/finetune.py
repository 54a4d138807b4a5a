"""Plain fine-tuning: the task's own loss on the labelled examples."""

import math
from typing import Any

from .hyper import Hyper
from .recipe import Recipe, Stage

NO_TAG = -100  # fills the tags of a short row: no loss, no score


def finetune_loss(model: Any, batch: dict[str, Any], hyper: Hyper, teacher: Any = None) -> Any:
    """Cross entropy over classes, options or tags, squared error of a score (Devlin et al., 2019),
    or the loss of an answer's ends, see `span_loss`.

    Args:
        model: gives `logits`, [examples, outputs], [examples, words, tags] where words are tagged,
            or the scores of spans.
        batch: the model's inputs and `labels`, [examples]: int64 classes or float32 scores; or
            [examples, words] of tags.

    Returns:
        A scalar of at least float32: the mean over examples, of tags over words.
    """
    return task_loss(says(model, batch), batch, hyper)


def says(model: Any, batch: dict[str, Any]) -> Any:
    """What the model says of a batch: the scores of spans, or logits of at least float32."""
    import torch  # studies are read and tables written without it

    if "start" in batch:
        return model(**batch)
    logits = model(**{name: x for name, x in batch.items() if name != "labels"}).logits
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def task_loss(said: Any, batch: dict[str, Any], hyper: Hyper) -> Any:
    """The task's own loss of what a model says of a batch: see `finetune_loss`."""
    from torch.nn import functional

    if "start" in batch:
        return span_loss(said, hyper)
    labels = batch["labels"]
    if labels.is_floating_point():
        return functional.mse_loss(said.squeeze(-1), labels / hyper.label_scale)
    return functional.cross_entropy(
        said.flatten(0, -2), labels.flatten(),
        ignore_index=NO_TAG, label_smoothing=hyper.label_smoothing,
    )  # fmt: skip


def span_loss(said: Any, hyper: Hyper) -> Any:
    """Mean over windows of -(log p(start) + log p(end)) / 2, and of the conditional head's
    -log p(answerable) times its weight (GluonNLP, ELECTRA).

    Args:
        said: `start` and `end`, scores or log-probabilities [windows, tokens]; `gold`.
    """
    from torch.nn import functional

    gold, start, end = said.gold, said.start, said.end
    if hyper.span_over == "context":
        outside = ~said.context
        outside[:, 0] = False
        start, end = (scores.masked_fill(outside, -math.inf) for scores in (start, end))
    span = functional.cross_entropy(start, gold["start"])
    span = (span + functional.cross_entropy(end, gold["end"])) / 2
    answerable = getattr(said, "answerable", None)
    if answerable is None:
        return span
    return span + hyper.answerable_weight * functional.nll_loss(answerable, gold["impossible"])


RECIPE = Recipe(
    name="finetune",
    hyper=Hyper,
    stages=(Stage(name="finetune", loss=finetune_loss),),
    heads=("classify", "regress", "choose", "span", "tag"),
)
