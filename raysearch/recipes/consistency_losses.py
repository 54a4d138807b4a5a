"""Consistency losses: two views, a student and its teacher, or two dropout outputs must agree.

They are apart from the recipes because they need scores and masks only: no model, no weight of a
loss, and nothing about how views are made.

Every loss is a sum over rows divided by `normalizer`. Its default is the number of the rows that
count. If a step is split into micro-batches, each gets the number of rows of the whole step, so
that the losses of its micro-batches add up to the loss of the step. Each function says what a row
is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MASKED_SCORE = -1e30  # a score or log-probability of something that is excluded
_NO_MASS = MASKED_SCORE / 2  # a lower log-probability counts as probability 0


@dataclass(frozen=True, kw_only=True)
class Spans:
    """The scores of answers that a model gives for one view.

    Attributes:
        start: scores, [rows, tokens].
        end: scores, [rows, tokens].
        real: bool [rows, tokens], the tokens that are not padding.
        shared: bool [rows, tokens], the tokens that both views have. A row has the same number of
            them in either view, in the same order. Needed only to compare views.
    """

    start: Tensor
    end: Tensor
    real: Tensor
    shared: Tensor | None = None


def views_loss(
    original: Tensor, noised: Tensor, mask: Tensor | None = None, *, normalizer: int | None = None
) -> Tensor:
    """Return R1 of classes and tags (Zheng et al., 2021).

    R1 is KL(original || noised) + KL(noised || original). Neither direction has a gradient to its
    target. As in the released code, the mean is taken over the classes too; the published weights
    of R1 assume it.

    Args:
        original: scores, [..., classes], of examples, or of the words of examples. Words are
            aligned with those of `noised`.
        noised: scores of the other view, of the same shape.
        mask: bool [...], the rows that count; None: all. For words, those that are not padding,
            also where their tags are unknown.
        normalizer: the number of rows that the mean is over; None: those that count. A row is an
            example or a word.

    Returns:
        A scalar.
    """
    original_log, noised_log = _log_softmax(original), _log_softmax(noised)
    losses = _divergence(noised_log, original_log.detach())
    losses = losses + _divergence(original_log, noised_log.detach())
    return _mean(losses / original.shape[-1], mask, normalizer)


def teacher_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None = None,
    *,
    hard: bool = False,
    normalizer: int | None = None,
) -> Tensor:
    """Return R2 of classes and tags: KL(teacher || student), a mean over the classes too.

    Args:
        student: scores, [..., classes], of examples or of words.
        teacher: scores of the same shape; they get no gradient.
        mask: bool [...], the rows that count: augmented examples, or their words. If none counts,
            the loss is 0, and so is its gradient.
        hard: use cross entropy with the teacher's best class, a mean over rows alone.
        normalizer: the number of rows that the mean is over; None: those that count.

    Returns:
        A scalar.
    """
    student_log, teacher_log = _log_softmax(student), _log_softmax(teacher.detach())
    if hard:
        best = teacher_log.argmax(-1, keepdim=True)
        losses = -student_log.gather(-1, best).squeeze(-1)
    else:
        losses = _divergence(student_log, teacher_log) / student.shape[-1]
    return _mean(losses, mask, normalizer)


def dropout_loss(
    first: Tensor, second: Tensor, mask: Tensor | None = None, *, normalizer: int | None = None
) -> Tensor:
    """Return R-Drop's term: (KL(first || second) + KL(second || first)) / 2, a mean over rows.

    Both outputs get gradients from both directions. The paper (Liang et al., 2021) adds alpha times
    this term to the sum of both cross entropies; added to their mean, half that alpha is the same
    except for scale. The released code for GLUE sums the term over the examples of a batch instead
    of taking a mean.

    Args:
        first: scores with one dropout, [..., classes], of examples or of words.
        second: scores with another dropout, of the same shape.
        mask: bool [...], the rows that count; None: all.
        normalizer: the number of rows that the mean is over; None: those that count.

    Returns:
        A scalar.
    """
    first_log, second_log = _log_softmax(first), _log_softmax(second)
    losses = (_divergence(first_log, second_log) + _divergence(second_log, first_log)) / 2
    return _mean(losses, mask, normalizer)


def views_span_loss(
    original: Spans, noised: Spans, *, padded: bool = False, normalizer: int | None = None
) -> Tensor:
    """Return R1 of spans: the sum over start and end of the mean of both directions' KL.

    The KL is over the shared tokens of a row and one entry for all its other tokens. No target gets
    a gradient.

    The entry of the other tokens is always present. The released code leaves it out if its mass is
    0 in float32, and fails if that is so in one view only. Entries without mass in either view
    count 0. The logarithm of the mass decides, so that no mass is lost to underflow.

    Args:
        original: the spans of one view.
        noised: the spans of the other view; its rows may have more or fewer tokens.
        padded: take probabilities over the padding too, as in the released code, whose rows all
            have one length. The loss then depends on the amount of padding.
        normalizer: the number of rows that the mean is over; None: all. A row is a window.

    Returns:
        A scalar.
    """
    import torch

    assert original.shared is not None
    assert noised.shared is not None
    equal_counts = (original.shared.sum(-1) == noised.shared.sum(-1)).all()
    # Asynchronous, so that the device is not waited for.
    torch._assert_async(equal_counts, "views share unequal numbers of tokens")
    width = original.shared.shape[-1]

    def condensed(scores: Tensor, view: Spans) -> Tensor:
        assert view.shared is not None
        log_probabilities = _log_softmax(scores, None if padded else view.real)
        return _condense(log_probabilities, view.shared, width)

    def divergences(original_scores: Tensor, noised_scores: Tensor) -> Tensor:
        original_log = condensed(original_scores, original)
        noised_log = condensed(noised_scores, noised)
        losses = _divergence(noised_log, original_log.detach())
        return (losses + _divergence(original_log, noised_log.detach())) / 2

    losses = divergences(original.start, noised.start) + divergences(original.end, noised.end)
    return _mean(losses, None, normalizer)


def teacher_span_loss(
    student: Spans,
    teacher: Spans,
    mask: Tensor | None = None,
    *,
    padded: bool = False,
    normalizer: int | None = None,
) -> Tensor:
    """Return R2 of spans: the mean of start's and end's KL(teacher || student), over real tokens.

    Args:
        student: the spans of the student.
        teacher: the teacher's spans of the same tokens; they get no gradient.
        mask: bool [rows], the rows that count: augmented ones. If none counts, the loss is 0, and
            so is its gradient.
        padded: take probabilities over the padding too, as in the released code. Those of the real
            tokens, which alone count, then add up to less than 1, and the loss is no divergence: it
            may be negative, and has a gradient where student and teacher are equal.
        normalizer: the number of rows that the mean is over; None: those that count. A row is a
            window.

    Returns:
        A scalar.
    """
    real = student.real

    def log_probabilities(scores: Tensor) -> Tensor:
        return _log_softmax(scores, None if padded else real).masked_fill(~real, MASKED_SCORE)

    def divergence(student_scores: Tensor, teacher_scores: Tensor) -> Tensor:
        target = log_probabilities(teacher_scores.detach())
        return _divergence(log_probabilities(student_scores), target) / 2

    losses = divergence(student.start, teacher.start) + divergence(student.end, teacher.end)
    return _mean(losses, mask, normalizer)


def _log_softmax(scores: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Return log-probabilities over the last axis, at least float32; finite for scores of -inf."""
    import torch

    precise = scores.to(torch.promote_types(scores.dtype, torch.float32)).clamp(min=MASKED_SCORE)
    if allowed is not None:
        precise = precise.masked_fill(~allowed, MASKED_SCORE)
    return torch.log_softmax(precise, -1)


def _divergence(predicted: Tensor, target: Tensor) -> Tensor:
    """Return KL(target || predicted) over the entries that have mass in both.

    Args:
        predicted: log-probabilities, [..., entries].
        target: log-probabilities of the same shape.

    Returns:
        The divergences, [...].
    """
    # The comparisons are false for NaN, which therefore reaches the loss.
    no_mass = (predicted <= _NO_MASS) | (target <= _NO_MASS)
    return (target.exp() * (target - predicted)).masked_fill(no_mass, 0).sum(-1)


def _condense(log_probabilities: Tensor, shared: Tensor, width: int) -> Tensor:
    """Return the shared tokens of a row from the left, and last all others as one entry.

    Args:
        log_probabilities: [rows, tokens].
        shared: bool [rows, tokens].
        width: the number of entries for shared tokens; those that are not filled have no mass.

    Returns:
        Log-probabilities, [rows, width + 1].
    """
    import torch

    # Tokens that are not shared go to index `width`, which is cut off: their number, which is known
    # to the device only, is not needed.
    index = torch.where(shared, shared.cumsum(-1) - 1, width)
    entries = log_probabilities.new_full((len(shared), width + 1), MASKED_SCORE)
    entries = entries.scatter(-1, index, log_probabilities)
    others = log_probabilities.masked_fill(shared, MASKED_SCORE).logsumexp(-1, keepdim=True)
    return torch.cat([entries[:, :width], others], -1)


def _mean(losses: Tensor, mask: Tensor | None, normalizer: int | None) -> Tensor:
    """Return the sum of the losses that count over their number or `normalizer`; 0 for no rows."""
    if mask is not None:
        shapes = f"a mask of {list(mask.shape)} for losses of {list(losses.shape)}"
        assert mask.shape == losses.shape, shapes
        losses = losses.masked_fill(~mask, 0)
        if normalizer is None:
            return losses.sum() / mask.sum().clamp(min=1)
    return losses.sum() / max(losses.numel() if normalizer is None else normalizer, 1)
