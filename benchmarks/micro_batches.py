"""Is the fixed cost of a micro-batch right? Steps divided with it, and with other costs.

    python benchmarks/micro_batches.py --data DATA/glue --tokenizer FOLDER [--shapes "BERT 2x128"]

`micro_batch_overhead` says what one more micro-batch costs, in tokens. It is a figure of the
model's shape, not of the machine. This script measures it on this machine: the CPU seconds of a
pass over many examples and over few of the same length give the cost of a pass and of a token. Then
it times optimizer steps on one thread that are divided with the fixed figure, with the measured
one, and with a quarter to four times the fixed one, with padding and without. All take turns,
forwards and backwards, so that a change of the machine's load meets each alike; the figures are CPU
milliseconds of a step. "equal bits" says whether the gradient of the first step is that of the
fixed figure, with dropout 0.1 and without dropout.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from step import SHAPES, TASKS, Case
from step_loops import gradient

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
FEW, MANY = 2, 8  # examples of the two passes that are compared; each fits a micro-batch


def measured_overhead(case: Case, repeats: int) -> float:
    """Return the cost of a pass in units of a token's, from passes of two sizes."""
    trainer = case.loops.trainer()
    order = np.argsort(case.train.lengths, kind="stable")
    middle = len(order) // 2
    rows = {count: order[middle : middle + count] for count in (FEW, MANY)}
    seconds = dict.fromkeys(rows, 0.0)
    for repeat in range(repeats + 1):
        for count, chosen in rows.items():
            began = time.thread_time()
            gradient(trainer, case.train, chosen)
            if repeat:  # the first one is slower
                seconds[count] += (time.thread_time() - began) / repeats
    tokens = {count: float(case.train.tokens[chosen].sum()) for count, chosen in rows.items()}
    token = (seconds[MANY] - seconds[FEW]) / (tokens[MANY] - tokens[FEW])
    return max(0.0, seconds[FEW] / token - tokens[FEW])


def divided(case: Case, overhead: float, padded: bool, **changes: Any) -> Any:
    """Return a trainer whose steps are divided with this cost of a micro-batch."""
    trainer = case.loops.trainer(**changes)
    trainer.gradient.overhead = overhead
    if padded:
        trainer.gradient.unpadded = None
    return trainer


def timed_step(case: Case, overhead: float, padded: bool, steps: int) -> tuple[float, float]:
    """Return the CPU milliseconds of a step, and its mean number of micro-batches."""
    trainer, rows = divided(case, overhead, padded), case.loops.rows()
    counts = []
    for step in range(steps + 2):
        if step == 2:
            began = time.thread_time()
        trainer._train(next(rows), case.train)
        trainer.step += 1
        counts.append(trainer.gradient.micro_batches)
    return 1e3 * (time.thread_time() - began) / steps, float(np.mean(counts))


def first_gradient(case: Case, overhead: float, padded: bool, dropout: float) -> torch.Tensor:
    """Return the gradient of the first step."""
    trainer = divided(case, overhead, padded, dropout=dropout, attention_dropout=dropout)
    return torch.cat(
        [part.flatten() for part in gradient(trainer, case.train, next(case.loops.rows()))]
    )


def print_rows(case: Case, label: str, padded: bool, steps: int, repeats: int) -> None:
    """Print the rows of one shape and task, with padding or without."""
    fixed = case.loops.trainer().gradient.overhead
    overheads = {f"{factor:g} x fixed": factor * fixed for factor in FACTORS}
    overheads["measured"] = measured_overhead(case, repeats)
    names = [*overheads, *reversed(overheads)]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in overheads}
    for name in names:
        times[name].append(timed_step(case, overheads[name], padded, steps))
    base = np.mean([ms for ms, _ in times["1 x fixed"]])
    bits = {x: first_gradient(case, fixed, padded, x) for x in (0.1, 0.0)}
    for name, overhead in overheads.items():
        mean = np.mean([ms for ms, _ in times[name]])
        equal = (torch.equal(bits[x], first_gradient(case, overhead, padded, x)) for x in bits)
        cells = [label, "padded" if padded else "unpadded", name, f"{overhead:.0f}",
                 f"{times[name][0][1]:.1f}", f"{mean:.1f}", f"{mean / base:.2f}",
                 ", ".join("yes" if same else "no" for same in equal)]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measure every case, and print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CoLA, MRPC, MNLI")
    parser.add_argument("--tokenizer", required=True, help="a transformers folder")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES))
    parser.add_argument("--steps", type=int, default=20, help="that are timed each time")
    parser.add_argument("--repeats", type=int, default=20, help="of the passes that are compared")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| shape, task | passes | cost | tokens | micro-batches | ms | ratio | equal bits |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for shape in options.shapes:
            for task in options.tasks:
                case = Case(task, shape, options, Path(folder))
                for padded in (False, True):
                    label = f"{shape}, {case.task.name}"
                    print_rows(case, label, padded, options.steps, options.repeats)


if __name__ == "__main__":
    main()
