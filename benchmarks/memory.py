"""How much the worker of a lane grows over a study of short trials.

    python benchmarks/memory.py [--trials 200]

Trials differ in BSZ, LR and dropout, so that the model is set back and built anew in between.
The worker's resident memory is read after every trial; growth is from the 20th to the last.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trial_overhead import write_rows

import raysearch
from raysearch.run_folder import Record
from raysearch.search.null_progress import NullProgress

SETTLED = 20


class Watch(NullProgress):
    """Reads the worker's memory whenever a trial ends."""

    sizes: tuple[int, ...] = ()

    def __init__(self, queue: Any, lanes: Callable[[], int]) -> None:
        Watch.sizes = ()

    def change(self, record: Record) -> None:
        """Note the size in KiB."""
        if record.is_over:
            Watch.sizes += (worker_memory(),)


def worker_memory() -> int:
    """Resident memory of the one Ray Train worker on this machine, KiB."""
    for folder in Path("/proc").iterdir():
        try:
            if b"ray::RayTrainWorker" in (folder / "cmdline").read_bytes():
                lines = (folder / "status").read_text().splitlines()
                return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        except (OSError, StopIteration):
            continue
    raise SystemExit("no worker found")


def main() -> None:
    """Run the study and print the growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "RTE")
        study = raysearch.parse(
            {
                "tasks": ["glue/rte"],
                "model": "scratch:2x128",
                "space": {
                    "LR": {"log": [1e-6, 1e-3]},
                    "BSZ": {"choice": [2, 4, 8]},
                    "dropout": {"choice": [0.0, 0.1]},
                },
                "fixed": {"EPOCH": {"steps": 5}, "evaluations": 2, "max_length": 16},
                "search": {"sampler": "random", "trials": options.trials},
            }
        )
        lanes = raysearch.Lanes(count=1)
        raysearch.run(study, data=folder, storage=os.path.join(folder, "runs"), lanes=lanes,
                      watch=Watch)  # fmt: skip
    first, last = Watch.sizes[SETTLED], Watch.sizes[-1]
    print(f"after {SETTLED} trials  {first / 1024:.1f} MiB")
    print(f"after {len(Watch.sizes)} trials {last / 1024:.1f} MiB")
    print(f"growth           {100 * (last / first - 1):.2f} %")


if __name__ == "__main__":
    main()
