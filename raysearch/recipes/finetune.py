"""Plain fine-tuning: the task's own loss on the labelled examples."""

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
    import torch  # studies are read and tables written without it
    from torch.nn import functional

    if "start" in batch:
        return span_loss(model(**batch), hyper)
    labels = batch["labels"]
    logits = model(**{name: x for name, x in batch.items() if name != "labels"}).logits
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if labels.is_floating_point():
        return functional.mse_loss(logits.squeeze(-1), labels / hyper.label_scale)
    return functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(),
        ignore_index=NO_TAG, label_smoothing=hyper.label_smoothing,
    )  # fmt: skip


def span_loss(said: Any, hyper: Hyper) -> Any:
    """Mean over windows of -(log p(start) + log p(end)) / 2, and of the conditional head's
    -log p(answerable) times its weight (GluonNLP, ELECTRA).

    Args:
        said: `start` and `end`, scores or log-probabilities [windows, tokens]; `gold`.
    """
    from torch.nn import functional

    gold = said.gold
    span = functional.cross_entropy(said.start, gold["start"])
    span = (span + functional.cross_entropy(said.end, gold["end"])) / 2
    answerable = getattr(said, "answerable", None)
    if answerable is None:
        return span
    return span + hyper.answerable_weight * functional.nll_loss(answerable, gold["impossible"])


RECIPE = Recipe(name="finetune", hyper=Hyper, stages=(Stage(name="finetune", loss=finetune_loss),))
