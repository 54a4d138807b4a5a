"""Plain fine-tuning: the task's own loss on the labelled examples."""

from typing import Any

from .hyper import Hyper
from .recipe import Recipe, Stage


def finetune_loss(model: Any, batch: dict[str, Any], hyper: Hyper, teacher: Any = None) -> Any:
    """Cross entropy over classes or squared error of a score (Devlin et al., 2019).

    Args:
        model: gives `logits`, [examples, outputs].
        batch: the model's inputs and `labels`, [examples]: int64 classes or float32 scores.

    Returns:
        A float32 scalar, the mean over examples.
    """
    from torch.nn import functional  # studies are read and tables written without torch

    labels = batch["labels"]
    logits = model(**{name: x for name, x in batch.items() if name != "labels"}).logits.float()
    if labels.is_floating_point():
        return functional.mse_loss(logits.squeeze(-1), labels / hyper.label_scale)
    return functional.cross_entropy(logits, labels, label_smoothing=hyper.label_smoothing)


RECIPE = Recipe(name="finetune", hyper=Hyper, stages=(Stage(name="finetune", loss=finetune_loss),))
