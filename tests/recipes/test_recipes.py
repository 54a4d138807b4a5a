"""What every recipe keeps to, and what R-Drop adds to fine-tuning."""

import numpy as np
import pytest
import torch
from support.head_toys import CPU, MADE, job
from support.trials import STILL, gradients, toy_job
from torch.nn import functional

from raysearch import study
from raysearch.errors import InputError
from raysearch.models import ReusableModel
from raysearch.recipes import RECIPES
from raysearch.recipes.finetune import finetune_loss
from raysearch.training import MicroBatchLimit, Trainer

OF_TEXT = {"cross_thought"}  # it needs an encoder of its own, see test_cross_thought.py
ROWS = np.array([3, 17, 4, 21, 8, 11, 2])
KINDS = [
    (name, kind)
    for name in sorted(RECIPES.keys() - OF_TEXT)
    for kind in MADE
    if kind in RECIPES[name].heads
]
# The terms of a loss -> the hyperparameter that is their weight; None for a weight of 1.
TERMS = {"task": None, "divergence": "agreement", "R1": "lambda1", "R2": "lambda2"}


def test_every_recipe_is_tried_with_each_of_its_heads():
    tried = {name: {kind for recipe, kind in KINDS if recipe == name} for name, _ in KINDS}
    heads = {name: set(recipe.heads) for name, recipe in RECIPES.items() if name not in OF_TEXT}
    assert tried == heads


@pytest.fixture
def made(pretrained):
    """The job of a recipe, its pretrained encoder, and the model in double precision."""

    def make(recipe, kind, **settings):
        planned = job(kind, recipe, **settings)
        given = pretrained(kind, planned.hyper)
        return planned, given, ReusableModel(CPU).model(given, planned.hyper, 1).double().train()

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "kind"), KINDS)
@pytest.mark.parametrize(("limit", "world"), [(60, 1), (90, 3)])
def test_neither_the_cut_nor_the_workers_change_the_gradient(made, recipe, kind, limit, world):
    planned, given, model = made(recipe, kind, **STILL)
    planned.stage.loss(model, planned.train.collate(ROWS), planned.hyper).backward()
    ours = gradients(given, planned, ROWS, limit=limit, world=world)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "kind"), KINDS)
def test_the_loss_is_a_finite_number_of_at_least_float32_with_a_gradient(made, recipe, kind):
    planned, _, model = made(recipe, kind)
    batch = planned.train.collate(ROWS)
    with torch.autocast("cpu", torch.bfloat16):
        loss = planned.stage.loss(model.float(), batch, planned.hyper)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "kind"), KINDS)
def test_the_terms_of_a_loss_with_their_weights_are_the_loss(made, recipe, kind):
    """In the loss of a batch, and in a report, over many steps cut into micro-batches."""
    planned, given, model = made(recipe, kind)
    batch, terms = planned.train.collate(ROWS), {}
    loss = planned.stage.loss(model, batch, planned.hyper, loss_terms=terms)
    assert not any(term.requires_grad for term in terms.values())
    model = ReusableModel(CPU).model(given, planned.hyper, 1)
    reports = list(Trainer(planned, model, memory=MicroBatchLimit(90)))
    weights = {name: getattr(planned.hyper, TERMS[name]) if TERMS[name] else 1 for name in terms}
    assert bool(terms) == (recipe in ("r_drop", "stabletune"))
    for found, whole in ((terms, loss.item()), *((r.terms, r.loss) for r in reports)):
        assert found.keys() == terms.keys()
        if found:
            summed = sum(weights[name] * float(term) for name, term in found.items())
            assert summed == pytest.approx(whole, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MADE)
def test_without_dropout_r_drop_is_fine_tuning(made, kind):
    planned, _, model = made("r_drop", kind, **STILL)
    batch = planned.train.collate(ROWS)
    wanted = finetune_loss(model, batch, planned.hyper)
    torch.testing.assert_close(planned.stage.loss(model, batch, planned.hyper), wanted)


@pytest.fixture
def twice(toy_bert):
    """R-Drop's loss of a toy task, the labels, and what the model says in the same two passes."""

    def run(task, **settings):
        planned = toy_job(task, recipe="r_drop", **settings)
        model = ReusableModel(CPU).model(toy_bert(task), planned.hyper, 1).double().train()
        batch = planned.train.collate(ROWS)
        inputs = {name: x for name, x in batch.items() if name != "labels"}
        torch.manual_seed(5)
        loss = planned.stage.loss(model, batch, planned.hyper)
        torch.manual_seed(5)
        return loss, batch["labels"], *(model(**inputs).logits for _ in range(2))

    return run


def test_r_drop_is_its_formula(twice):
    loss, labels, one, two = twice("glue/rte", agreement=0.7)
    wanted = torch.zeros((), dtype=torch.float64)
    for p, q, label in zip(one.softmax(-1), two.softmax(-1), labels, strict=True):
        nll = -(p[label].log() + q[label].log()) / 2
        apart = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
        wanted += (nll + 0.7 * apart / 2) / len(ROWS)
    torch.testing.assert_close(loss, wanted)
    assert not torch.allclose(one, two)


def test_of_scores_r_drop_compares_squares(twice):
    loss, labels, *said = twice("glue/stsb", agreement=2.0, label_scale=5)
    one, two = (logits[:, 0] for logits in said)
    gold = labels.double() / 5
    wanted = (functional.mse_loss(one, gold) + functional.mse_loss(two, gold)) / 2
    torch.testing.assert_close(loss, wanted + 2 * functional.mse_loss(one, two))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_refuses_tasks_whose_heads_it_cannot_train(name):
    tasks = {"thought": "text/lines", "span": "squad/v1.1"}
    other = next(task for head, task in tasks.items() if head not in RECIPES[name].heads)
    with pytest.raises(InputError, match=f"'{name}' does not train {other}: .* would do"):
        study.parse({"tasks": [other], "model": "scratch", "recipe": name})
