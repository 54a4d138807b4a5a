"""Passes without padding give the model's own gradients, in float64 and for every head."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.head_toys import CPU, job
from support.trials import STILL

from raysearch.models import ReusableModel
from raysearch.models.unpadded import UnpaddedPasses
from raysearch.models.unpadded_attention import TokenLayout, UnpaddedAttention, divide_rows
from raysearch.recipes import RECIPES
from raysearch.training.gradient_accumulation import unpadded_passes

FAMILIES = ["bert", "roberta", "electra", "xlm-roberta"]
HEADS = ["classify", "regress", "choose", "cloze", "tag", "span"]


def model_of(pretrained, made, family):
    return ReusableModel(CPU).model(pretrained(made.task.head, made.hyper, family), made.hyper, 1)


def gradients(model, made, batch, passes):
    model.zero_grad()
    torch.manual_seed(5)
    if passes is None:
        loss = made.stage.loss(model, batch, made.hyper)
        loss.backward()
    else:
        with passes:
            loss = made.stage.loss(model, batch, made.hyper)
            loss.backward()
    return loss.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def assert_equal_gradients(found, expected):
    torch.testing.assert_close(found[0], expected[0], rtol=1e-9, atol=1e-12)
    assert found[1].keys() == expected[1].keys()
    assert any(gradient.abs().max() > 1e-6 for gradient in expected[1].values())
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-7, atol=1e-11, msg=name)


@pytest.mark.parametrize(("family", "kind"), itertools.product(FAMILIES, HEADS))
def test_gradients_are_those_of_the_padded_pass(pretrained, family, kind):
    made = job(kind, **STILL)
    model = model_of(pretrained, made, family).double().train()
    assert unpadded_passes(model, made.hyper, CPU) is not None
    for rows in ([3, 17, 4, 21, 8], [3], [5, 5]):  # unlike lengths, one row, no padding
        batch = made.train.collate(np.array(rows))
        if model.config.type_vocab_size == 1:
            batch.pop("token_type_ids", None)
        found = gradients(model, made, batch, UnpaddedPasses(model))
        assert_equal_gradients(found, gradients(model, made, batch, None))


@pytest.mark.parametrize("kind", ["classify", "tag"])
def test_bf16_gives_the_padded_passs_gradients_but_for_its_rounding(pretrained, kind):
    made = job(kind, **STILL)
    model = model_of(pretrained, made, "bert").train()
    batch = made.train.collate(np.array([3, 17, 4, 21, 8]))
    exact = gradients(model, made, batch, None)[1]
    with torch.autocast("cpu", torch.bfloat16):
        padded = gradients(model, made, batch, None)[1]
        found = gradients(model, made, batch, UnpaddedPasses(model))[1]

    def error(those):
        return sum(float((those[n] - x).square().sum()) for n, x in exact.items()) ** 0.5

    assert 0 < error(found) < 1.5 * error(padded)


def test_a_model_is_left_as_it_was(pretrained):
    made = job("tag", **STILL)
    model = model_of(pretrained, made, "bert").double().train()
    batch = made.train.collate(np.array([3, 17, 4]))
    before = gradients(model, made, batch, None)
    broken = {name: x for name, x in batch.items() if name != "labels"}
    broken["input_ids"] = broken["input_ids"] + 10**6
    with pytest.raises(IndexError), UnpaddedPasses(model):
        model(**broken)
    assert not model.base_model._forward_pre_hooks
    after = gradients(model, made, batch, None)
    for name, gradient in before[1].items():
        assert torch.equal(after[1][name], gradient)


def test_in_evaluation_nothing_changes(pretrained):
    made = job("tag", **STILL)
    model = model_of(pretrained, made, "bert").eval()
    batch = made.train.collate(np.array([3, 17, 4]))
    del batch["labels"]
    with torch.no_grad(), UnpaddedPasses(model):
        inside = model(**batch).logits
    with torch.no_grad():
        assert torch.equal(inside, model(**batch).logits)


def test_two_passes_before_one_backward_keep_their_own_rows(pretrained):
    made = job("classify", **STILL)
    model = model_of(pretrained, made, "bert").double().train()
    batches = [made.train.collate(np.array(rows)) for rows in ([3, 17, 4], [8, 2])]

    def run():
        model.zero_grad()
        losses = [made.stage.loss(model, batch, made.hyper) for batch in batches]
        sum(losses).backward()
        return losses[0].detach(), {n: p.grad for n, p in model.named_parameters()}

    expected = run()
    with UnpaddedPasses(model):
        found = run()
    assert_equal_gradients(found, expected)


@pytest.mark.parametrize("kind", ["classify", "tag"])
def test_checkpointed_layers_draw_the_same_dropout_again(pretrained, kind):
    rates = {"dropout": 0.3, "attention_dropout": 0.3}
    plain = job(kind, **rates)
    checkpointed = job(kind, **rates, gradient_checkpointing=True)
    batch = plain.train.collate(np.array([3, 17, 4, 21]))
    found = []
    for made in (plain, checkpointed):
        model = model_of(pretrained, made, "bert").double().train()
        found.append(gradients(model, made, batch, UnpaddedPasses(model)))
    assert_equal_gradients(found[1], found[0])


def test_the_dropout_of_attention_drops_what_it_should(pretrained):
    """The mean over many masks is the pass without dropout, as each mask scales what it keeps."""
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
    layout = TokenLayout(mask, heads=2)
    query, key, value = (torch.randn(9, 8) for _ in range(3))
    expected = UnpaddedAttention.apply(query, key, value, layout, 2, 0.0)
    draws = torch.stack(
        [UnpaddedAttention.apply(query, key, value, layout, 2, 0.25) for _ in range(4000)]
    )
    assert draws.std(0).max() > 0.1
    torch.testing.assert_close(draws.mean(0), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_attentions_backward_is_the_derivative_of_its_forward(alone, rate):
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0]])
    layout = TokenLayout(mask, heads=2)
    tokens = [torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    if alone:
        tokens[0] = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def attention(query, key, value):
        torch.manual_seed(2)  # the same mask in every call
        return UnpaddedAttention.apply(query, key, value, layout, 2, rate)

    assert torch.autograd.gradcheck(attention, tokens)


def test_attention_is_that_of_each_row_alone():
    torch.manual_seed(1)
    sizes = (5, 2, 4, 4)
    mask = (torch.arange(5) < torch.tensor(sizes)[:, None]).long()
    layout = TokenLayout(mask, heads=3)
    batch = [torch.randn(4, 5, 6, dtype=torch.float64) for _ in range(3)]
    flat = [x.flatten(0, 1)[layout.index] for x in batch]
    found = layout.restore(UnpaddedAttention.apply(*flat, layout, 3, 0.0))
    for row, size in enumerate(sizes):
        query, key, value = (x[row, :size].view(1, size, 3, 2).transpose(1, 2) for x in batch)
        expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
        torch.testing.assert_close(found[row, :size], expected[0].transpose(0, 1).flatten(1))
        assert (found[row, size:] == 0).all()


def test_rows_are_divided_at_the_least_cost(monkeypatch):
    monkeypatch.setattr("raysearch.models.unpadded_attention._GROUP_COST", 60)

    def cost(cuts, sizes):
        edges = [0, *cuts, len(sizes)]
        return sum((b - a) * sizes[a] ** 2 + 60 for a, b in itertools.pairwise(edges))

    random = np.random.default_rng(0)
    for _ in range(20):
        sizes = sorted(random.integers(1, 20, 7).tolist(), reverse=True)
        every = [
            cost(cuts, sizes) for n in range(7) for cuts in itertools.combinations(range(1, 7), n)
        ]
        groups = divide_rows(sizes, heads=1)
        assert [stop for _, stop in groups[:-1]] == [first for first, _ in groups[1:]]
        assert (groups[0][0], groups[-1][1]) == (0, 7)
        assert cost([first for first, _ in groups[1:]], sizes) == min(every)


def test_where_padding_counts_it_is_computed(pretrained):
    made = job("span", **STILL)
    model = model_of(pretrained, made, "bert")
    counted = RECIPES["stabletune"].hyper(span_padding="counted", BSZ=8, LR=1e-3, EPOCH=1)
    assert unpadded_passes(model, counted, CPU) is None
    masked = counted.model_copy(update={"span_padding": "masked"})
    assert unpadded_passes(model, masked, CPU) is not None
    half = masked.model_copy(update={"precision": "bf16"})
    assert unpadded_passes(model, half, CPU) is None


def test_other_families_compute_their_padding(pretrained):
    for family in ("albert", "deberta-v2", "modernbert", "mobilebert"):
        made = job("classify", **({} if family == "modernbert" else STILL))
        model = model_of(pretrained, made, family)
        assert unpadded_passes(model, made.hyper, CPU) is None


def test_a_version_of_transformers_that_computes_something_else_keeps_its_padding(
    pretrained, monkeypatch
):
    from transformers.models.bert.modeling_bert import BertEmbeddings

    own = BertEmbeddings.forward
    monkeypatch.setattr(
        BertEmbeddings,
        "forward",
        lambda self, *args, **names: own(self, *args, **names) + (names["input_ids"].shape[0] == 1),
    )
    made = job("classify", **STILL)
    assert not model_of(pretrained, made, "bert").can_be_unpadded


def test_a_trial_is_the_same_within_rounding(pretrained):
    from raysearch.training import Trainer

    made = job("classify", **STILL, EPOCH=3, BSZ=8, LR=1e-3)
    losses = []
    for padded in (False, True):
        model = model_of(pretrained, replace(made), "bert")
        trainer = Trainer(made, model)
        if padded:
            trainer.gradient.unpadded = None
        losses.append([report.loss for report in trainer])
    assert losses[0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
