"""Steps, warmup, evaluation points and learning rates against the papers' own numbers."""

import math

import pytest

from raysearch.recipes import Hyperparameters
from raysearch.recipes.schedule import Schedule, learning_rate, make_schedule, schedule_differences

# AMOS's run_glue.sh and run_squad.sh at the README's settings: updates of an epoch at BSZ 32,
# BSZ, EPOCH, WARMUP -> total updates, warm-up updates, updates between validations.
AMOS = {
    "MNLI-m": (12452, 32, 3, 16, 37356, 2334, 6226),
    "MNLI-mm": (12452, 32, 2, 16, 24904, 1556, 6226),
    "QQP": (11392, 32, 5, 16, 56960, 3560, 5696),
    "QNLI": (3320, 32, 3, 16, 9960, 622, 1660),
    "SST-2": (2105, 32, 5, 16, 10525, 657, 1052),
    "CoLA": (268, 32, 10, 10, 2680, 268, 134),
    "RTE": (101, 32, 5, 10, 505, 50, 50),
    "MRPC": (115, 32, 10, 16, 1150, 71, 57),
    "STS-B": (180, 16, 10, 16, 3600, 225, 180),
    "SQuAD EM": (4109, 16, 3, 16, 24654, 1540, 4109),
    "SQuAD F1": (4109, 16, 3, 10, 24654, 2465, 4109),
}


@pytest.mark.parametrize("column", AMOS)
def test_the_schedule_of_every_amos_setting_is_its_scripts(column):
    iterations, batch, epochs, warmup, total, warm, every = AMOS[column]
    made = make_schedule(
        Hyperparameters(BSZ=batch, EPOCH=epochs, WARMUP=warmup, epoch_examples=iterations * 32,
              evaluations={"per_epoch": 2}),
        examples=2490,
    )  # fmt: skip
    assert (made.steps, made.warmup) == (total, warm)
    points = list(range(every, total + 1, every))
    assert list(made.evaluations) == points + ([total] if points[-1] != total else [])


def test_without_epoch_examples_an_epoch_is_every_row_once():
    made = make_schedule(Hyperparameters(BSZ=32, EPOCH=3), examples=2490)
    assert made.per_epoch == math.ceil(2490 / 32) == 78
    assert made.steps == 234


@pytest.mark.parametrize(
    ("warmup", "steps"),
    [(16, 6), (10, 10), (0.1, 10), (0.29, 29), (0.06, 6), (0, 0), (1, 100), ({"steps": 7}, 7),
     ({"steps": 900}, 100)],
)  # fmt: skip
def test_warmup_is_a_reciprocal_a_ratio_or_a_count(warmup, steps):
    assert (
        make_schedule(Hyperparameters(BSZ=1, EPOCH=1, WARMUP=warmup), examples=100).warmup == steps
    )


def test_fractions_of_epochs_and_counts_of_steps_are_schedules_too():
    assert make_schedule(Hyperparameters(BSZ=1, EPOCH=2.3), examples=100).steps == 230
    assert make_schedule(Hyperparameters(BSZ=1, EPOCH={"steps": 45}), examples=100).steps == 45
    assert make_schedule(Hyperparameters(BSZ=64, EPOCH=0.01), examples=100).steps == 1


def test_evaluations_lie_at_equal_parts_and_include_rungs_and_the_end():
    made = make_schedule(
        Hyperparameters(BSZ=1, EPOCH=1, evaluations=4), examples=90, rungs=(1 / 9, 1 / 3)
    )
    assert made.evaluations == (10, 22, 30, 45, 67, 90)
    assert made.rungs == {1 / 9: 10, 1 / 3: 30}
    assert make_schedule(
        Hyperparameters(BSZ=50, EPOCH=1, evaluations=9), examples=100
    ).evaluations == (1, 2)


SCHEDULE = Schedule(steps=100, warmup=10, per_epoch=50, evaluations=(100,), rungs={})
RATES = {  # at update 0, W - 1, W and T - 1, T, in shares of LR
    "linear": (0, 0.9, 1, 1 / 90, 0),
    "constant": (0, 0.9, 1, 1, 1),
    "polynomial": (0, 0.9, 1, 0.1 + 0.9 * (1 / 90) ** 2, 0.1),
    "bert": (0, 0.9, 0.9, 0.01, 0),
    "electra": (0, 0.9 * 0.91, 0.9, 0.01, 0),
}


@pytest.mark.parametrize("shape", RATES)
def test_every_schedule_has_its_shape(shape):
    hyper = Hyperparameters(LR=2.0, schedule=shape, schedule_power=2, schedule_end=0.2)
    rates = [learning_rate(hyper, SCHEDULE, g) for g in (0, 9, 10, 99, 100)]
    assert rates == pytest.approx([2 * share for share in RATES[shape]])


@pytest.mark.parametrize("shape", RATES)
def test_an_offset_of_one_shifts_a_schedule_by_one_update(shape):
    hyper = Hyperparameters(LR=2.0, schedule=shape)
    shifted = hyper.model_copy(update={"schedule_offset": 1})
    for step in (0, 8, 9, 50, 99):
        assert learning_rate(shifted, SCHEDULE, step) == learning_rate(hyper, SCHEDULE, step + 1)


def test_a_schedule_without_warmup_starts_at_the_peak():
    bare = Schedule(steps=4, warmup=0, per_epoch=4, evaluations=(4,), rungs={})
    rates = [learning_rate(Hyperparameters(LR=1), bare, step) for step in range(4)]
    assert rates == [1, 0.75, 0.5, 0.25]


def test_a_rung_at_one_of_the_equal_parts_is_no_further_evaluation():
    made = make_schedule(
        Hyperparameters(BSZ=32, EPOCH=3, evaluations=4), examples=2490, rungs=(0.25, 0.5)
    )
    assert made.evaluations == (58, 117, 175, 234)


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({"EPOCH": 0.01}, ["EPOCH 0.01 of an epoch of 2 steps is less than one step",
                           "4 evaluations of 1 steps are 1: one after each"]),
        ({"EPOCH": 2, "WARMUP": {"steps": 5}},
         ["WARMUP of 5 steps takes the whole schedule of 4: the learning rate never falls"]),
        ({"EPOCH": 2, "WARMUP": 1},
         ["WARMUP of 4 steps takes the whole schedule of 4: the learning rate never falls"]),
        ({"EPOCH": 2, "evaluations": 9}, ["9 evaluations of 4 steps are 4: one after each"]),
        ({"EPOCH": 2, "WARMUP": {"steps": 3}}, []),
        ({"EPOCH": {"steps": 4}}, []),
    ],
)  # fmt: skip
def test_what_a_schedule_does_otherwise_than_its_settings_say_is_told(settings, lines):
    assert list(schedule_differences(Hyperparameters(BSZ=64, **settings), examples=100)) == lines
