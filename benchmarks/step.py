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
import pstats
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from step_loops import (
    Phases,
    StepCase,
    gradient,
    gradients,
    largest_difference,
    time_ours,
    time_theirs,
)
from transformers import BertConfig, BertModel, DataCollatorWithPadding

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.data.dataset import EncodedDataset
from raysearch.heads import HEADS
from raysearch.models import read_pretrained
from raysearch.models.pretrained import read_tokenizer
from raysearch.recipes import RECIPES

SHAPES = {
    "BERT 2x128": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                   "intermediate_size": 512},
    "MiniLM 6x384": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                     "intermediate_size": 1536},
}  # fmt: skip
STEPS = {"BERT 2x128": 150, "MiniLM 6x384": 30}
TASKS = ("glue/cola", "glue/mrpc", "glue/mnli")
ROWS, BATCH, LONGEST, WARM = 4800, 32, 128, 5
HYPER = {"BSZ": BATCH, "LR": 1e-4, "max_length": LONGEST, "clip": 1.0, "dropout": 0.1,
         "attention_dropout": 0.1}  # fmt: skip


class Case:
    """A task's text and a model's shape, for either loop.

    Args:
        task: name of the task.
        shape: a key of SHAPES.
        options: of the command line.
        folder: where the model is written.
    """

    def __init__(self, task: str, shape: str, options: argparse.Namespace, folder: Path) -> None:
        self.task = tasks.get(task)
        self.tokenizer = read_tokenizer(options.tokenizer, ())
        path = folder / shape
        if not path.exists():
            torch.manual_seed(0)
            config = BertConfig(vocab_size=len(self.tokenizer), **SHAPES[shape])
            BertModel(config).save_pretrained(path)
            self.tokenizer.save_pretrained(path)
        hyper = RECIPES["finetune"].hyper(**HYPER)
        made = encoding_cache.prepare(
            HEADS[self.task.head].encoder,
            self.task,
            self.task.train,
            options.data,
            self.tokenizer,
            hyper,
        )
        self.train = EncodedDataset(made.table.slice(0, ROWS), made.padding)
        self.loops = StepCase(
            task=self.task,
            pretrained=read_pretrained(str(path), self.task, self.tokenizer, hyper),
            train=self.train,
            device=torch.device("cpu"),
            hyper=HYPER,
            phases=Phases(warm=WARM, timed=options.steps or STEPS[shape]),
        )

    def ours(self) -> float:
        """Return the CPU milliseconds of a step of raysearch."""
        return time_ours(self.loops).step_ms

    def theirs(self) -> float:
        """Return the CPU milliseconds of a step of transformers' Trainer, with its own collator."""
        padded = DataCollatorWithPadding(self.tokenizer)
        examples = []
        for index in range(len(self.train)):
            batch = self.train.collate([index])
            columns = {name: values[0].tolist() for name, values in batch.items()}
            examples.append({**columns, "row": index})

        def collate(items: list[dict[str, Any]]) -> Any:
            return padded([{n: x for n, x in item.items() if n != "row"} for item in items])

        return time_theirs(self.loops, examples=examples, collator=collate).step_ms

    def gradient_error(self) -> float:
        """Return the largest difference of a step's gradients from those of one padded batch.

        It is a share of the gradient's norm.
        """
        trainer = self.loops.trainer(dropout=0.0, attention_dropout=0.0)
        rows = next(self.loops.rows())
        ours = gradient(trainer, self.train, rows)
        trainer.model.zero_grad()
        trainer.model(**self.train.batch(rows, torch.device("cpu"))).loss.backward()
        return largest_difference(ours, gradients(trainer))


def profile(case: Case) -> None:
    """Print where the CPU seconds of our steps go, by torch's operators and by Python's calls."""
    trainer, steps = case.loops.trainer(), case.loops.rows()

    def run() -> None:
        for _ in range(case.loops.phases.timed):
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
    ours = np.mean([ms for way, ms in found if way == case.ours])
    tokens = case.train.lengths.mean()
    cells = [shape, case.task.name, f"{tokens:.1f}", f"{ours:.1f}"]
    if compared:
        theirs = np.mean([ms for way, ms in found if way == case.theirs])
        cells += [f"{theirs:.1f}", f"{theirs / ours:.2f}"]
    else:
        cells += ["", ""]
    return f"| {' | '.join([*cells, f'{case.gradient_error():.0e}'])} |"


if __name__ == "__main__":
    main()
