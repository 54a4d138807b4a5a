"""CPU seconds of an optimizer step on one thread: raysearch against transformers' Trainer.

    python benchmarks/step.py --data DATA/glue --tokenizer FOLDER [--only ours] [--profile]

Real text of CoLA, MRPC and MNLI, the shapes BERT 2x128 and MiniLM 6x384 with random weights, BSZ
32, dropout 0.1, AdamW. The Trainer runs its own loop with `group_by_length` and its default fused
AdamW; both count the first epochs of the same rows. They run in turn, A B B A, and the CPU seconds
of each are the mean of its two runs: on one thread they vary less than the clock does. It needs the
`bench` extra.

In the same run: the gradient of a step with dropout 0, computed in micro-batches by raysearch, is
that of one padded batch within rounding.
"""

import argparse
import cProfile
import math
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.data.dataset import EncodedDataset
from raysearch.data.sampling import step_batches
from raysearch.heads import HEADS
from raysearch.models import ReusableModel, read_pretrained
from raysearch.models.pretrained import read_tokenizer
from raysearch.recipes import RECIPES
from raysearch.training import Job, Trainer, make_schedule

SHAPES = {
    "BERT 2x128": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                   "intermediate_size": 512},
    "MiniLM 6x384": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                     "intermediate_size": 1536},
}  # fmt: skip
STEPS = {"BERT 2x128": 150, "MiniLM 6x384": 30}
TASKS = ("glue/cola", "glue/mrpc", "glue/mnli")
ROWS, BATCH, LONGEST, SEED, WARM = 4800, 32, 128, 1, 5


class Case:
    """A task's text and a model's shape, for either loop.

    Args:
        task: name of the task.
        shape: a key of SHAPES.
        options: of the command line.
        folder: where the model is written.
    """

    def __init__(self, task: str, shape: str, options: argparse.Namespace, folder: Path) -> None:
        self.task, self.steps = tasks.get(task), options.steps or STEPS[shape]
        self.tokenizer = read_tokenizer(options.tokenizer, ())
        path = folder / shape
        if not path.exists():
            torch.manual_seed(0)
            config = BertConfig(vocab_size=len(self.tokenizer), **SHAPES[shape])
            BertModel(config).save_pretrained(path)
            self.tokenizer.save_pretrained(path)
        self.path = str(path)
        self.hyper = self._hyper(dropout=0.1)
        made = encoding_cache.prepare(
            HEADS[self.task.head].encoder,
            self.task,
            self.task.train,
            options.data,
            self.tokenizer,
            self.hyper,
        )
        self.train = EncodedDataset(made.table.slice(0, ROWS), made.padding)
        self.pretrained = read_pretrained(self.path, self.task, self.tokenizer, self.hyper)

    def _hyper(self, dropout: float) -> Any:
        return RECIPES["finetune"].hyper(
            BSZ=BATCH, LR=1e-4, EPOCH={"steps": self.steps + WARM}, WARMUP=0, max_length=LONGEST,
            dropout=dropout, attention_dropout=dropout, clip=1.0, evaluations=1,
        )  # fmt: skip

    def trainer(self, hyper: Any) -> Trainer:
        """Return raysearch's trainer at the start of a trial."""
        job = Job(
            task=self.task,
            stage=RECIPES["finetune"].stages[0],
            hyper=hyper,
            schedule=make_schedule(hyper, len(self.train), ()),
            seed=SEED,
            train=self.train,
            dev={},
        )
        model = ReusableModel(torch.device("cpu")).model(
            self.pretrained, hyper, SEED, self.train.vocabulary()
        )
        model.train()
        return Trainer(job, model)

    def ours(self) -> float:
        """Return the CPU seconds of a step of raysearch."""
        trainer = self.trainer(self.hyper)
        steps = step_batches(len(self.train), BATCH, SEED)
        return timed(lambda: trainer._train(next(steps), self.train), trainer, self.steps)

    def theirs(self) -> float:
        """Return the CPU seconds of a step of transformers' Trainer."""
        return trainer_seconds(self)

    def gradient_error(self) -> float:
        """Return the largest difference of a step's gradients from those of one padded batch.

        It is a share of the gradient's norm.
        """
        hyper = self._hyper(dropout=0.0)
        trainer = self.trainer(hyper)
        rows = next(step_batches(len(self.train), BATCH, SEED))
        trainer.gradient(self.train, rows, 0)
        ours = [p.grad.clone() for p in trainer.optimizer.parameters if p.grad is not None]
        trainer.model.zero_grad()
        batch = self.train.batch(rows, torch.device("cpu"))
        trainer.model(**batch).loss.backward()
        plain = [p.grad for p in trainer.optimizer.parameters if p.grad is not None]
        norm = math.sqrt(sum(float(x.square().sum()) for x in plain))
        return max(float((a - b).abs().max()) for a, b in zip(ours, plain, strict=True)) / norm


def timed(step: Callable[[], Any], trainer: Trainer, count: int) -> float:
    """Return the CPU seconds of one of `count` steps, after some that warm up."""
    for _ in range(WARM):
        step()
        trainer.step += 1
    began = time.process_time()
    for _ in range(count):
        step()
        trainer.step += 1
    return (time.process_time() - began) / count


def trainer_seconds(case: Case) -> float:
    """Return the CPU seconds of a step of transformers' Trainer with its best flags."""
    import transformers

    class Clock(transformers.TrainerCallback):
        began = ended = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == WARM:
                self.began = time.process_time()
            self.ended = time.process_time()

    rows = []
    for index in range(len(case.train)):
        batch = case.train.batch(np.array([index]), torch.device("cpu"))
        rows.append({name: values[0].tolist() for name, values in batch.items()})
    config = BertConfig.from_pretrained(case.path, num_labels=len(case.task.labels))
    torch.manual_seed(SEED)
    model = transformers.BertForSequenceClassification.from_pretrained(case.path, config=config)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, max_steps=case.steps + WARM,
            learning_rate=1e-4, warmup_steps=0, weight_decay=0.01, save_strategy="no",
            logging_strategy="no", disable_tqdm=True, report_to="none", use_cpu=True, seed=SEED,
            train_sampling_strategy="group_by_length", remove_unused_columns=False,
        )  # fmt: skip
        transformers.Trainer(
            model=model, args=arguments, train_dataset=rows, callbacks=[clock],
            data_collator=transformers.DataCollatorWithPadding(case.tokenizer),
        ).train()  # fmt: skip
    return (clock.ended - clock.began) / case.steps


def profile(case: Case) -> None:
    """Print where the CPU seconds of our steps go, by torch's operators and by Python's calls."""
    trainer = case.trainer(case.hyper)
    steps = step_batches(len(case.train), BATCH, SEED)

    def run() -> None:
        for _ in range(case.steps):
            trainer._train(next(steps), case.train)
            trainer.step += 1

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as operators:
        run()
    print(operators.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))
    calls = cProfile.Profile()
    calls.runcall(run)
    pstats.Stats(calls).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Measure every case, and print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CoLA, MRPC, MNLI")
    parser.add_argument("--tokenizer", required=True, help="a transformers folder")
    parser.add_argument("--only", choices=["ours"])
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES))
    parser.add_argument("--steps", type=int, help="that are timed; by default 150 and 30")
    parser.add_argument("--profile", action="store_true", help="print profiles of ours instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| shape | task | tokens | raysearch, ms | Trainer, ms | ratio | gradient |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for shape in options.shapes:
            for task in options.tasks:
                case = Case(task, shape, options, Path(folder))
                if options.profile:
                    profile(case)
                    continue
                print(row(case, shape, options.only is None), flush=True)


def row(case: Case, shape: str, compared: bool) -> str:
    """Measure a case, and return its row of the table."""
    ways = [case.ours, case.theirs, case.theirs, case.ours] if compared else [case.ours, case.ours]
    found = [(way, way()) for way in ways]
    ours = 1000 * np.mean([seconds for way, seconds in found if way == case.ours])
    tokens = case.train.lengths.mean()
    cells = [shape, case.task.name, f"{tokens:.1f}", f"{ours:.1f}"]
    if compared:
        theirs = 1000 * np.mean([seconds for way, seconds in found if way == case.theirs])
        cells += [f"{theirs:.1f}", f"{theirs / ours:.2f}"]
    else:
        cells += ["", ""]
    return f"| {' | '.join([*cells, f'{case.gradient_error():.0e}'])} |"


if __name__ == "__main__":
    main()
