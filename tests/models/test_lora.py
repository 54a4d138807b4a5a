"""Adapters: their mathematics, what a lane resets, what is kept of a trial, and what is refused."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.families import FAMILIES, token_batch
from support.head_toys import CPU, job
from support.trials import STILL, assert_same
from transformers import AutoConfig

from raysearch.errors import InputError
from raysearch.models import ReusableModel
from raysearch.models.adapter_weights import is_adapter, merge_adapters
from raysearch.models.auto_models import build_model
from raysearch.models.lora import (
    adapt,
    adapted_layers,
    adapter_problems,
    draw_adapters,
    frozen_names,
    projections,
)
from raysearch.models.pruned_embedding import count_parameters
from raysearch.models.reusable import export_weights
from raysearch.models.unpadded import UnpaddedPasses
from raysearch.recipes import RECIPES, Hyperparameters
from raysearch.training import Trainer
from raysearch.training.gradient_accumulation import unpadded_passes
from raysearch.training.optimizer import learning_rate_multipliers

Lora = RECIPES["lora"].hyper
WITHOUT = {"gpt2", "xlnet"}  # their projections are no linear layers
PARTS = ("query", "key", "value", "attention_output", "intermediate", "ffn_output")
FUSED = ("qkv", "attention_output", "intermediate", "ffn_output")


def built(kind, head="classify"):
    torch.manual_seed(3)
    config = AutoConfig.for_model(kind, **{**FAMILIES[kind], "vocab_size": 60})
    return build_model(config.to_dict(), head).eval()


def with_adapters(model, **settings):
    """Put adapters with random numbers on all projections of a model."""
    hyper = Lora(**{"lora_rank": 2, "lora_targets": list(projections(model)), **settings})
    adapt(model, hyper)
    draw_adapters(model)
    with torch.no_grad():
        for layer in adapted_layers(model).values():
            layer.lora_B.normal_(std=0.2)
    return hyper


def arrays(model):
    return {name: x.detach().numpy().copy() for name, x in model.state_dict().items()}


def model_of(pretrained, made, family="bert", bench=None):
    source = pretrained(made.task.head, made.hyper, family)
    return (bench or ReusableModel(CPU)).model(source, made.hyper, 1)


def toy(kind="classify", recipe="lora", **settings):
    return job(kind, recipe, **{"lora_rank": 2, **settings})


@pytest.mark.parametrize("kind", sorted(set(FAMILIES) - WITHOUT))
def test_merged_weights_give_the_outputs_of_the_adapters(kind):
    model = built(kind)
    base, batch = arrays(model), token_batch(model.config, "classify", (16, 11))
    before = model(**batch).logits
    hyper = with_adapters(model, lora_alpha=5)
    after = model(**batch).logits
    size = after.abs().max()
    assert (after - before).abs().max() > 1e-3 * size
    merged = built(kind)
    weights = merge_adapters(base, export_weights(model), hyper)
    merged.load_state_dict({name: torch.from_numpy(x) for name, x in weights.items()})
    assert (merged(**batch).logits - after).abs().max() < 1e-5 * max(1, size)


@pytest.mark.parametrize("kind", ["bert", "albert", "deberta-v2", "modernbert", "electra"])
def test_gradients_follow_from_those_of_the_whole_weight(kind):
    """With W' = W + s B A and G = dL/dW': dL/dA = s B^T G and dL/dB = s G A^T."""
    model = built(kind)
    base, batch = arrays(model), token_batch(model.config, "classify", (16, 11))
    hyper = with_adapters(model, lora_alpha=5)
    model.double()
    whole = built(kind).double()
    trained = {name: x.detach().numpy() for name, x in model.state_dict().items()}
    trained = {n: x for n, x in trained.items() if n not in frozen_names(model)}
    for name, x in merge_adapters(base, trained, hyper).items():
        whole.get_parameter(name).data = torch.from_numpy(x).double()
    for name, layer in adapted_layers(model).items():  # in float64, which merging rounds
        change = hyper.lora_alpha / hyper.lora_rank * layer.lora_B @ layer.lora_A
        whole.get_submodule(name).weight.data = (layer.weight + change).detach()
    for each in (model, whole):
        outputs = each(**batch).logits
        (outputs * torch.arange(1, outputs.numel() + 1).view_as(outputs)).sum().backward()
    scale = hyper.lora_alpha / hyper.lora_rank
    for name, layer in adapted_layers(model).items():
        gradient = whole.get_submodule(name).weight.grad
        assert gradient.abs().max() > 0
        for ours, theirs in (
            (layer.lora_A.grad, scale * layer.lora_B.T @ gradient),
            (layer.lora_B.grad, scale * gradient @ layer.lora_A.T),
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12, msg=name)
        assert layer.weight.grad is None


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
@pytest.mark.parametrize("kind", ["classify", "span"])
def test_passes_without_padding_give_the_same_gradients(pretrained, family, kind):
    made = toy(kind, lora_targets=PARTS, **STILL)
    model = model_of(pretrained, made, family).double().train()
    with torch.no_grad():
        for layer in adapted_layers(model).values():
            layer.lora_B.normal_(std=0.2)
    batch = made.train.collate(np.array([3, 17, 4, 21, 8]))
    if model.config.type_vocab_size == 1:
        batch.pop("token_type_ids", None)
    assert unpadded_passes(model, made.hyper, CPU) is not None
    found = []
    for passes in (None, UnpaddedPasses(model)):
        model.zero_grad()
        if passes:
            passes.__enter__()
        made.stage.loss(model, batch, made.hyper).backward()
        if passes:
            passes.__exit__(None, None, None)
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    padded, unpadded = found
    assert padded.keys() == unpadded.keys()
    assert all(is_adapter(name) or "encoder" not in name for name in padded)
    for name, gradient in padded.items():
        torch.testing.assert_close(unpadded[name], gradient, rtol=1e-7, atol=1e-11, msg=name)


def test_training_changes_adapters_and_head_alone_and_has_no_state_for_others(pretrained):
    made = toy(EPOCH=15, lora_dropout=0.1, weight_decay=0.1, clip=0.5, layerwise_decay=0.9)
    trainer = Trainer(made, model_of(pretrained, made))
    start = {name: x.clone() for name, x in trainer.model.state_dict().items()}
    reports = list(trainer)
    assert reports[-1].loss < reports[0].loss
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    with_state = {names[id(parameter)] for parameter in trainer.optimizer.inner.state}
    changed = {n for n, x in trainer.model.state_dict().items() if not torch.equal(x, start[n])}
    head = {f"{name}.{end}" for name in ("bert.pooler.dense", "classifier")
            for end in ("weight", "bias")}  # fmt: skip
    adapters = {name for name in start if is_adapter(name)}
    assert len(adapters) == 2 * 2 * trainer.model.config.num_hidden_layers
    assert changed == with_state == head | adapters == set(export_weights(trainer.model))
    sizes = sum(start[name].numel() for name in changed)
    total, trained = count_parameters(trainer.model)
    assert (trained, total) == (sizes, sum(x.numel() for x in start.values()))


def test_a_trial_is_the_same_in_a_new_lane_and_after_any_others(pretrained):
    made = toy(lora_dropout=0.1, EPOCH=1)
    source = pretrained("classify", made.hyper)
    others = ({"lora_rank": 3}, {"lora_alpha": 1, "lora_dropout": 0.5}, {"lora_rank": None},
              {"lora_targets": ("key", "ffn_output")}, {})  # fmt: skip
    results, bench = [], ReusableModel(CPU)
    for settings in ({}, *others):
        recipe = "finetune" if settings.get("lora_rank", 2) is None else "lora"
        planned = toy(recipe=recipe, **{"lora_dropout": 0.1, "EPOCH": 1, **settings})
        trainer = Trainer(planned, bench.model(source, planned.hyper, 1))
        losses = [report.loss for report in trainer]
        if not settings:
            results.append((losses, export_weights(trainer.model)))
    trainer = Trainer(made, ReusableModel(CPU).model(source, made.hyper, 1))
    results.append(([report.loss for report in trainer], export_weights(trainer.model)))
    for losses, weights in results[1:]:
        assert losses == results[0][0]
        assert_same(weights, results[0][1])


def test_a_lane_resets_adapters_and_head_and_copies_no_encoder_again(pretrained):
    made, bench = toy(), ReusableModel(CPU)
    source = pretrained("classify", made.hyper)
    model = bench.model(source, made.hyper, 1)
    start, frozen = export_weights(model), frozen_names(model)
    assert len(frozen) > 20
    for name in frozen:
        np.testing.assert_array_equal(model.get_parameter(name).numpy(), source.weights[name])
    list(Trainer(made, model))
    changed = "bert.encoder.layer.0.attention.self.query.weight"
    model.get_parameter(changed).data.fill_(7)  # nothing in training does
    again = bench.model(source, made.hyper.model_copy(update={"lora_rank": 3, "lora_alpha": 2}), 1)
    assert again is model
    assert (again.get_parameter(changed) == 7).all()
    assert {len(layer.lora_A) for layer in adapted_layers(again).values()} == {3}
    assert {layer.scale for layer in adapted_layers(again).values()} == {2 / 3}
    assert_same(export_weights(bench.model(source, made.hyper, 1)), start)
    other = export_weights(bench.model(source, made.hyper, 2))
    name = changed.replace("weight", "lora_A")
    assert not np.array_equal(other[name], start[name])


def test_adapters_begin_without_effect_and_the_head_as_without_them(pretrained):
    made, plain = toy(), toy(recipe="finetune", lora_rank=None)
    model, other = model_of(pretrained, made), model_of(pretrained, plain)
    batch = made.train.collate(np.arange(5))
    batch.pop("labels")
    with torch.no_grad():
        ours, theirs = model.eval()(**batch).logits, other.eval()(**batch).logits
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)
    assert torch.equal(model.classifier.weight, other.classifier.weight)
    for layer in adapted_layers(model).values():
        bound = layer.in_features**-0.5
        assert 0.5 * bound < layer.lora_A.abs().max() <= bound


def test_a_pruned_embedding_is_frozen_too(pretrained):
    made = toy()
    vocabulary = np.unique(made.train.vocabulary())
    source = pretrained("classify", made.hyper)
    whole = Trainer(made, ReusableModel(CPU).model(source, made.hyper, 1))
    pruned = Trainer(made, ReusableModel(CPU).model(source, made.hyper, 1, vocabulary))
    assert count_parameters(pruned.model) == count_parameters(whole.model)
    assert [r.loss for r in pruned] == [r.loss for r in whole]
    assert_same(export_weights(pruned.model), export_weights(whole.model))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_trial_goes_on_from_a_checkpoint_that_has_no_encoder(pretrained, precision):
    made = replace(toy(precision=precision, fp16_scale=2.0**10), keep_best=True)
    source, states = pretrained("classify", made.hyper), []

    def save(trainer):
        states.append(io.BytesIO())
        torch.save(trainer.state(), states[-1])

    def begin(**options):
        return Trainer(made, ReusableModel(CPU).model(source, made.hyper, 1), **options)

    whole = begin(on_step=save)
    losses = [report.loss for report in whole]
    states[2].seek(0)
    state = torch.load(states[2], weights_only=True)
    assert set(state["model"]) == set(export_weights(whole.model))
    rest = begin()
    rest.load(state)
    assert [report.loss for report in rest] == losses
    assert_same(export_weights(rest.model), export_weights(whole.model))
    assert_same(rest.best[1], whole.best[1])


def test_checkpoints_of_activations_change_nothing(pretrained):
    weights = []
    for checkpoints in (False, True):
        made = toy(gradient_checkpointing=checkpoints, lora_dropout=0.1)
        trainer = Trainer(made, model_of(pretrained, made))
        list(trainer)
        weights.append(export_weights(trainer.model))
    for name, array in weights[0].items():
        np.testing.assert_allclose(weights[1][name], array, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", ["bert", "albert", "deberta-v2", "modernbert"])
def test_an_adapter_has_the_learning_rate_of_its_layer(kind):
    plain = learning_rate_multipliers(built(kind), Hyperparameters(layerwise_decay=0.5))
    model = built(kind)
    hyper = with_adapters(model, layerwise_decay=0.5)
    rates = learning_rate_multipliers(model, hyper)
    for name in adapted_layers(model):
        rate = plain[f"{name}.weight"]
        assert rates[f"{name}.lora_A"] == rates[f"{name}.lora_B"] == rate < 1


@pytest.mark.parametrize("recipe", ["finetune", "r_drop", "stabletune"])
def test_every_loss_can_be_had_with_adapters(pretrained, recipe):
    extra = {"stages": 1, "view": "same"} if recipe == "stabletune" else {}
    made = toy(recipe=recipe, **extra)
    trainer = Trainer(made, model_of(pretrained, made))
    *_, last = trainer
    assert last.loss > 0
    assert set(export_weights(trainer.model)) < set(trainer.model.state_dict())
    if recipe == "finetune":
        lora = toy()
        twin = Trainer(lora, model_of(pretrained, lora))
        list(twin)
        assert_same(export_weights(twin.model), export_weights(trainer.model))


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("bert", {}),
        ("roberta", {"vocab_size": 50265, "type_vocab_size": 1}),
        ("roberta", {"vocab_size": 50265, "hidden_size": 1024, "num_hidden_layers": 24,
                     "num_attention_heads": 16, "intermediate_size": 4096}),
        ("deberta-v2", {}),
    ],
)  # fmt: skip
def test_less_than_two_percent_is_kept_of_models_of_real_sizes(kind, sizes):
    config = AutoConfig.for_model(kind, **sizes)
    with torch.device("meta"):
        model = build_model(config.to_dict(), "classify")
    whole = sum(x.numel() for x in model.state_dict().values())
    adapt(model, Lora())
    frozen = frozen_names(model)
    kept = sum(x.numel() for n, x in model.state_dict().items() if n not in frozen)
    assert 0.002 * whole < kept < 0.02 * whole


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_each_family_has_projections_by_the_same_names(kind):
    expected = {"amos": FUSED, "deberta": FUSED, "modernbert": FUSED, "gpt2": (), "xlnet": (),
                "fnet": ("intermediate", "ffn_output")}  # fmt: skip
    assert tuple(projections(built(kind))) == expected.get(kind, PARTS)


def test_a_model_says_which_projections_it_has():
    problems = adapter_problems(built("modernbert"), Lora(), [8])
    assert problems == {
        "lora_targets": "ModernBertForSequenceClassification has no projection query, value, it"
        " has qkv, attention_output, intermediate, ffn_output"
    }
    text = "GPT2ForSequenceClassification has no linear layers that are known here: leave it out"
    assert adapter_problems(built("gpt2"), Lora(), [8]) == {"lora_rank": text}
    problems = adapter_problems(built("bert"), Lora(), [4, 32])
    assert problems == {
        "lora_rank": "rank 32 is no less than the full rank of value, 32, in"
        " BertForSequenceClassification: a smaller one would do"
    }
    assert adapter_problems(built("bert"), Lora(), [31]) == {}
    with pytest.raises(InputError, match="no projection qkv"):
        adapt(built("bert"), Lora(lora_targets=["qkv"]))


def test_an_encoder_that_is_drawn_is_not_frozen(pretrained):
    made = toy()
    source = pretrained("classify", made.hyper)
    with pytest.raises(InputError, match="weights that adapters freeze are not pretrained"):
        ReusableModel(CPU).model(replace(source, weights={}), made.hyper, 1)
