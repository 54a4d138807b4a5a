"""The training loop: gradients, precision, divergence, memory, going on, and several workers."""

import io
import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from support.toys import in_two_processes, toy_examples
from support.trials import STILL, assert_same, build, gradients, toy_job

from raysearch import tasks
from raysearch.data.dataset import EncodedDataset
from raysearch.heads import HEADS
from raysearch.models import ReusableModel
from raysearch.models.pretrained import read_pretrained, read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.recipes import Hyperparameters
from raysearch.training import (
    DistributedContext,
    MicroBatchLimit,
    Trainer,
    predict_outputs,
)


def train(pretrained, job, **options):
    """All reports, and the weights at the end."""
    fit = Trainer(job, build(pretrained, job), **options)
    return list(fit), export_weights(fit.model)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["glue/rte", "glue/stsb"])
@pytest.mark.parametrize(("limit", "world"), [(2**20, 1), (40, 1), (1, 1), (2**20, 2), (30, 3)])
def test_neither_the_cut_nor_the_workers_change_the_gradient(toy_bert, task, limit, world):
    job, pretrained = toy_job(task, **STILL), toy_bert(task)
    rows = np.array([3, 17, 4, 44, 8, 25, 31])
    model = build(pretrained, job).double().train()
    with torch.enable_grad():
        batch = job.train.collate(rows)
        job.stage.loss(model, batch, job.hyper).backward()
    whole = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    ours = gradients(pretrained, job, rows, limit=limit, world=world)
    assert ours.keys() == whole.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
def test_every_step_sees_bsz_rows(toy_bert):
    job, seen = toy_job(BSZ=8), []
    fit = Trainer(job, build(toy_bert(), job))
    backward = fit.gradient
    fit.gradient = lambda given, rows, step: seen.append(len(rows)) or backward(given, rows, step)
    fit.gradient.micro_batches = fit.gradient.units = 0
    list(fit)
    assert seen == [8, 8, 8, 8, 8, 8, 2] * 2


@pytest.mark.slow
def test_a_trial_reports_at_its_evaluations_and_learns(toy_bert):
    job = toy_job(EPOCH=12, LR=1e-2, evaluations=2, rungs=(1 / 9,))
    reports, _ = train(toy_bert(), job)
    assert tuple(report.step for report in reports) == job.schedule.evaluations
    assert [report.status for report in reports] == ["running"] * 2 + ["finished"]
    assert reports[-1].loss < reports[0].loss
    assert reports[-1].progress == 1
    assert reports[-1].tokens == 12 * job.train.lengths.sum()
    assert set(reports[0].scores) == {"dev.accuracy"}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["glue/rte", "glue/stsb"])
def test_the_same_trial_is_bit_identical_after_any_other(toy_bert, task):
    job, pretrained = toy_job(task), toy_bert(task)
    _, fresh = train(pretrained, job)
    bench = ReusableModel(torch.device("cpu"))
    others = [
        (toy_bert("glue/mnli"), toy_job(seed=5)),
        (pretrained, replace(job, seed=3, hyper=Hyperparameters(BSZ=4, dropout=0.3))),
        (pretrained, replace(job, seed=2)),
    ]
    for other, another in others:
        next(iter(Trainer(another, build(other, another, bench))))
    fit = Trainer(job, build(pretrained, job, bench))
    list(fit)
    assert_same(export_weights(fit.model), fresh)


def test_a_scratch_model_is_bit_identical_in_any_bench():
    task = tasks.get("toy/grammar")
    tokenizer = read_tokenizer("scratch:1x64", ("w1 w2 w3 w4 w5 w6 w7 w8 w9 " * 3,) * 20)
    pretrained, job = read_pretrained("scratch:1x64", task, tokenizer), toy_job("toy/grammar")
    pretrained.config["vocab_size"] = 40
    bench, starts = ReusableModel(torch.device("cpu")), []
    for seed in (1, 2, 1):
        fit = Trainer(replace(job, seed=seed), bench.model(pretrained, job.hyper, seed))
        starts.append(export_weights(fit.model))
        list(itertools.islice(fit, 1))
    assert_same(starts[0], starts[2])
    assert not np.array_equal(starts[0]["classifier.weight"], starts[1]["classifier.weight"])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_trial_goes_on_from_any_checkpoint_to_the_same_weights(toy_bert, tmp_path, precision):
    job = replace(
        toy_job(precision=precision, adam_eps_on="raw", fp16_window=3, fp16_scale=2**10),
        keep_best=True,
    )
    pretrained, states = toy_bert(), []
    path = tmp_path / "state.pt"

    def save_state(fit):
        torch.save(fit.state(), path)
        states.append(path.read_bytes())

    reports, weights = train(pretrained, job, on_step=save_state)
    for at in (0, 6, 7, 8, len(states) - 1):  # some of them in the middle of an evaluation
        path.write_bytes(states[at])
        fit = Trainer(job, build(pretrained, job))
        fit.load(torch.load(path, weights_only=True))
        rest = list(fit)
        assert_same(export_weights(fit.model), weights)
        expected = [r for r in reports if r.step > states_evaluated(path)]
        assert [(r.step, r.loss, r.scores) for r in rest] == [
            (r.step, r.loss, r.scores) for r in expected
        ]
        assert fit.best is not None


def states_evaluated(path):
    return torch.load(path, weights_only=True)["counts"][1]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_trains_too(toy_bert, precision):
    job = toy_job(precision=precision, EPOCH=12, LR=1e-2)
    reports, weights = train(toy_bert(), job)
    assert reports[-1].status == "finished"
    assert reports[-1].loss < reports[0].loss
    assert all(array.dtype == np.float32 for array in weights.values())


def test_an_overflow_of_fp16_skips_the_update_and_lowers_the_scale(toy_bert):
    job = toy_job(precision="fp16", fp16_scale=2.0**40)
    fit = Trainer(job, build(toy_bert(), job))
    before = export_weights(fit.model)
    fit.model.train()
    fit._train(np.arange(8), job.train)
    assert fit.scaler.get_scale() == 2.0**39
    assert fit.optimizer.updates == 0
    assert_same(export_weights(fit.model), before)


@pytest.mark.slow
def test_whether_a_step_overflows_in_fp16_is_told_from_the_whole_step(toy_bert):
    """A sum that fp16 cannot hold is an overflow in one micro-batch, and in eight."""
    pretrained, skipped = toy_bert(), {}
    for limit in (2**20, 40, 1):
        skipped[limit] = []
        for exponent in range(12, 26):
            job = toy_job(precision="fp16", fp16_scale=2.0**exponent, **STILL)
            fit = Trainer(job, build(pretrained, job), memory=MicroBatchLimit(limit))
            fit.model.train()
            fit._train(np.arange(8), job.train)
            skipped[limit].append(fit.scaler.get_scale() < 2.0**exponent)
        assert (fit.gradient.micro_batches == 1) == (limit == 2**20)
    assert skipped[2**20] == skipped[40] == skipped[1]
    assert set(skipped[1]) == {False, True}


def overflowing(pretrained, job):
    """One of two workers, whose first step's forward pass overflows on rank 1 alone."""
    fit = Trainer(job, build(pretrained, job), world=DistributedContext.current())
    backward, calls = fit.gradient, itertools.count()

    def gradient(examples, rows, step):
        sums = backward(examples, rows, step)
        gradient.micro_batches, gradient.units = backward.micro_batches, backward.units
        if not next(calls) and fit.world.rank == fit.world.size - 1:
            sums["loss"] = sums["loss"] * math.nan
            for parameter in fit.optimizer.parameters:
                parameter.grad = None if parameter.grad is None else parameter.grad * math.nan
        return sums

    fit.gradient = gradient
    fit.model.train()
    fit._train(np.arange(8), job.train)
    first = fit._mean_losses()["loss"]
    fit._train(np.arange(8), job.train)
    return {"losses": [first, fit._mean_losses()["loss"]], "updates": fit.optimizer.updates}


def test_the_loss_of_a_step_that_overflowed_counts_on_no_worker(toy_bert, tmp_path):
    """Half of a step's loss over all of its examples would be a loss that no model has."""
    job, pretrained = toy_job(precision="fp16", **STILL), toy_bert()
    alone = overflowing(pretrained, job)
    plain = Trainer(job, build(pretrained, job))
    plain.model.train()
    plain._train(np.arange(8), job.train)
    for worker in (alone, *in_two_processes(overflowing, tmp_path / "meeting", pretrained, job)):
        assert worker["losses"][0] == math.inf  # nothing was measured yet
        assert worker["losses"][1] == pytest.approx(plain._mean_losses()["loss"], rel=1e-3)
        assert worker["updates"] == 1


def test_gradient_checkpointing_changes_no_gradient(toy_bert):
    plain, rows = toy_job(), np.arange(12)
    saving = toy_job(gradient_checkpointing=True)
    ours, theirs = (gradients(toy_bert(), job, rows, limit=60) for job in (plain, saving))
    for name, gradient in ours.items():
        torch.testing.assert_close(theirs[name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_a_compiled_model_computes_the_same(toy_bert, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    settings = {"EPOCH": 0.5, "evaluations": 1, **STILL}
    (plain,), _ = train(toy_bert(), toy_job(**settings))
    (compiled,), _ = train(toy_bert(), toy_job(compile=True, **settings))
    assert compiled.loss == pytest.approx(plain.loss, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["glue/rte", "glue/stsb"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_diverged_trial_says_so_without_a_score(toy_bert, task, precision):
    job = toy_job(task, LR=10, clip=None, weight_decay=9.0, EPOCH=30, WARMUP=0, evaluations=1)
    model = build(toy_bert(task), job)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(1e38)
    job = replace(job, hyper=job.hyper.model_copy(update={"precision": precision}))
    *_, last = Trainer(job, model)
    assert last.status == "diverged"
    assert last.scores == {}
    assert last.loss == math.inf or math.isfinite(last.loss)


@pytest.mark.slow
def test_a_trial_stuck_at_chance_is_degenerate_and_ends_early(toy_bert):
    job = toy_job(LR=1e-12, EPOCH=8, evaluations=8)
    model = build(toy_bert(), job)
    with torch.no_grad():
        model.classifier.weight.zero_()
        share = torch.from_numpy(np.bincount(job.train.labels) / len(job.train))
        model.classifier.bias.copy_(share.log())
    reports = list(Trainer(job, model))
    assert [r.status for r in reports] == ["running"] * 5 + ["degenerate"]
    assert 0 <= reports[-1].scores["dev.accuracy"] <= 1


class ToySmallDevice(torch.nn.Module):
    """A model on a device that holds so many tokens."""

    def __init__(self, model, tokens):
        super().__init__()
        self.inner, self.tokens, self.seen = model, tokens, []
        self.config = model.config

    def forward(self, input_ids, **batch):
        if input_ids.numel() > self.tokens:
            raise torch.OutOfMemoryError("a toy's memory is full")
        self.seen += [tuple(row[row > 0].tolist()) for row in input_ids]
        return self.inner(input_ids=input_ids, **batch)


@pytest.mark.slow
def test_when_memory_runs_out_the_micro_batch_halves_and_no_example_is_lost(toy_bert):
    job, memory = toy_job(EPOCH=1, **STILL), MicroBatchLimit()
    (_, whole), _ = train(toy_bert(), job)
    model = ToySmallDevice(build(toy_bert(), job), 30)
    *_, last = Trainer(job, model, memory=memory)
    assert last.loss == pytest.approx(whole.loss, rel=1e-5)
    assert last.scores == whole.scores
    assert last.micro_batches > whole.micro_batches or memory.limit <= 30
    assert 15 <= memory.limit <= 30


def test_an_example_that_never_fits_is_an_error(toy_bert):
    job = toy_job()
    with pytest.raises(MemoryError, match="tokens does not fit"):
        list(Trainer(job, ToySmallDevice(build(toy_bert(), job), 2)))
    with pytest.raises(MemoryError, match="tokens does not fit"):
        predict_outputs(
            ToySmallDevice(build(toy_bert(), job), 2), job.train, job.task, job.hyper,
            autocast=lambda: torch.autocast("cpu", enabled=False),
        )  # fmt: skip


def work(pretrained, job):
    """One of two workers: its last loss and weights."""
    reports, weights = train(pretrained, job, world=DistributedContext.current())
    return {"loss": reports[-1].loss, **weights}


@pytest.mark.slow
def test_two_workers_train_to_the_weights_of_one(toy_bert, tmp_path):
    job, pretrained = toy_job(BSZ=7, LR=1e-3, **STILL), toy_bert()
    one, two = in_two_processes(work, tmp_path / "meeting", pretrained, job)
    assert_same(one, two)
    reports, alone = train(pretrained, job)
    assert one.pop("loss") == pytest.approx(reports[-1].loss, rel=1e-4)
    for name, array in alone.items():
        np.testing.assert_allclose(one[name], array, rtol=1e-3, atol=2e-5, err_msg=name)


def told(job, model, monkeypatch, predictions):
    """The reports of a trial whose evaluations predict these classes, one after another."""
    said = iter(predictions)
    monkeypatch.setattr(type(HEADS[job.task.head]), "decode", lambda *_: next(said))
    return list(Trainer(job, model))


ONE_CLASS, PERFECT = np.zeros(40, int), toy_examples(40, seed=9).labels
HALF, WRONG = np.where(np.arange(40) < 20, PERFECT, 0), 1 - PERFECT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("select", "predictions", "statuses"),
    [
        # Something was learned in the middle, whatever came after.
        ("best", [ONE_CLASS, HALF, ONE_CLASS, ONE_CLASS], ["running"] * 3 + ["finished"]),
        ("last", [ONE_CLASS, HALF, ONE_CLASS, ONE_CLASS], ["running"] * 3 + ["degenerate"]),
        ("best", [HALF, ONE_CLASS, ONE_CLASS, ONE_CLASS], ["running"] * 3 + ["finished"]),
        ("last", [ONE_CLASS, ONE_CLASS, ONE_CLASS, HALF], ["running"] * 3 + ["finished"]),
        ("best", [ONE_CLASS] * 4, ["running"] * 3 + ["degenerate"]),
        # The best evaluation is one that predicts one class: that is what would be reported.
        ("best", [WRONG, ONE_CLASS, WRONG, WRONG], ["running"] * 3 + ["degenerate"]),
    ],
)  # fmt: skip
def test_a_trial_is_degenerate_where_the_evaluation_that_counts_says_nothing(
    toy_bert, monkeypatch, select, predictions, statuses
):
    job = replace(toy_job(EPOCH=1, evaluations=4, LR=1e-5), select=select)
    reports = told(job, build(toy_bert(), job), monkeypatch, predictions)
    assert [report.status for report in reports] == statuses


@pytest.mark.slow
@pytest.mark.parametrize("task", ["glue/rte", "glue/stsb"])
def test_one_prediction_for_all_is_right_where_gold_has_one_label(toy_bert, monkeypatch, task):
    job, model = toy_job(task, EPOCH=1), toy_bert(task)
    alike = np.full(40, job.dev["dev"].labels[0])
    reports = told(job, build(model, job), monkeypatch, [alike, alike])
    assert reports[-1].status == "degenerate"
    labels = pa.array(alike.tolist(), job.dev["dev"].table.schema.field("label").type)
    at = job.dev["dev"].table.column_names.index("label")
    table = job.dev["dev"].table.set_column(at, "label", labels)
    job = replace(job, dev={"dev": EncodedDataset(table, {"input_ids": 0})})
    reports = told(job, build(model, job), monkeypatch, [alike, alike])
    assert reports[-1].status == "finished"
    if task == "glue/rte":
        assert reports[-1].scores == {"dev.accuracy": 1.0}


def test_a_trial_that_goes_on_from_a_checkpoint_remembers_its_best_evaluation(
    toy_bert, monkeypatch
):
    job = toy_job(EPOCH=1, evaluations=2, LR=1e-5)
    said = iter([HALF, ONE_CLASS])
    monkeypatch.setattr(type(HEADS[job.task.head]), "decode", lambda *_: next(said))
    first = Trainer(job, build(toy_bert(), job))
    assert next(iter(first)).status == "running"
    again = Trainer(job, build(toy_bert(), job))
    again.load(first.state())
    assert [report.status for report in again] == ["finished"]


@pytest.mark.slow
@pytest.mark.parametrize("select", ["best", "last"])
def test_one_part_of_dev_selects_and_the_other_one_is_printed_and_kept(toy_bert, select):
    """The held-out labels are wrong, so that the printed score falls where the search's rises."""
    job = toy_job(EPOCH=12, LR=1e-2, evaluations=6)
    searched = job.train  # learned by heart
    labels = 1 - searched.table["label"].to_numpy()
    place = searched.table.column_names.index("label")
    wrong = searched.table.set_column(place, "label", pa.array(labels))
    held_out = EncodedDataset(wrong, searched.padding)
    job = replace(
        job,
        dev={"dev": held_out},
        searched={"dev": searched},
        selector="search.accuracy",
        select=select,
        keep_best=True,
        keep_predictions=True,
    )
    fit = Trainer(job, build(toy_bert(), job))
    reports = list(fit)
    names = {"search.accuracy", "dev.accuracy"}
    assert all(set(report.scores) == names for report in reports)
    assert all(sum(report.scores.values()) == pytest.approx(1) for report in reports)
    best = max(reports, key=lambda report: report.scores["search.accuracy"])
    assert best.scores["search.accuracy"] > max(0.6, reports[0].scores["search.accuracy"])
    assert fit.best[0] == best.scores["search.accuracy"]
    counted = best if select == "best" else reports[-1]
    table = parquet.read_table(io.BytesIO(fit.predictions))
    assert table["gold"].to_pylist() == labels.tolist()
    right = table["prediction"].to_numpy() == labels
    assert right.mean() == pytest.approx(counted.scores["dev.accuracy"])


def test_each_part_has_its_mean_over_languages(toy_bert):
    english, german = toy_examples(40, seed=9), toy_examples(40, seed=10)
    job = replace(
        toy_job("xtreme/pawsx", EPOCH=1, evaluations=1),
        dev={"en": english, "de": german},
        searched={"en": german, "de": english},
        selector="search.mean.accuracy",
    )
    (report,) = Trainer(job, build(toy_bert("xtreme/pawsx"), job))
    scores = report.scores
    assert scores["search.accuracy"] == scores["dev.de.accuracy"]
    for part in ("search", "dev"):
        both = scores[f"{part}.accuracy"], scores[f"{part}.de.accuracy"]
        assert scores[f"{part}.mean.accuracy"] == pytest.approx(np.mean(both))
