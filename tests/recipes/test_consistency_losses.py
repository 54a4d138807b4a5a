"""The losses of consistency against plain loops over their formulas, in float64. All of it toys."""

import math
from dataclasses import replace

import pytest
import torch

from raysearch.recipes.consistency_losses import (
    Spans,
    dropout_loss,
    teacher_loss,
    teacher_span_loss,
    views_loss,
    views_span_loss,
)

ROWS, CLASSES = 6, 5
EXACT = {"rel": 1e-12, "abs": 1e-12}


# Plain loops: lists of numbers, probabilities instead of logarithms.


def chances(scores):
    shares = [math.exp(score - max(scores)) for score in scores]
    return [share / sum(shares) for share in shares]


def kl(wanted, said):
    both = zip(wanted, said, strict=True)
    return sum(p * (math.log(p) - math.log(q)) for p, q in both if p > 0 and q > 0)


def selected(scores, real, shared, padded):
    """The shared tokens' probabilities, and what the others have together."""
    scores = [score for score, at in zip(scores, real, strict=True) if padded or at]
    shared = [at for at, token in zip(shared, real, strict=True) if padded or token]
    spread = chances(scores)
    own = [p for p, at in zip(spread, shared, strict=True) if at]
    return [*own, sum(p for p, at in zip(spread, shared, strict=True) if not at)]


def plain_views(original, noised, kept=None):
    rows = [
        kl(chances(a), chances(b)) + kl(chances(b), chances(a))
        for at, (a, b) in enumerate(zip(original.tolist(), noised.tolist(), strict=True))
        if kept is None or kept[at]
    ]
    return sum(rows) / len(rows) / original.shape[1]


def plain_view_spans(original, noised, padded=False):
    total = 0
    for name in ("start", "end"):
        for row in range(len(original.real)):
            a, b = (
                selected(getattr(view, name)[row].tolist(), view.real[row].tolist(),
                         view.shared[row].tolist(), padded)
                for view in (original, noised)
            )  # fmt: skip
            total += (kl(a, b) + kl(b, a)) / 2
    return total / len(original.real)


def plain_teacher_spans(student, teacher, kept, padded=False):
    total = 0
    for row, real in enumerate(student.real.tolist()):
        for name in ("start", "end") if kept[row] else ():
            said, wanted = (
                chances([s for s, at in zip(scores, real, strict=True) if padded or at])
                for scores in (getattr(student, name)[row].tolist(),
                               getattr(teacher, name)[row].tolist())
            )  # fmt: skip
            if padded:
                said = [p for p, at in zip(said, real, strict=True) if at]
                wanted = [p for p, at in zip(wanted, real, strict=True) if at]
            total += kl(wanted, said) / 2
    return total / sum(kept.tolist())


# Toys.


def scores(*shape, seed=0, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * scale


def mask(rows):
    return torch.tensor(rows, dtype=torch.bool)


def pair_of_views(seed=0):
    """Two views of three rows: 7 and 9 tokens wide, with 3, 2 and 1 shared tokens."""
    real = [mask([[1] * 7, [1] * 6 + [0], [1] * 4 + [0] * 3]),
            mask([[1] * 9, [1] * 7 + [0] * 2, [1] * 5 + [0] * 4])]  # fmt: skip
    shared = [
        mask([[1, 0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]]),
        mask([[1, 0, 1, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1, 0, 0, 0], [0, 0, 1] + [0] * 6]),
    ]
    return [
        Spans(start=scores(*real[at].shape, seed=seed + at),
              end=scores(*real[at].shape, seed=seed + 10 + at),
              real=real[at], shared=shared[at])
        for at in (0, 1)
    ]  # fmt: skip


def part(spans, rows):
    return Spans(**{name: x if x is None else x[rows] for name, x in vars(spans).items()})


def row(*numbers):
    return torch.tensor([numbers], dtype=torch.float64)


GOLDEN_ORIGINAL = Spans(start=row(0, 1, 2, 0, -1), end=row(0, 0, 1, 2, -1),
                        real=mask([[1] * 5]), shared=mask([[1, 0, 1, 1, 0]]))  # fmt: skip
GOLDEN_NOISED = Spans(start=row(0, 1.5, 0.5, 1, -1, -2), end=row(0, 0, 1, 1, 2, -2),
                      real=mask([[1] * 6]), shared=mask([[1, 0, 1, 0, 1, 0]]))  # fmt: skip


# The numbers that the released code gives.


def test_views_of_classes_give_the_released_number():
    original = torch.tensor([[2, 0, -1], [0.5, 0.5, 0]], dtype=torch.float64)
    noised = torch.tensor([[1, 1, -1], [0, 1, 0.5]], dtype=torch.float64)
    assert f"{teacher_loss(noised, original):.10f}" == "0.0707130842"
    assert f"{teacher_loss(original, noised):.10f}" == "0.0837748397"
    assert f"{5 * views_loss(original, noised):.10f}" == "0.7724396192"
    assert f"{5 * 2 * dropout_loss(original, noised):.10f}" == "2.3173188577"


@pytest.mark.parametrize("padded", [False, True])
def test_views_of_spans_give_the_released_number(padded):
    loss = views_span_loss(GOLDEN_ORIGINAL, GOLDEN_NOISED, padded=padded)
    assert f"{5 * loss:.10f}" == "3.1167280713"


def test_each_direction_of_span_views_is_the_released_number():
    original, noised = GOLDEN_ORIGINAL, GOLDEN_NOISED
    starts, ends = (
        [selected(getattr(view, name)[0].tolist(), [1] * view.real.shape[1],
                  view.shared[0].tolist(), True) for view in (original, noised)]
        for name in ("start", "end")
    )  # fmt: skip
    assert [f"{p:.6f}" for p in starts[0]] == ["0.080159", "0.592299", "0.080159", "0.247383"]
    assert [f"{p:.6f}" for p in starts[1]] == ["0.096601", "0.159267", "0.035537", "0.708595"]
    directions = kl(*starts), kl(*starts[::-1]), kl(*ends), kl(*ends[::-1])
    released = ["0.5678564006", "0.5256156938", "0.0681320353", "0.0850870988"]
    assert [f"{number:.10f}" for number in directions] == released
    loss = float(views_span_loss(original, noised))
    assert loss == pytest.approx(sum(directions) / 2, **EXACT)


def test_the_teacher_of_spans_gives_the_released_number():
    student = replace(GOLDEN_ORIGINAL, real=mask([[1, 1, 1, 1, 0]]), shared=None)
    teacher = Spans(start=row(0, 2, 1, 0, -1), end=row(0, 0, 0, 3, -1), real=student.real)
    assert f"{teacher_span_loss(student, teacher, padded=True):.10f}" == "0.2833987963"
    without_padding = [replace(spans, start=spans.start[:, :4], end=spans.end[:, :4],
                               real=spans.real[:, :4]) for spans in (student, teacher)]  # fmt: skip
    expected = teacher_span_loss(*without_padding, padded=True)
    assert float(teacher_span_loss(student, teacher)) == pytest.approx(float(expected), **EXACT)
    assert f"{expected:.10f}" != "0.2833987963"


# The formulas.


def test_views_of_classes_equal_plain_loops_and_torchs_elementwise_mean():
    one, other = scores(ROWS, CLASSES), scores(ROWS, CLASSES, seed=1)
    loss = float(views_loss(one, other))
    assert loss == pytest.approx(plain_views(one, other), **EXACT)
    kl_div = torch.nn.functional.kl_div  # its reduction "mean" warns that it will change
    theirs = sum(
        kl_div(said.log_softmax(-1), wanted.softmax(-1), reduction="none").mean()
        for said, wanted in ((one, other), (other, one))
    )
    assert loss == pytest.approx(float(theirs), **EXACT)


def test_words_count_as_rows_and_padding_not():
    one, other = scores(3, 4, CLASSES), scores(3, 4, CLASSES, seed=1)
    words = mask([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]])
    expected = plain_views(one.flatten(0, 1), other.flatten(0, 1), words.flatten().tolist())
    assert float(views_loss(one, other, words)) == pytest.approx(expected, **EXACT)
    one[~words], other[~words] = -math.inf, 1e4
    one.requires_grad_()
    loss = views_loss(one, other, words)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected, **EXACT)
    assert not one.grad[~words].any()
    assert one.grad[words].all()


def test_a_mask_that_is_not_of_the_rows_is_refused():
    with pytest.raises(AssertionError, match=r"a mask of \[3, 1\] for losses of \[3, 4\]"):
        views_loss(scores(3, 4, CLASSES), scores(3, 4, CLASSES), mask([[1], [1], [0]]))


def test_the_teacher_of_classes_equals_plain_loops_over_augmented_rows():
    student, teacher = scores(ROWS, CLASSES), scores(ROWS, CLASSES, seed=1)
    augmented = mask([0, 1, 1, 0, 0, 1])
    pairs = zip(student[augmented].tolist(), teacher[augmented].tolist(), strict=True)
    pairs = [(chances(said), chances(wanted)) for said, wanted in pairs]
    soft = sum(kl(wanted, said) for said, wanted in pairs) / 3 / CLASSES
    hard = sum(-math.log(said[wanted.index(max(wanted))]) for said, wanted in pairs) / 3
    assert float(teacher_loss(student, teacher, augmented)) == pytest.approx(soft, **EXACT)
    loss = float(teacher_loss(student, teacher, augmented, hard=True))
    assert loss == pytest.approx(hard, **EXACT)


def test_dropout_equals_plain_loops():
    one, two = scores(ROWS, CLASSES), scores(ROWS, CLASSES, seed=1)
    expected = plain_views(one, two) * CLASSES / 2
    assert float(dropout_loss(one, two)) == pytest.approx(expected, **EXACT)
    half = mask([0, 1, 0, 1, 0, 1])
    expected = plain_views(one, two, half) * CLASSES / 2
    assert float(dropout_loss(one, two, half)) == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_spans_equal_plain_loops(padded, seed):
    original, noised = pair_of_views(seed=seed)
    loss = float(views_span_loss(original, noised, padded=padded))
    assert loss == pytest.approx(plain_view_spans(original, noised, padded), **EXACT)
    teacher = pair_of_views(seed=seed + 50)[0]
    augmented = mask([1, 0, 1])
    loss = float(teacher_span_loss(original, teacher, augmented, padded=padded))
    expected = plain_teacher_spans(original, teacher, augmented, padded)
    assert loss == pytest.approx(expected, **EXACT)


def test_more_padding_changes_spans_only_where_probabilities_are_over_it():
    original, noised = pair_of_views()

    def longer(spans, by):
        pad = torch.nn.functional.pad
        return Spans(start=pad(spans.start, (0, by), value=3.0),
                     end=pad(spans.end, (0, by), value=3.0),
                     real=pad(spans.real, (0, by)), shared=pad(spans.shared, (0, by)))  # fmt: skip

    for loss in (views_span_loss, teacher_span_loss):
        other = noised if loss is views_span_loss else pair_of_views(seed=9)[0]
        by = 2 if loss is views_span_loss else 4
        tight, loose = loss(original, other), loss(longer(original, 4), longer(other, by))
        assert float(loose) == pytest.approx(float(tight), **EXACT)
        tight = loss(original, other, padded=True)
        loose = loss(longer(original, 4), longer(other, by), padded=True)
        assert abs(loose - tight) > 1e-3


def test_a_view_without_any_other_token_still_has_the_entry_of_the_others():
    original = Spans(start=row(0.3, 1.0), end=row(0.1, -1.0),
                     real=mask([[1, 1]]), shared=mask([[1, 1]]))  # fmt: skip
    noised = Spans(start=row(0.2, 0.5, 1.5), end=row(2.0, 0.3, -1.0),
                   real=mask([[1, 1, 1]]), shared=mask([[1, 0, 1]]))  # fmt: skip
    original.start.requires_grad_()
    noised.start.requires_grad_()
    loss = views_span_loss(original, noised)
    loss.backward()
    expected = plain_view_spans(
        *(replace(view, start=view.start.detach()) for view in (original, noised))
    )
    assert float(loss.detach()) == pytest.approx(expected, **EXACT)
    assert torch.isfinite(original.start.grad).all()
    assert torch.isfinite(noised.start.grad).all()


def test_a_mass_too_small_for_float32_is_not_lost():
    loss = views_span_loss(
        Spans(start=torch.tensor([[0.0, 200.0]]), end=torch.zeros(1, 2), real=mask([[1, 1]]),
              shared=mask([[1, 0]])),
        Spans(start=torch.tensor([[200.0, 0.0]]), end=torch.zeros(1, 2), real=mask([[1, 1]]),
              shared=mask([[1, 0]])),
    )  # fmt: skip
    assert float(loss) == 200


def test_views_that_share_unequal_numbers_of_tokens_are_refused():
    original, noised = pair_of_views()
    noised.shared[1, 2] = True
    with pytest.raises(RuntimeError, match="unequal numbers of tokens"):
        views_span_loss(original, noised)


# Every loss as a function of the scores that it compares; of spans start and end, side by side.


def split(both, like):
    start, end = both.chunk(2, -1)
    return replace(like, start=start, end=end)


def joined(spans):
    return torch.cat([spans.start, spans.end], -1)


def cases():
    """Name -> (loss of two scores and a choice of rows, both scores, rows that count)."""
    flat = scores(ROWS, CLASSES), scores(ROWS, CLASSES, seed=1)
    words = scores(3, 4, CLASSES), scores(3, 4, CLASSES, seed=1)
    original, noised = pair_of_views()
    wide = joined(original), joined(noised)
    same = joined(original), joined(pair_of_views(seed=70)[0])
    tags = mask([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]])
    some, few = mask([0, 1, 1, 0, 0, 1]), mask([1, 0, 1])
    every = slice(None)
    found = {
        "views": (lambda a, b, at=every, **k: views_loss(a, b, **k), *flat, ROWS),
        "views of words": (
            lambda a, b, at=every, **k: views_loss(a, b, tags[at], **k), *words, 7),
        "dropout": (lambda a, b, at=every, **k: dropout_loss(a, b, **k), *flat, ROWS),
        "dropout of words": (
            lambda a, b, at=every, **k: dropout_loss(a, b, tags[at], **k), *words, 7),
        "teacher": (lambda a, b, at=every, **k: teacher_loss(a, b, some[at], **k), *flat, 3),
        "hard teacher": (
            lambda a, b, at=every, **k: teacher_loss(a, b, some[at], hard=True, **k), *flat, 3),
        "hard teacher of words": (
            lambda a, b, at=every, **k: teacher_loss(
                a, b, tags[at] & few[at, None], hard=True, **k), *words, 6),
    }  # fmt: skip
    for padded in (False, True):
        found[f"views of spans, padded {padded}"] = (
            lambda a, b, at=every, padded=padded, **k: views_span_loss(
                split(a, part(original, at)), split(b, part(noised, at)), padded=padded, **k),
            *wide, 3)  # fmt: skip
        found[f"teacher of spans, padded {padded}"] = (
            lambda a, b, at=every, padded=padded, **k: teacher_span_loss(
                split(a, part(original, at)), split(b, part(original, at)), few[at],
                padded=padded, **k),
            *same, 2)  # fmt: skip
    return found


CASES = cases()
EVERY_LOSS = pytest.mark.parametrize("name", CASES)


def run(name, one, other, **options):
    """The loss, and the gradients of both scores, None where one has none."""
    one, other = (x.detach().clone().requires_grad_() for x in (one, other))
    loss = CASES[name][0](one, other, **options)
    loss.backward()
    return loss.detach(), one.grad, other.grad


@EVERY_LOSS
def test_the_parts_of_a_batch_add_up_to_the_whole(name):
    _, one, other, count = CASES[name]
    whole = run(name, one, other)
    for parts in ([[0, 1, 2]], [[0], [1], [2]], [[2, 0], [1]]):
        parts = parts if len(one) == 3 else [[n for r in p for n in (r, r + 3)] for p in parts]
        total, gradients = 0, [torch.zeros_like(one), torch.zeros_like(other)]
        for rows in parts:
            loss, *found = run(name, one[rows], other[rows], at=rows, normalizer=count)
            total += loss
            for gradient, of_part in zip(gradients, found, strict=True):
                if of_part is not None:
                    gradient[rows] += of_part
        assert float(total) == pytest.approx(float(whole[0]), **EXACT)
        for gradient, of_whole in zip(gradients, whole[1:], strict=True):
            of_whole = torch.zeros_like(gradient) if of_whole is None else of_whole
            assert torch.allclose(gradient, of_whole, rtol=0, atol=1e-12)


@EVERY_LOSS
def test_gradients_are_those_of_a_loss_whose_targets_stand_still(name):
    loss, one, other, _ = CASES[name]
    still = one.clone(), other.clone()
    if "dropout" in name:  # no target stands still
        moving = [x.requires_grad_() for x in still]
        assert torch.autograd.gradcheck(loss, moving)
    elif "teacher" in name:
        assert torch.autograd.gradcheck(lambda x: loss(x, other), still[0].requires_grad_())
        assert run(name, one, other)[2] is None
    else:  # the gradient to a view is that of its own direction
        _, *gradients = run(name, one, other)
        for at, gradient in enumerate(gradients):
            for place in torch.arange(one.numel() if at == 0 else other.numel())[::7].tolist():
                ends = []
                for step in (-1e-5, 1e-5):
                    moved = [one.clone(), other.clone()]
                    moved[at].view(-1)[place] += step
                    ends.append(one_direction(name, moved[at], (other, one)[at], at))
                slope = (ends[1] - ends[0]) / 2e-5
                assert float(gradient.view(-1)[place]) == pytest.approx(slope, abs=1e-8)


def one_direction(name, said, wanted, at):
    """Plain loops: the part of R1 in which `said`, of view `at`, follows a target."""
    if "spans" not in name:
        rows = list(zip(said.flatten(0, -2).tolist(), wanted.flatten(0, -2).tolist(), strict=True))
        kept = [1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0] if "words" in name else [1] * len(rows)
        found = [kl(chances(b), chances(a)) for (a, b), yes in zip(rows, kept, strict=True) if yes]
        return sum(found) / len(found) / said.shape[-1]
    views, total = pair_of_views(), 0
    ours, theirs = split(said, views[at]), split(wanted, views[1 - at])
    for end in ("start", "end"):
        for line in range(3):
            a, b = (
                selected(getattr(view, end)[line].tolist(), view.real[line].tolist(),
                         view.shared[line].tolist(), "True" in name)
                for view in (ours, theirs)
            )  # fmt: skip
            total += kl(b, a) / 2
    return total / 3


def test_the_gradient_of_class_views_is_the_difference_of_probabilities():
    one, other = scores(ROWS, CLASSES), scores(ROWS, CLASSES, seed=1)
    _, to_one, to_other = run("views", one, other)
    apart = (one.softmax(-1) - other.softmax(-1)) / (ROWS * CLASSES)
    assert torch.allclose(to_one, apart, rtol=0, atol=1e-15)
    assert torch.allclose(to_other, -apart, rtol=0, atol=1e-15)


@EVERY_LOSS
def test_equal_scores_give_nothing(name):
    one, other = CASES[name][1:3]
    if "views of spans" in name:
        view = pair_of_views()[0]
        loss, gradient = views_span_loss(view, view, padded="True" in name), torch.zeros(1)
    else:
        loss, gradient, _ = run(name, one, one)
    if "hard" in name:
        assert loss > 0
        return
    assert float(loss) == 0
    if name != "teacher of spans, padded True":  # pulls: its probabilities are not made whole again
        assert float(gradient.abs().max()) < 1e-15
    assert abs(float(CASES[name][0](one, other))) > 0.01


@pytest.mark.parametrize("over", [None, 0, 5])
def test_without_augmented_rows_the_teacher_asks_for_nothing(over):
    original, _ = pair_of_views()
    teacher = pair_of_views(seed=9)[0]
    student = original.start.requires_grad_()
    none = mask([0, 0, 0])
    for hard in (False, True):
        loss = teacher_loss(student, teacher.start, none, hard=hard, normalizer=over)
        loss.backward()
        assert (float(loss.detach()), float(student.grad.abs().max())) == (0, 0)
    loss = teacher_span_loss(original, teacher, none, normalizer=over)
    loss.backward()
    assert (float(loss.detach()), float(student.grad.abs().max())) == (0, 0)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name, dtype):
    loss, one, other, _ = CASES[name]
    one, other = one.to(dtype), other.to(dtype)
    found = loss(one, other)
    assert found.dtype == torch.float32
    assert float(found) == float(loss(one.float(), other.float()))
    assert float(found) == pytest.approx(float(loss(one.double(), other.double())), rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(loss(one, other)) == float(found)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_extreme_scores_stay_finite(name, dtype):
    one, other = (x.sign().mul(1e4).to(dtype) for x in CASES[name][1:3])
    loss, *gradients = run(name, one, other)
    assert torch.isfinite(loss)
    assert loss > 100
    assert all(torch.isfinite(x).all() for x in gradients if x is not None)


@EVERY_LOSS
def test_a_score_of_minus_infinity_has_no_mass(name):
    one, other = (x.clone() for x in CASES[name][1:3])
    if "spans" in name:  # padding; its tokens are the same in both dtypes
        for x, view in zip((one, other), pair_of_views(), strict=True):
            real = view.real if x.shape[1] == 2 * view.real.shape[1] else pair_of_views()[0].real
            x[torch.cat([~real, ~real], -1)] = -math.inf
    else:
        one[..., 2] = other[..., 2] = -math.inf
    loss, *gradients = run(name, one, other)
    assert torch.isfinite(loss)
    assert loss > 0
    assert all(torch.isfinite(x).all() for x in gradients if x is not None)
    without = (one, other) if "spans" in name else (x[..., [0, 1, 3, 4]] for x in (one, other))
    expected = float(run(name.replace("True", "False"), *without)[0])
    by_classes = not ("spans" in name or "hard" in name or "dropout" in name)
    assert float(loss) == pytest.approx(expected * (4 / 5 if by_classes else 1), **EXACT)


@EVERY_LOSS
def test_a_score_that_is_no_number_is_not_hidden(name):
    loss, one, other, _ = CASES[name]
    one, other = one.clone(), other.clone()
    one[2] = math.nan
    assert torch.isnan(loss(one, other))


def test_no_loss_waits_for_a_device():
    """Tensors without values: whoever asks for one is refused."""
    flat, words = torch.empty(6, 5, device="meta"), torch.empty(3, 4, 5, device="meta")
    kept, tags = torch.empty(6, device="meta").bool(), torch.empty(3, 4, device="meta").bool()
    tokens = torch.empty(6, 7, device="meta")
    spans = Spans(start=tokens, end=tokens, real=tokens.bool(), shared=tokens.bool())
    with pytest.raises((RuntimeError, NotImplementedError)):
        flat[kept]
    for over in (None, 3):
        assert views_loss(words, words, tags, normalizer=over).shape == ()
        assert dropout_loss(flat, flat, kept, normalizer=over).shape == ()
        assert teacher_loss(flat, flat, kept, normalizer=over).shape == ()
        assert teacher_loss(flat, flat, kept, hard=True, normalizer=over).shape == ()
        assert views_span_loss(spans, spans, normalizer=over).shape == ()
        assert teacher_span_loss(spans, spans, kept, normalizer=over).shape == ()
