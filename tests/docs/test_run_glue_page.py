"""The study of docs/from/run_glue.md has the defaults of transformers' TrainingArguments."""

import dataclasses
import re

import pytest
import torch
import yaml
from support.paths import ROOT
from transformers import TrainingArguments, get_scheduler
from transformers.trainer_utils import default_hp_space_optuna

import raysearch
from raysearch.recipes.schedule import learning_rate, make_schedule
from raysearch.study import Study

TEXT = (ROOT / "docs" / "from" / "run_glue.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainingArguments)}
EXAMPLES = 3668  # of MRPC


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    return [raysearch.parse(block) for block in BLOCKS]


def test_the_values_are_the_defaults_of_transformers(studies: list[Study]) -> None:
    hyper = studies[0].resolve("glue/mrpc").shared
    assert (hyper.EPOCH, hyper.weight_decay) == (
        DEFAULTS["num_train_epochs"],
        DEFAULTS["weight_decay"],
    )
    assert hyper.adam_betas == (DEFAULTS["adam_beta1"], DEFAULTS["adam_beta2"])
    assert hyper.adam_eps == DEFAULTS["adam_epsilon"]
    assert hyper.clip == DEFAULTS["max_grad_norm"]
    assert hyper.label_smoothing == DEFAULTS["label_smoothing_factor"]
    assert (hyper.precision == "fp32") is not (DEFAULTS["bf16"] or DEFAULTS["fp16"])
    assert studies[0].confirm.seeds == (DEFAULTS["seed"],)
    assert (studies[0].search.select == "best") is DEFAULTS["load_best_model_at_end"]


def test_every_step_has_the_learning_rate_that_it_has_there(studies: list[Study]) -> None:
    hyper = studies[0].resolve("glue/mrpc").shared
    schedule = make_schedule(hyper, EXAMPLES)
    assert schedule.evaluations == (schedule.steps,)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=hyper.LR)
    name, warmup = DEFAULTS["lr_scheduler_type"], int(DEFAULTS["warmup_steps"])
    there = get_scheduler(name, optimizer, warmup, schedule.steps)
    for step in range(schedule.steps):
        assert learning_rate(hyper, schedule, step) == pytest.approx(there.get_last_lr()[0])
        optimizer.step()
        there.step()


def test_the_search_has_the_default_space_of_hyperparameter_search(studies: list[Study]) -> None:
    class Trial:
        suggest_float = staticmethod(lambda name, low, high, log: (low, high))
        suggest_int = staticmethod(lambda name, low, high: (low, high))
        suggest_categorical = staticmethod(lambda name, values: tuple(values))

    there = default_hp_space_optuna(Trial())
    space = studies[1].space
    assert space["LR"].ends == there["learning_rate"]
    assert space["EPOCH"].ends == there["num_train_epochs"]
    assert space["BSZ"].ends == there["per_device_train_batch_size"]


def test_the_table_has_the_defaults_of_both(studies: list[Study]) -> None:
    rows = [re.split(r" *\| *", line)[1:-1] for line in TEXT.splitlines() if line.startswith("| ")]
    cells = {row[0].split("`")[1].lstrip("-"): row for row in rows if "`" in row[0]}
    here = raysearch.parse({"tasks": ["glue/mrpc"], "model": "scratch"}).resolve("glue/mrpc").shared
    for flag, name in {
        "learning_rate": "LR", "weight_decay": "weight_decay", "adam_epsilon": "adam_eps",
        "max_grad_norm": "clip", "label_smoothing_factor": "label_smoothing",
        "warmup_steps": "WARMUP", "per_device_train_batch_size": "BSZ",
    }.items():  # fmt: skip
        assert float(cells[flag][1]) == DEFAULTS[flag]
        assert float(cells[flag][3]) == getattr(here, name)
