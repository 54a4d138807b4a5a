"""Nothing in a training step waits for the device; found on a CPU. All of it toys."""

import numpy as np
import pytest
import torch
from support.head_toys import CPU, MADE, job
from support.waits import Waits

from raysearch.data import device_batches
from raysearch.data.device_batches import MASK, PADDED, to_device, word_starts
from raysearch.data.prefetch import training_steps
from raysearch.models import ReusableModel
from raysearch.models.attention_masks import _in_progress
from raysearch.training import Trainer

CASES = [
    *((kind, {}) for kind in MADE), ("tag", {"pooling": "sum"}), ("span", {"span_over": "context"}),
    ("span", {"span_head": "conditional"}), ("classify", {"clip": None, "label_smoothing": 0.1}),
    ("choose", {"gradient_checkpointing": True}), ("classify", {"micro_batch_tokens": 20}),
    ("classify", {"weight_decay": 0.1, "layerwise_decay": 0.9}),
]  # fmt: skip


def trainer(pretrained, kind, recipe="finetune", **settings):
    made = job(kind, recipe, **settings)
    model = ReusableModel(CPU).model(pretrained(kind, made.hyper), made.hyper, 1,
                                     made.train.vocabulary())  # fmt: skip
    model.train()
    fit = Trainer(made, model)
    fit.gradient.unpadded = None  # as on a GPU
    return fit


def waits_of_a_step(fit):
    """What a later step waits for: the first one looks which parameters get a gradient."""
    made = fit.job
    steps = training_steps(made.train, made.hyper.BSZ, 1, start=0, stop=4)
    for _ in range(2):
        fit._train(*next(steps))
        fit.step += 1
    with Waits() as waits:
        fit._train(*next(steps))
    assert _in_progress == []
    return waits.found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_no_head_waits_for_the_device_within_a_step(pretrained, kind, settings):
    assert waits_of_a_step(trainer(pretrained, kind, **settings)) == []


@pytest.mark.slow
def test_a_recipe_with_two_forward_passes_does_not_wait_either(pretrained):
    assert waits_of_a_step(trainer(pretrained, "classify", "r_drop")) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", MADE)
def test_without_what_the_mask_says_each_step_would_wait(pretrained, kind, monkeypatch):
    """So the test finds what it looks for."""
    monkeypatch.setattr(device_batches, "PADDED", "something_else")
    assert "_local_scalar_dense.default" in waits_of_a_step(trainer(pretrained, kind))


@pytest.mark.slow
def test_fp16_waits_once_for_its_loss_scale(pretrained):
    found = waits_of_a_step(trainer(pretrained, "classify", precision="fp16", clip=None))
    assert set(found) <= {"_local_scalar_dense.default"}


@pytest.mark.slow
def test_a_pass_that_fails_leaves_nothing_behind(pretrained, monkeypatch):
    fit = trainer(pretrained, "classify")
    batch = fit.job.train.batch(np.arange(4), CPU)
    del batch["labels"]
    monkeypatch.setattr(torch.nn.Linear, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        fit.model(**batch)
    assert _in_progress == []


def full(module, x):
    assert len(_in_progress) == 1
    raise torch.OutOfMemoryError("a toy's memory is full")


@pytest.mark.parametrize("mask", [[[1, 1], [1, 1]], [[1, 1], [1, 0]]])
def test_a_mask_says_whether_it_hides_a_token(mask):
    batch = to_device({MASK: np.array(mask), "labels": np.array([0, 1])}, CPU)
    assert getattr(batch[MASK], PADDED) is (mask[1][1] == 0)
    assert batch["labels"].tolist() == [0, 1]


def test_a_batch_goes_to_a_gpu_from_pinned_memory_and_without_a_wait(monkeypatch):
    calls = []

    def pin(tensor):
        calls.append("pin")
        return tensor

    def move(tensor, device, non_blocking=False):
        calls.append((device, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", move)
    gpu = torch.device("cuda", 1)
    batch = to_device({"input_ids": np.ones((2, 3), np.int64), MASK: np.ones((2, 3))}, gpu)
    assert calls == ["pin", (gpu, True), "pin", (gpu, True)]
    assert getattr(batch[MASK], PADDED) is False
    calls.clear()
    to_device({"input_ids": np.ones((2, 3), np.int64)}, CPU)
    assert calls == []


def test_the_first_token_of_each_word_is_found():
    words = np.array([[-1, 0, 0, 1, 2, -1], [-1, 0, 1, 1, -1, -1], [-1, -1, -1, -1, -1, -1]])
    assert word_starts(words).tolist() == [[1, 3, 4], [1, 2, 0], [0, 0, 0]]
