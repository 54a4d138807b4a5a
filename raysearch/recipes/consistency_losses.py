"""Losses of consistency: two views of an example, a student and its teacher, or two dropout passes
must agree. They know scores and masks; neither a model, nor where views come from, nor a weight.

Every loss is a sum over rows divided by `over`, the number of those rows: without it, of the rows
at hand. A step that is cut into parts gives each part the number of the whole step, and the parts
add up to the loss of the whole. What a row is, each function says."""

from dataclasses import dataclass
from typing import Any

MASKED_SCORE = -1e30  # a score, or a log-probability, of what may not be
_ABSENT = MASKED_SCORE / 2  # below it there is no mass


@dataclass(frozen=True, kw_only=True)
class Spans:
    """What a model says of the answers in one view.

    Attributes:
        start: scores, [rows, tokens].
        end: scores, [rows, tokens].
        real: bool [rows, tokens], the tokens that are no padding.
        shared: bool [rows, tokens], the tokens that both views have: equally many in a row of
            either view and in the same order. Only where views are compared.
    """

    start: Any
    end: Any
    real: Any
    shared: Any = None


def views_loss(original: Any, noised: Any, kept: Any = None, *, over: int | None = None) -> Any:
    """R1 of classes and tags: KL(original || noised) + KL(noised || original) (Zheng et al., 2021).

    Neither direction has a gradient to its target. As in the released code the mean is over the
    classes too, which the published weights assume.

    Args:
        original: scores, [..., classes]: of examples, or of the words of examples, word by word
            the same in both views.
        noised: the same of the other view.
        kept: bool [...], the rows that count; none: all. Of words those that are no padding, also
            where their tags are unknown.
        over: how many rows the mean is over; none: the kept ones. A row is an example or a word.
    """
    one, other = _log_softmax(original), _log_softmax(noised)
    rows = _divergence(other, one.detach()) + _divergence(one, other.detach())
    return _mean(rows / original.shape[-1], kept, over)


def teacher_loss(
    student: Any, teacher: Any, kept: Any = None, *, hard: bool = False, over: int | None = None
) -> Any:
    """R2 of classes and tags: KL(teacher || student), the mean over the classes too.

    Args:
        student: scores, [..., classes], of examples or of words.
        teacher: the same; it gets no gradient.
        kept: bool [...], the rows that count: augmented examples, or the words of them. Where
            there are none the loss is 0, and so is its gradient.
        hard: cross entropy with the teacher's best class instead, a plain mean over rows.
        over: how many rows the mean is over; none: the kept ones.
    """
    said, wanted = _log_softmax(student), _log_softmax(teacher.detach())
    if hard:
        rows = -said.gather(-1, wanted.argmax(-1, keepdim=True)).squeeze(-1)
    else:
        rows = _divergence(said, wanted) / student.shape[-1]
    return _mean(rows, kept, over)


def dropout_loss(one: Any, two: Any, kept: Any = None, *, over: int | None = None) -> Any:
    """R-Drop's term: (KL(one || two) + KL(two || one)) / 2, a mean over rows (Liang et al., 2021).

    Both passes get gradients from both directions. The paper adds alpha times this to the sum of
    both passes' cross entropies; added to their mean, half that alpha is the same but for scale.
    The released code for GLUE sums this term over the examples of a batch, for no mean.

    Args:
        one: scores of the first pass, [..., classes], of examples or of words.
        two: the same of the second.
        kept: bool [...], the rows that count; none: all.
        over: how many rows the mean is over; none: the kept ones.
    """
    one, two = _log_softmax(one), _log_softmax(two)
    return _mean((_divergence(one, two) + _divergence(two, one)) / 2, kept, over)


def views_span_loss(
    original: Spans, noised: Spans, *, padded: bool = False, over: int | None = None
) -> Any:
    """R1 of spans: for start and end the mean of both directions' KL, over the shared tokens and
    one entry for all the others of a row; start and end add up. No target gets a gradient.

    The entry of the others is always there. The released code leaves it out where its mass is 0 in
    float32, and stops where that is so in one view only. Entries without mass in either view count
    0; mass is judged by its logarithm, so that none is lost to underflow.

    Args:
        original: the spans of one view.
        noised: those of the other; its rows may have more tokens, or fewer.
        padded: probabilities are over the padding too, as in the released code, whose rows all
            have one length: the loss then depends on how far rows are padded.
        over: how many rows the mean is over; none: all.
    """
    import torch

    paired = (original.shared.sum(-1) == noised.shared.sum(-1)).all()
    torch._assert_async(paired, "views share unequal numbers of tokens")  # waits for no device
    rows = 0
    for name in ("start", "end"):
        one, other = (
            _gathered(_log_softmax(getattr(view, name), None if padded else view.real),
                      view.shared, original.shared.shape[-1])
            for view in (original, noised)
        )  # fmt: skip
        rows = rows + (_divergence(other, one.detach()) + _divergence(one, other.detach())) / 2
    return _mean(rows, None, over)


def teacher_span_loss(
    student: Spans, teacher: Spans, kept: Any = None, *, padded: bool = False,
    over: int | None = None,
) -> Any:  # fmt: skip
    """R2 of spans: the mean of start's and end's KL(teacher || student), over real tokens.

    Args:
        student: its spans.
        teacher: those of the teacher for the same tokens; it gets no gradient.
        kept: bool [rows], the rows that count: augmented ones. Where there are none the loss is 0,
            and so is its gradient.
        padded: probabilities are over the padding too, as in the released code; those of the real
            tokens, which alone count, then add up to less than 1, and the loss is no divergence: it
            may fall below 0, and has a gradient where student and teacher are equal.
        over: how many rows the mean is over; none: the kept ones.
    """
    real = student.real
    rows = 0
    for name in ("start", "end"):
        said, wanted = (
            _log_softmax(scores, None if padded else real).masked_fill(~real, MASKED_SCORE)
            for scores in (getattr(student, name), getattr(teacher, name).detach())
        )
        rows = rows + _divergence(said, wanted) / 2
    return _mean(rows, kept, over)


def _log_softmax(scores: Any, allowed: Any = None) -> Any:
    """Log-probabilities over the last axis, at least float32; finite where scores are -inf."""
    import torch

    precise = scores.to(torch.promote_types(scores.dtype, torch.float32)).clamp(min=MASKED_SCORE)
    if allowed is not None:
        precise = precise.masked_fill(~allowed, MASKED_SCORE)
    return torch.log_softmax(precise, -1)


def _divergence(said: Any, wanted: Any) -> Any:
    """[..., entries] of log-probabilities -> [...] of KL(wanted || said), over the entries that
    have mass in both."""
    absent = (said <= _ABSENT) | (wanted <= _ABSENT)  # false for NaN, which goes on to the loss
    return (wanted.exp() * (wanted - said)).masked_fill(absent, 0).sum(-1)


def _gathered(spread: Any, shared: Any, width: int) -> Any:
    """[rows, tokens] of log-probabilities -> [rows, width + 1]: the shared tokens from the left,
    nothing, and last the log of all the others' mass."""
    import torch

    # What is not shared falls on the place behind, which is cut off: no device is asked how many.
    place = torch.where(shared, shared.cumsum(-1) - 1, width)
    kept = spread.new_full((len(spread), width + 1), MASKED_SCORE).scatter(-1, place, spread)
    others = spread.masked_fill(shared, MASKED_SCORE).logsumexp(-1, keepdim=True)
    return torch.cat([kept[:, :width], others], -1)


def _mean(rows: Any, kept: Any, over: int | None) -> Any:
    """The sum of the kept rows over their number, or over a given one; of no rows 0."""
    if kept is not None:
        assert kept.shape == rows.shape, f"{list(kept.shape)} of kept, {list(rows.shape)} of rows"
        rows = rows.masked_fill(~kept, 0)
        if over is None:
            return rows.sum() / kept.sum().clamp(min=1)
    return rows.sum() / max(rows.numel() if over is None else over, 1)
