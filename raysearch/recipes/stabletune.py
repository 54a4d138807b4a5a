"""stabletune (xTune; Zheng et al., 2021): what a model says of two views of an example must agree,
and of augmented examples it must say what the model of the first stage says.

The first stage trains on the labelled examples, each beside a noised view of it. The second begins
again at the pretrained weights, with augmented copies of the examples and the first one's model,
frozen, as its teacher. It knows what a batch holds of views, and not how they are made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..tasks import Head
from .consistency_losses import Spans, teacher_loss, teacher_span_loss, views_loss, views_span_loss
from .finetune import IGNORE_INDEX, LossTerms, Normalizers, model_outputs, supervised_loss
from .recipe import Recipe, Stage
from .stabletune_hyperparameters import StabletuneHyperparameters, teacher_configuration

# What a batch tells of views, besides what the model reads:
NOISED = "noised"  # the model's inputs of the other view; absent where they are the same
AUGMENTED = "augmented"  # int64, the rows that are augmented copies
REAL_WORDS = "real_words"  # bool [examples, words] of tagged sentences, all but padding
# bool [windows, tokens] of either view: the tokens that both have.
SHARED_TOKENS, NOISED_SHARED = "shared_tokens", "noised_shared_tokens"
_OF_VIEWS = (NOISED, AUGMENTED, REAL_WORDS, SHARED_TOKENS, NOISED_SHARED)


def _unfit(head: Head, hyper: StabletuneHyperparameters) -> tuple[str, str] | None:
    """Only whole texts can be compared with their translations; noise is put in by a hook."""
    if hyper.compile and "noise" in (hyper.view, hyper.teacher_view):
        return "compile", "a compiled model would not see the noise on its embeddings: leave it out"
    for name in ("view", "teacher_view"):
        if head != "classify" and getattr(hyper, name) == "translation":
            text = "the words of a translation do not stand beside those of the text; subwords, "
            return name, text + f"switch, noise or same would do for {head} tasks"
    return None


def stabletune_loss(
    model: Any, batch: dict[str, Any], hyper: StabletuneHyperparameters,
    over: Normalizers | None = None, teacher: Any = None, terms: LossTerms | None = None,
) -> Any:  # fmt: skip
    """The task's loss + lambda1 R1 + lambda2 R2.

    R1 compares what the model says of an example and of its other view; R2 what it and the teacher
    say of the augmented examples, seen as the task's loss sees them. With both weights 0 it is
    `finetune_loss` and its random numbers.

    Args:
        batch: as of `finetune_loss`; of views what this module names.
        over: "units" of the task's loss, "compared" rows of R1, "augmented" ones of R2.
        teacher: the model of stage 1.
        terms: takes "task", "R1" and "R2".
    """
    import torch

    own = {name: x for name, x in batch.items() if name not in _OF_VIEWS}
    said = model_outputs(model, own)
    found = {"task": supervised_loss(said, own, hyper, over)}
    if hyper.lambda1:
        with _noise(model, hyper):
            other = model_outputs(model, batch.get(NOISED, own))
        found["R1"] = _compare(said, other, batch, hyper, over)
    copies = batch.get(AUGMENTED)
    if teacher is not None and hyper.lambda2 and copies is not None and len(copies):
        rows = {name: x[copies] for name, x in own.items()}
        with torch.no_grad():
            taught = model_outputs(teacher, rows)
        found["R2"] = _follow(said, taught, batch, copies, hyper, over)
    if terms is not None:
        terms |= {name: term.detach() for name, term in found.items()}
    weights = {"task": 1, "R1": hyper.lambda1, "R2": hyper.lambda2}
    return sum(weights[name] * term for name, term in found.items())


def _compare(
    said: Any,
    other: Any,
    batch: dict[str, Any],
    hyper: StabletuneHyperparameters,
    over: Normalizers | None,
) -> Any:
    """R1 of a batch: classes, tags of words, or spans."""
    count = over and over["compared"]
    if "at" not in batch:
        return views_loss(said, other, _kept(batch), over=count)
    noised = batch.get(NOISED, batch)
    shared = batch.get(SHARED_TOKENS)
    if shared is None:  # the same text: every token that an answer may hold, and the first
        shared = said.context.scatter(1, said.nowhere[:, None], True)
    views = (
        _spans(said, batch["attention_mask"], hyper, shared),
        _spans(other, noised["attention_mask"], hyper, batch.get(NOISED_SHARED, shared)),
    )
    return views_span_loss(*views, padded=hyper.span_padding == "counted", over=count)


def _follow(
    said: Any, taught: Any, batch: dict[str, Any], copies: Any, hyper: StabletuneHyperparameters,
    over: Normalizers | None,
) -> Any:  # fmt: skip
    """R2 of a batch's augmented rows."""
    count = over and over["augmented"]
    if "at" not in batch:
        kept, student = _kept(batch), said[copies]
        if kept is not None:  # the longest sentence may be none of the copies
            words = slice(taught.shape[1])
            kept, student = kept[copies][:, words], student[:, words]
        return teacher_loss(student, taught, kept, hard=hyper.hard_labels, over=count)
    real = batch["attention_mask"]
    student, teacher = _spans(said, real, hyper), _spans(taught, real[copies], hyper)
    student = Spans(start=student.start[copies], end=student.end[copies], real=teacher.real)
    return teacher_span_loss(student, teacher, padded=hyper.span_padding == "counted", over=count)


def _kept(batch: dict[str, Any]) -> Any:
    """bool [examples, words], the words that count; None where examples have one class."""
    if REAL_WORDS in batch:
        return batch[REAL_WORDS]
    labels = batch["labels"]
    return labels != IGNORE_INDEX if labels.dim() > 1 else None


def _spans(said: Any, mask: Any, hyper: StabletuneHyperparameters, shared: Any = None) -> Spans:
    start, end = said.scores if hyper.span_padding == "counted" else (said.start, said.end)
    return Spans(start=start, end=end, real=mask.bool(), shared=shared)


@contextmanager
def _noise(model: Any, hyper: StabletuneHyperparameters) -> Iterator[None]:
    """Word embeddings with noise, where that is the view."""
    import torch

    if hyper.view != "noise":
        yield
        return

    def add(module: Any, given: Any, embedded: Any) -> Any:
        drawn = torch.randn_like(embedded)
        if hyper.noise == "uniform":
            drawn = 2 * torch.rand_like(embedded) - 1
        return embedded + hyper.noise_size * drawn

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
    incompatibility=_unfit,
)
