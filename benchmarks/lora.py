"""Adapters against full fine-tuning on MRPC: CPU time of steps, memory, bytes kept, and scores.

    python benchmarks/lora.py --data DATA/glue --model MINILM [--part scores --seeds 3 --epochs 2]

BSZ 16, at most 128 tokens, one thread. Steps of both ways are taken in turn A B B A in one process;
memory is what a process of its own has held at most beyond what it held before the model. What is
kept of a trial is what it writes to the run folder before its task has a winner; a checkpoint is
what a long trial writes. Scores are those of each seed's last evaluation on the dev split, with an
interval over seeds and examples, and the difference of both ways with its own.
"""

import argparse
import io
import multiprocessing
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.data.dataset import EncodedDataset
from raysearch.data.sampling import step_batches
from raysearch.heads import HEADS
from raysearch.metrics.bootstrap_metrics import classification_measure
from raysearch.models import ReusableModel, read_pretrained, save_model
from raysearch.models.pretrained import Pretrained, read_tokenizer
from raysearch.models.pruned_embedding import count_parameters
from raysearch.models.reusable import export_weights
from raysearch.recipes import RECIPES
from raysearch.statistics import intervals
from raysearch.training import Job, Trainer, make_schedule

TASK, LONGEST, BATCH, ROUNDS, STEPS = "glue/mrpc", 128, 16, 4, 4
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "full fine-tuning": ("finetune", {"LR": 1e-4}),
    "LoRA, rank 8": ("lora", {"LR": 2e-3}),
}
MIB = 2**20


class Case:
    """One way to fine-tune, with its data.

    Args:
        way: a key of `WAYS`.
        options: of the command.
    """

    def __init__(self, way: str, options: argparse.Namespace) -> None:
        recipe, settings = WAYS[way]
        self.recipe, self.task = RECIPES[recipe], tasks.get(TASK)
        self.hyper = self.recipe.hyper(
            BSZ=BATCH, EPOCH=options.epochs, max_length=LONGEST, evaluations=1, **settings
        )
        tokenizer = read_tokenizer(options.model, ())
        encoder = HEADS[self.task.head].encoder
        self.tables = []
        for split in (self.task.train, self.task.dev[0]):
            made = encoding_cache.prepare(
                encoder, self.task, split, options.data, tokenizer, self.hyper
            )
            self.tables.append(EncodedDataset(made.table, made.padding))
        self.pretrained: Pretrained = read_pretrained(
            options.model, self.task, tokenizer, self.hyper
        )

    def trainer(self, seed: int) -> Trainer:
        """Return the training of a seed, at its beginning."""
        train, dev = self.tables
        job = Job(
            task=self.task, stage=self.recipe.stages[0], hyper=self.hyper, seed=seed,
            schedule=make_schedule(self.hyper, len(train), ()), train=train, dev={"dev": dev},
        )  # fmt: skip
        vocabulary = np.union1d(train.vocabulary(), dev.vocabulary())
        bench = ReusableModel(torch.device("cpu"))
        return Trainer(job, bench.model(self.pretrained, self.hyper, seed, vocabulary))


def cpu_seconds(options: argparse.Namespace) -> dict[str, float]:
    """Return the median CPU seconds of a step of each way."""
    trainers = {way: Case(way, options).trainer(1) for way in WAYS}
    batches = {way: step_batches(len(t.job.train), BATCH, 1) for way, t in trainers.items()}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for way in (*WAYS, *[*WAYS][::-1]):
            trainer = trainers[way]
            trainer.model.train()
            for index in range(STEPS):
                rows, train = next(batches[way]), trainer.job.train
                began = time.process_time()
                trainer._train(rows, train)
                trainer.step += 1
                if number or index:
                    seconds[way].append(time.process_time() - began)
    return {way: median(values) for way, values in seconds.items()}


def held() -> int:
    """Return the most bytes that this process has held since `forget`."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return 1024 * int(line.split()[1])


def forget() -> None:
    """Let `held` begin anew at what this process holds now."""
    Path("/proc/self/clear_refs").write_text("5")


def memory(way: str, options: argparse.Namespace) -> int:
    """Return the bytes that some steps of one way hold at most, beyond the pretrained weights."""
    case = Case(way, options)
    forget()
    before = held()
    trainer = case.trainer(1)
    trainer.model.train()
    rows = step_batches(len(trainer.job.train), BATCH, 1)
    for _ in range(8):
        trainer._train(next(rows), trainer.job.train)
        trainer.step += 1
    return held() - before


def sizes(way: str, options: argparse.Namespace) -> dict[str, int]:
    """Return the bytes of what is kept of a trial and of its checkpoint, and its parameters."""
    case = Case(way, options)
    trainer, checkpoint = case.trainer(1), io.BytesIO()
    trainer.model.train()
    trainer._train(np.arange(BATCH), trainer.job.train)  # the optimizer has its state then
    torch.save(trainer.state(), checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        weights = export_weights(trainer.model)
        save_model(Path(folder, "kept"), case.pretrained, weights, case.hyper)
        kept = sum(path.stat().st_size for path in Path(folder, "kept").iterdir())
    return {
        "kept": kept,
        "checkpoint": checkpoint.getbuffer().nbytes,
        "trained": count_parameters(trainer.model)[1],
    }


def cost_table(options: argparse.Namespace) -> None:
    """Print time, memory and sizes of both ways as a markdown table."""
    seconds = cpu_seconds(options)
    print("| | trained parameters | CPU ms of a step | MiB of a trial, two runs | MiB kept of a"
          " trial | MiB of a checkpoint |\n| --- | ---: | ---: | ---: | ---: | ---: |")  # fmt: skip
    for way in WAYS:
        command = [sys.executable, __file__, "--data", str(options.data), "--model", options.model,
                   "--way", way]  # fmt: skip
        runs = [
            int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            for _ in range(2)
        ]
        size = sizes(way, options)
        print(f"| {way} | {size['trained']:,} | {1000 * seconds[way]:.0f} | "
              f"{runs[0] / MIB:.0f}, {runs[1] / MIB:.0f} | {size['kept'] / MIB:.2f} | "
              f"{size['checkpoint'] / MIB:.1f} |", flush=True)  # fmt: skip


def train_seed(way: str, seed: int, options: argparse.Namespace) -> tuple[np.ndarray, float]:
    """Return a seed's predicted classes on dev, [examples], and the CPU seconds it took."""
    torch.set_num_threads(1)
    began = time.process_time()
    case = Case(way, options)
    trainer = case.trainer(seed)
    list(trainer)
    classes: np.ndarray = trainer._predict(case.tables[1])
    return classes, time.process_time() - began


def score_table(options: argparse.Namespace) -> None:
    """Train all seeds of both ways, two at a time; print accuracies with intervals as they end."""
    labels = Case(next(iter(WAYS)), options).tables[1].labels
    assert labels is not None, "a dev split without labels"
    seeds = range(11, 11 + options.seeds)
    models: dict[str, list[intervals.ScoreSample]] = {way: [] for way in WAYS}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        runs = {(way, s): pool.submit(train_seed, way, s, options) for s in seeds for way in WAYS}
        for (way, seed), run in runs.items():
            classes, seconds = run.result()
            measure = classification_measure("accuracy", classes, labels)
            models[way].append(intervals.ScoreSample(measures=[("dev", measure)]))
            accuracy = 100 * float(np.mean(classes == labels))
            print(f"{way}, seed {seed}: accuracy {accuracy:.1f}, {seconds:.0f} CPU s", flush=True)
            if len({len(each) for each in models.values()}) == 1:
                print_scores(models, len(labels))


def print_scores(models: dict[str, list[intervals.ScoreSample]], examples: int) -> None:
    """Print both ways' accuracies over seeds, and their difference, as a markdown table."""
    drawn = {"dev": intervals.Sample.of_size(examples)}
    found: dict[str, intervals.Interval] = {
        way: intervals.interval(each, drawn, aggregate=intervals.mean)
        for way, each in models.items()
    }
    found["LoRA less full"] = intervals.difference(
        *models.values(), drawn, aggregate=intervals.mean, paired=True
    )
    print("| | seeds | accuracy, their mean | 95 % interval |\n| --- | ---: | ---: | ---: |")
    for name, one in found.items():
        low, high = 100 * one.low, 100 * one.high
        print(f"| {name} | {one.seeds} | {100 * one.value:.1f} | {low:.1f} to {high:.1f} |")


def main() -> None:
    """Measure what the options name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with MRPC")
    parser.add_argument("--model", required=True, help="an encoder's folder")
    parser.add_argument("--part", choices=("costs", "scores"), default="costs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--way", choices=WAYS, help="the memory of this one, in this process")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.way:
        print(memory(options.way, options))
    elif options.part == "costs":
        cost_table(options)
    else:
        score_table(options)


if __name__ == "__main__":
    main()
