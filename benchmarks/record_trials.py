"""Train every cell of a small grid on SST-2 to its end, and record scores and steps.

    python benchmarks/record_trials.py --model FOLDER --data DATA --to trials.jsonl [--part 0/2] \
        [KNOWN ...]
    python benchmarks/record_trials.py --table NEW.parquet RECORDED ...

early_stopping.py replays searches over the table. The data are rows of SST-2's train.tsv, drawn
once, as many of either label: 256 are trained on, 128 are scored at every evaluation, 256 others
once, at the end of a trial. The first score is what a search sees, the second one tells what a
configuration is worth. The trials of seed 1 are in fp32, those of seed 2 in bf16. A run that was
interrupted goes on with the trials that its file lacks, and those of KNOWN files are not trained
again. Files are those that it writes, or tables of them.
"""

import argparse
import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np

GRID: dict[str, tuple[Any, ...]] = {
    "LR": (5e-6, 2e-5, 5e-5, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3),
    "BSZ": (8, 16, 32),
    "EPOCH": (1, 2, 3),
    "WARMUP": (0.0, 0.1),
}
PRECISIONS = {1: "fp32", 2: "bf16"}  # seed -> of its trials: in bf16 they take three quarters
SEEDS = tuple(PRECISIONS)
FRACTIONS = (0.125, 0.25, 0.5, 0.75)  # of a schedule, besides its end
TRAIN, SEARCH, HELD_OUT = 256, 128, 256  # rows
DRAW = 1  # seed of the rows


def trials() -> list[dict[str, Any]]:
    """Return every configuration with every seed, in a fixed random order.

    With the last seed, cells at the ends of the learning rates, where next to nothing is learned,
    come last: a recording that is cut short lacks these.
    """
    cells = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    order = [
        {**cells[index], "seed": seed}
        for seed in SEEDS
        for index in np.random.default_rng(seed).permutation(len(cells))
    ]
    return sorted(order, key=_comes_last)


def _comes_last(trial: dict[str, Any]) -> bool:
    low, *_, high = GRID["LR"]
    hopeless = trial["LR"] == low or (trial["LR"] == high and trial["EPOCH"] == max(GRID["EPOCH"]))
    return bool(hopeless and trial["seed"] == SEEDS[-1])


class Recorder:
    """Trains trials one after another in this process, in raysearch's own loop.

    Args:
        model: the folder of the encoder.
        data: the data folder.
    """

    def __init__(self, model: str, data: Path) -> None:
        import torch

        from raysearch import tasks
        from raysearch.data.dataset import EncodedDataset
        from raysearch.data.encoding_cache import prepare
        from raysearch.heads import HEADS
        from raysearch.models import ReusableModel
        from raysearch.models.pretrained import read_pretrained, read_tokenizer
        from raysearch.recipes import RECIPES

        torch.set_num_threads(1)
        self.task, self.recipe = tasks.get("glue/sst2"), RECIPES["finetune"]
        tokenizer, hyper = read_tokenizer(model, ()), self.recipe.hyper()
        encoder = HEADS[self.task.head].encoder
        prepared = prepare(encoder, self.task, self.task.train, data, tokenizer, hyper)
        rows = _draw_rows(prepared.table["label"].to_numpy())
        bounds = np.cumsum([0, TRAIN, SEARCH, HELD_OUT])
        self.train, self.search, self.held_out = (
            EncodedDataset(prepared.table.take(rows[low:high]), prepared.padding)
            for low, high in itertools.pairwise(bounds)
        )
        splits = (self.train, self.search, self.held_out)
        self.vocabulary = reduce(np.union1d, (split.vocabulary() for split in splits))
        self.pretrained = read_pretrained(model, self.task, tokenizer, hyper)
        self.model = ReusableModel(torch.device("cpu"))

    def train_trial(self, trial: dict[str, Any]) -> dict[str, Any]:
        """Return a trial's settings, status, scores at its evaluations, and CPU seconds."""
        from raysearch.training import Job, Trainer, make_schedule

        began = time.process_time()
        point = {name: trial[name] for name in GRID}
        precision = PRECISIONS[trial["seed"]]
        hyper = self.recipe.hyper(**point, evaluations=1, precision=precision)
        schedule = make_schedule(hyper, len(self.train), FRACTIONS)
        job = Job(
            task=self.task,
            stage=self.recipe.stages[0],
            hyper=hyper,
            schedule=schedule,
            seed=trial["seed"],
            train=self.train,
            dev={"dev": self.search},
            select="last",
        )
        trainer = Trainer(
            job, self.model.model(self.pretrained, hyper, trial["seed"], self.vocabulary)
        )
        reports = list(trainer)
        held_out = trainer._predict(self.held_out)
        return {
            **trial,
            "steps": schedule.steps,
            "status": reports[-1].status,
            "at": [report.step for report in reports],
            "scores": [report.scores.get("dev.accuracy") for report in reports],
            "held_out": None if held_out is None else _accuracy(held_out, self.held_out.labels),
            "cpu_seconds": round(time.process_time() - began, 2),
        }


def _draw_rows(labels: Any) -> Any:
    """Return the indices of rows in random order, as many of either label in any even slice."""
    order = np.random.default_rng(DRAW).permutation(len(labels))
    by_label = [order[labels[order] == label] for label in (0, 1)]
    count = min(map(len, by_label))
    return np.stack([rows[:count] for rows in by_label], axis=1).reshape(-1)


def _accuracy(predictions: Any, labels: Any) -> float:
    return float(np.mean(predictions == labels))


def _recorded(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the trials of a file; an incomplete line, as an interruption leaves it, is none."""
    if path.suffix == ".parquet":
        from pyarrow import parquet

        yield from parquet.read_table(path).to_pylist()
        return
    for line in path.read_text().splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _key(trial: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(trial[name] for name in (*GRID, "seed"))


def record(
    model: str, data: Path, path: Path, part: int, parts: int, others: Sequence[Path] = ()
) -> None:
    """Train the trials of a part that its file and the others lack, and append each."""
    known = {_key(trial) for file in (path, *others) for trial in _recorded(file)}
    missing = [trial for trial in trials()[part::parts] if _key(trial) not in known]
    recorder = Recorder(model, data)
    for count, trial in enumerate(missing, 1):
        result = recorder.train_trial(trial)
        with path.open("a") as file:  # on a line of its own, also after one that was cut off
            file.write(f"\n{json.dumps(result)}\n")
        print(f"{count} of {len(missing)}: {result}", flush=True)


def write_table(paths: list[Path], to: Path) -> None:
    """Write all trials to a parquet file, a row each; a trial that is missing is told."""
    rows = {_key(trial): trial for path in paths for trial in _recorded(path)}
    print(f"{len(rows)} of {len(trials())} trials")
    parquet_of([rows[key] for key in sorted(rows)], to)


def parquet_of(rows: list[dict[str, Any]], to: Path) -> None:
    """Write trials to a parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), to, compression="zstd")


def main() -> None:
    """Record trials, or make the table of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--to", type=Path, help="file to which trials are appended")
    parser.add_argument("--part", default="0/1", help="which trials, for several processes: 0/2")
    parser.add_argument("--table", type=Path, help="write this parquet file of recorded files")
    parser.add_argument("recorded", nargs="*", type=Path)
    options = parser.parse_args()
    if options.table:
        write_table(options.recorded, options.table)
        return
    if not (options.model and options.data and options.to):
        parser.error("--model, --data and --to are needed")
    part, parts = map(int, options.part.split("/"))
    record(options.model, options.data, options.to, part, parts, options.recorded)


if __name__ == "__main__":
    main()
