"""Toy trials, and what tests compare of their gradients and weights."""

import numpy as np
import torch

from raysearch import tasks
from raysearch.models import ReusableModel
from raysearch.recipes import RECIPES
from raysearch.training import (
    DistributedContext,
    Job,
    MicroBatchLimit,
    make_schedule,
)
from raysearch.training.gradient_accumulation import GradientAccumulator
from support.toys import toy_examples

STILL = {"dropout": 0, "attention_dropout": 0, "classifier_dropout": 0}


def toy_job(task="glue/rte", *, recipe="finetune", seed=1, count=50, rungs=(), **settings):
    settings = {"BSZ": 8, "LR": 1e-2, "EPOCH": 2, "evaluations": 2} | settings
    recipe = RECIPES[recipe]
    hyper = recipe.hyper(**settings)
    kind = "scores" if task == "glue/stsb" else "classes"
    return Job(
        task=tasks.get(task),
        stage=recipe.stages[0],
        hyper=hyper,
        schedule=make_schedule(hyper, count, rungs),
        seed=seed,
        train=toy_examples(count, labels=kind),
        dev={"dev": toy_examples(40, seed=9, labels=kind)},
    )


def build(pretrained, job, bench=None):
    return (bench or ReusableModel(torch.device("cpu"))).model(pretrained, job.hyper, job.seed)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def gradients(pretrained, job, rows, *, limit, world=1, teacher=None):
    """Each parameter's gradient in float64, summed over the workers' ranks."""
    model = build(pretrained, job).double().train()
    total = {}
    for rank in range(world):
        gradient = GradientAccumulator(
            job,
            model,
            model,
            world=DistributedContext(rank=rank, size=world),
            memory=MicroBatchLimit(limit),
            scaler=None,
            teacher=teacher,
        )
        gradient.overhead = 1.0
        gradient(job.train, rows, 0)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                total[name] = total.get(name, 0) + parameter.grad.clone()
    return total
