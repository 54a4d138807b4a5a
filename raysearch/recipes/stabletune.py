"""stabletune (xTune; Zheng et al., 2021): agreement of two views, and of student and teacher.

The first stage trains on the labelled examples, each together with another view of it. The second
stage starts again from the pretrained weights. It adds augmented copies of the examples, on which
the model must agree with its teacher: the frozen model of the first stage.

This module knows how views appear in a batch; `data.augmentation` makes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..tasks import HEAD_FACTS, Head
from .consistency_losses import Spans, teacher_loss, teacher_span_loss, views_loss, views_span_loss
from .finetune import LossTerms, Normalizers, model_outputs, supervised_loss
from .recipe import Recipe, Stage
from .stabletune_hyperparameters import StabletuneHyperparameters, teacher_configuration
from .task_losses import IGNORE_INDEX, has_spans

if TYPE_CHECKING:
    from torch import Tensor

# Keys of a batch about views, besides the model's inputs:
NOISED = "noised"  # the model's inputs of the other view; absent if they are the same
AUGMENTED = "augmented"  # int64, the indices of the rows that are augmented copies
REAL_WORDS = "real_words"  # bool [examples, words] of tagged sentences, True except for padding
# bool [windows, tokens] of each view: the tokens that both views have.
SHARED_TOKENS, NOISED_SHARED = "shared_tokens", "noised_shared_tokens"
_VIEW_KEYS = (NOISED, AUGMENTED, REAL_WORDS, SHARED_TOKENS, NOISED_SHARED)


def _incompatibility(head: Head, hyper: StabletuneHyperparameters) -> tuple[str, str] | None:
    """Return the name of a hyperparameter whose value is not supported, and why; or None.

    A hook adds noise. A translation can only be compared as a full text: its words are not aligned.
    """
    if hyper.compile and "noise" in (hyper.view, hyper.teacher_view):
        return "compile", "a compiled model would not see the noise on its embeddings: leave it out"
    for name in ("view", "teacher_view"):
        if not HEAD_FACTS[head].labels_examples and getattr(hyper, name) == "translation":
            text = "the words of a translation are not aligned with those of the text; subwords, "
            return name, text + f"switch, noise or same would do for {head} tasks"
    return None


def stabletune_loss(
    model: Any,
    batch: dict[str, Any],
    hyper: StabletuneHyperparameters,
    normalizers: Normalizers | None = None,
    teacher: Any = None,
    loss_terms: LossTerms | None = None,
) -> Tensor:
    """Return the task's loss + lambda1 R1 + lambda2 R2 (Zheng et al., 2021).

    R1 compares the model's outputs for an example and for its other view. R2 compares the outputs
    of the model and of the teacher for the augmented examples, with the inputs of the task's loss.
    If both weights are 0, this is `finetune_loss`, with the same random numbers.

    Args:
        model: see `finetune_loss`.
        batch: see `finetune_loss`, and the keys that this module names.
        hyper: the trial's hyperparameters.
        normalizers: "units" of the task's loss, "compared" rows of R1, "augmented" rows of R2.
        teacher: the model of stage 1.
        loss_terms: receives "task", "R1" and "R2".

    Returns:
        A scalar.
    """
    import torch

    inputs = {name: x for name, x in batch.items() if name not in _VIEW_KEYS}
    outputs = model_outputs(model, inputs)
    terms = {"task": supervised_loss(outputs, inputs, hyper, normalizers)}
    if hyper.lambda1:
        with _embedding_noise(model, hyper):
            noised_outputs = model_outputs(model, batch.get(NOISED, inputs))
        terms["R1"] = _views_term(outputs, noised_outputs, batch, hyper, normalizers)
    copies = batch.get(AUGMENTED)
    if teacher is not None and hyper.lambda2 and copies is not None and len(copies):
        copied_inputs = {name: x[copies] for name, x in inputs.items()}
        with torch.no_grad():
            teacher_outputs = model_outputs(teacher, copied_inputs)
        terms["R2"] = _teacher_term(outputs, teacher_outputs, batch, copies, hyper, normalizers)
    if loss_terms is not None:
        loss_terms |= {name: term.detach() for name, term in terms.items()}
    loss = terms["task"]
    for name, weight in (("R1", hyper.lambda1), ("R2", hyper.lambda2)):
        if name in terms:
            loss = loss + weight * terms[name]
    return loss


def _views_term(
    outputs: Any,
    noised_outputs: Any,
    batch: dict[str, Any],
    hyper: StabletuneHyperparameters,
    normalizers: Normalizers | None,
) -> Tensor:
    """Return R1 of a batch: of classes, of tags, or of spans."""
    count = normalizers["compared"] if normalizers else None
    if not has_spans(batch):
        return views_loss(outputs, noised_outputs, _word_mask(batch), normalizer=count)
    noised = batch.get(NOISED, batch)
    shared = batch.get(SHARED_TOKENS)
    if shared is None:  # the same text: the tokens that an answer may hold, and the first one
        shared = outputs.context.scatter(1, outputs.nowhere[:, None], True)
    views = (
        _spans(outputs, batch["attention_mask"], hyper, shared),
        _spans(noised_outputs, noised["attention_mask"], hyper, batch.get(NOISED_SHARED, shared)),
    )
    return views_span_loss(*views, padded=hyper.span_padding == "counted", normalizer=count)


def _teacher_term(
    outputs: Any,
    teacher_outputs: Any,
    batch: dict[str, Any],
    copies: Tensor,
    hyper: StabletuneHyperparameters,
    normalizers: Normalizers | None,
) -> Tensor:
    """Return R2 of a batch.

    Args:
        outputs: the student's, of all rows.
        teacher_outputs: the teacher's, of the augmented rows.
        batch: of all rows.
        copies: the indices of the augmented rows.
        hyper: the trial's hyperparameters.
        normalizers: see `stabletune_loss`.
    """
    count = normalizers["augmented"] if normalizers else None
    if not has_spans(batch):
        mask, student_scores = _word_mask(batch), outputs[copies]
        if mask is not None:  # the longest sentence of the batch may not be among the copies
            words = slice(teacher_outputs.shape[1])
            mask, student_scores = mask[copies][:, words], student_scores[:, words]
        return teacher_loss(
            student_scores, teacher_outputs, mask, hard=hyper.hard_labels, normalizer=count
        )
    real = batch["attention_mask"]
    student, teacher = _spans(outputs, real, hyper), _spans(teacher_outputs, real[copies], hyper)
    student = Spans(start=student.start[copies], end=student.end[copies], real=teacher.real)
    padded = hyper.span_padding == "counted"
    return teacher_span_loss(student, teacher, padded=padded, normalizer=count)


def _word_mask(batch: dict[str, Any]) -> Tensor | None:
    """Return bool [examples, words], the words that count; None if examples have one class."""
    if REAL_WORDS in batch:
        real_words: Tensor = batch[REAL_WORDS]
        return real_words
    labels: Tensor = batch["labels"]
    return labels != IGNORE_INDEX if labels.dim() > 1 else None


def _spans(
    outputs: Any, mask: Tensor, hyper: StabletuneHyperparameters, shared: Tensor | None = None
) -> Spans:
    counted = hyper.span_padding == "counted"
    start, end = outputs.scores if counted else (outputs.start, outputs.end)
    return Spans(start=start, end=end, real=mask.bool(), shared=shared)


@contextmanager
def _embedding_noise(model: Any, hyper: StabletuneHyperparameters) -> Iterator[None]:
    """Add noise to the model's word embeddings, if that is the trial's view."""
    import torch

    if hyper.view != "noise":
        yield
        return

    def add(module: Any, inputs: Any, embeddings: Tensor) -> Tensor:
        noise = torch.randn_like(embeddings)
        if hyper.noise == "uniform":
            noise = 2 * torch.rand_like(embeddings) - 1
        return embeddings + hyper.noise_size * noise

    hook = model.get_input_embeddings().register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()


RECIPE = Recipe(
    name="stabletune",
    hyper=StabletuneHyperparameters,
    stages=(
        Stage(name="stage 1", loss=stabletune_loss),
        Stage(name="stage 2", loss=stabletune_loss),
    ),
    heads=("classify", "tag", "span"),
    teacher_configuration=teacher_configuration,
    incompatibility=_incompatibility,
)
