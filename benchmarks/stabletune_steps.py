"""Measure what a step of stabletune's second stage costs beside its forward and backward passes.

It also tells whether the views are ready in time.

    python benchmarks/stabletune_steps.py --data DATA --model FOLDER

Three ways through the same steps of xtreme/panx, one after the other in every round, on one thread:
fine-tuning; the passes alone, on views made before (two of the student with their gradients, one of
the teacher over the copies, one update); the second stage, its views made by the process beside it.
Printed are medians over the rounds. Then how long the first step of a pass over as many rows as
XNLI has is waited for, where a step takes 50 ms.
"""

import argparse
import statistics
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.data.augmentation import dictionaries, resources
from raysearch.data.augmentation.augmented_dataset import AugmentedDataset
from raysearch.data.dataset import EncodedDataset
from raysearch.data.prefetch import training_steps
from raysearch.data.sampling import step_batches
from raysearch.heads import HEADS
from raysearch.models import ReusableModel
from raysearch.models.pretrained import read_pretrained, read_tokenizer
from raysearch.recipes import RECIPES
from raysearch.recipes.finetune import finetune_loss, model_outputs
from raysearch.recipes.stabletune import AUGMENTED, NOISED
from raysearch.training import Job, Trainer, make_schedule

CPU, SEED, XNLI, STEP = torch.device("cpu"), 1, 392_702, 0.05
TASK = tasks.get("xtreme/panx")
INPUTS = ("input_ids", "token_type_ids", "attention_mask", "word", "labels")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, help="a transformers folder")
    parser.add_argument("--view", default="switch", help="and how copies are made")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = Ways(options)
    rounds = [ways.round() for _ in range(options.rounds + 1)][1:]  # the first warms up
    found = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    print(f"BSZ {ways.hyper.BSZ}, view and copies by {options.view}; seconds a step:")
    for name in ("fine-tuning", "passes", "stage 2"):
        print(f"  {name:<13}{found[name]:.3f}")
    for one, other in (("stage 2", "passes"), ("stage 2", "fine-tuning"), ("waiting", "stage 2")):
        ratio = statistics.median(each[one] / each[other] for each in rounds)
        print(f"{one} / {other}: {ratio:.4f}")
    print(f"one process makes both views of {ways.rate():.0f} rows a second")
    first, others = ways.starts()
    print(f"{XNLI:,} rows: {first:.4f} s of waiting for the first step of a pass, {others:.4f} s "
          "for others")  # fmt: skip


class Ways:
    """The models and examples that all three ways share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.steps, self.recipe = options.steps, RECIPES["stabletune"]
        self.hyper = self.recipe.hyper(
            view=options.view, corpus=options.view, EPOCH={"steps": options.steps}
        )
        tokenizer = read_tokenizer(options.model, ())
        made = encoding_cache.prepare(
            HEADS[TASK.head].encoder, TASK, TASK.train, options.data, tokenizer, self.hyper
        )
        found = resources.find_resources(TASK, options.data, self.hyper.view_kinds())
        given = dictionaries.read(found.dictionaries)
        self.material = {"tokenizer": tokenizer, "pool": None, "dictionaries": given}
        self.table, self.examples = made, EncodedDataset(made.table, made.padding)
        self.source = read_pretrained(options.model, TASK, tokenizer, self.hyper)
        self.teacher = (
            ReusableModel(CPU).model(self.source, self.hyper, 9).eval().requires_grad_(False)
        )
        self.bench = ReusableModel(CPU)

    def round(self) -> dict[str, float]:
        """Seconds a step of each way, and of waiting for views."""
        views = AugmentedDataset(self.examples, self.hyper, self.material)
        drawn = views.with_epoch(SEED, 0)
        steps = list(islice(step_batches(len(views), self.hyper.BSZ, SEED), self.steps))
        plain = self._fit("finetune", self.examples)
        own = [rows % len(self.examples) for rows in steps]
        took = _timed(plain._train(rows, self.examples) for rows in own)
        second = self._fit("stabletune", views)
        parts = [[drawn.batch(part, CPU) for part in second.gradient._parts(rows)]
                 for rows in steps]  # fmt: skip
        passes = _timed(self._passes(second, batches) for batches in parts)
        fresh = AugmentedDataset(self.examples, self.hyper, self.material)
        second, supplied, waited = self._fit("stabletune", fresh), self._supplied(fresh), 0.0
        given = next(supplied)  # the process starts while a trial's model is set up
        began = time.perf_counter()
        while given:
            second._train(*given)
            asked = time.perf_counter()
            given = next(supplied, None)
            waited += time.perf_counter() - asked
        total = time.perf_counter() - began
        found = {"fine-tuning": took, "passes": passes, "stage 2": total, "waiting": waited}
        return {name: seconds / self.steps for name, seconds in found.items()}

    def rate(self) -> float:
        """Rows a second whose views a process makes."""
        views = AugmentedDataset(self.examples, self.hyper, self.material).with_epoch(SEED, 0)
        rows = np.random.default_rng(SEED).permutation(len(views))[:4000]
        views.prefetched(rows[:2000])  # words are remembered
        return 2000 / _timed(map(views.prefetched, [rows[2000:]]))

    def starts(self) -> tuple[float, float]:
        """Seconds of waiting for a pass's first step and, at the median, for others."""
        table = self.table.table.take(np.resize(np.arange(len(self.examples)), XNLI))
        views = AugmentedDataset(
            EncodedDataset(table, self.table.padding), self.hyper, self.material
        )
        last, waited = -(-len(views) // self.hyper.BSZ), []
        supplied = training_steps(views, self.hyper.BSZ, SEED, start=last - 20, stop=last + 20)
        for _ in range(40):
            asked = time.perf_counter()
            next(supplied)
            waited.append(time.perf_counter() - asked)
            time.sleep(STEP)
        return waited[20], statistics.median(waited[1:20] + waited[21:])

    def _fit(self, recipe: str, train: Any) -> Trainer:
        """A trial before its first step."""
        hyper = RECIPES[recipe].hyper(EPOCH={"steps": self.steps})
        hyper = self.hyper if recipe == "stabletune" else hyper
        job = Job(task=TASK, stage=RECIPES[recipe].stages[-1], hyper=hyper, seed=SEED,
                  schedule=make_schedule(hyper, len(train)), train=train, dev={})  # fmt: skip
        model = self.bench.model(self.source, hyper, SEED).train()
        return Trainer(job, model, teacher=self.teacher if recipe == "stabletune" else None)

    def _supplied(self, views: AugmentedDataset) -> Iterator[Any]:
        return training_steps(views, self.hyper.BSZ, SEED, start=0, stop=self.steps)

    def _passes(self, fit: Trainer, batches: list[dict[str, Any]]) -> None:
        """A step of stage 2 without its losses of consistency, its views at hand."""
        fit.model.zero_grad(set_to_none=True)
        for batch in batches:
            own = {name: batch[name] for name in INPUTS if name in batch}
            finetune_loss(fit.model, own, self.hyper).backward()
            other = {**batch[NOISED], "labels": own["labels"]}
            finetune_loss(fit.model, other, self.hyper).backward()
            if len(batch[AUGMENTED]):
                with torch.no_grad():
                    model_outputs(
                        self.teacher, {name: x[batch[AUGMENTED]] for name, x in own.items()}
                    )
        torch.nn.utils.clip_grad_norm_(fit.optimizer.parameters, self.hyper.clip)
        fit.optimizer.prepare(1e-5)
        fit.optimizer.step(None)


def _timed(work: Iterable[Any]) -> float:
    """Seconds that it takes to go through it."""
    began = time.perf_counter()
    for _ in work:
        pass
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
