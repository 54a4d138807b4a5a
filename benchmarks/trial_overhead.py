"""Seconds per trial of no work: a TorchTrainer started for each trial, against lanes.

    python benchmarks/trial_overhead.py [--trials 40] [--stock 3]

One step on eight rows with a one-layer model, evaluated on eight: what is left is the machinery.
Both are measured in one run, one trial at a time; a lane's first trial, which starts it, is left
out, as the stock pattern's share of it is not.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import raysearch
from raysearch import run_folder

HERE = Path(__file__).parent


def main() -> None:
    """Measure both and print them with their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40, help="through one lane")
    parser.add_argument("--stock", type=int, default=3, help="of the stock pattern")
    options = parser.parse_args()
    lane = lane_seconds(options.trials)
    command = [sys.executable, HERE / "stock_trial.py", "--trials", str(options.stock)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    stock = json.loads(printed.strip().splitlines()[-1])["mean_seconds"]
    mean = statistics.fmean(lane)
    print(f"stock pattern   {stock:8.3f} s a trial ({options.stock} trials)")
    print(f"lane            {mean:8.3f} s a trial ({len(lane)} trials after the first)")
    print(f"lane, median    {statistics.median(lane):8.3f} s")
    print(f"ratio           {stock / mean:8.0f}")


def lane_seconds(trials: int) -> list[float]:
    """Seconds between the ends of consecutive trials in one lane."""
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "RTE")
        study = raysearch.parse(
            {
                "tasks": ["glue/rte"],
                "model": "scratch:1x64",
                "space": {"LR": {"log": [1e-6, 1e-3]}},
                "fixed": {"BSZ": 8, "EPOCH": {"steps": 1}, "evaluations": 1, "max_length": 16},
                "search": {"sampler": "random", "trials": trials},
            }
        )
        lanes = raysearch.Lanes(count=1)
        done = raysearch.run(study, data=folder, storage=Path(folder) / "runs", lanes=lanes)
        records = run_folder.read_journal(done.folder).of("glue/rte")
    ends = sorted(record.ended for record in records)
    return [after - before for before, after in pairwise(ends)]


def write_rows(folder: Path) -> None:
    """Eight rows in RTE's format, for train and dev."""
    folder.mkdir(parents=True)
    rows = "".join(
        f"{n}\ta b c {n}\tc b a\t{('entailment', 'not_entailment')[n % 2]}\n" for n in range(8)
    )
    for name in ("train.tsv", "dev.tsv"):
        (folder / name).write_text("index\tsentence1\tsentence2\tlabel\n" + rows)


if __name__ == "__main__":
    main()
