"""Trials per hour with 1, 2, 4 and 8 lanes on each GPU, with and without MPS.

    python benchmarks/gpu_lanes.py [--data DATA] [--minutes 9]
    python benchmarks/gpu_lanes.py --small            # a tiny BERT on a CPU, to try the script

Each row is a run of the command: BERT-base with random weights, MRPC, 3 epochs, bf16, with
`raysearch run STUDY --lanes N --gpus-per-worker 1/N`. Without --data, the texts are made up, of
MRPC's lengths. Where `nvidia-cuda-mps-control` is there, it is started for the runs with MPS, and
ended after each.

trials/h: by the median time from one trial's start to the next in the same lane, the first of each
lane left out, so that neither the start of Ray nor its end counts. with start: trials by the whole
command's time. loss: mean of the last training losses of the first trials, which are the same in
every row.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from length_mixes import MIXES
from study_runs import run_study, write_bert

CONTROL = "nvidia-cuda-mps-control"
# (lanes on each GPU, whether with MPS), the important ones first.
FULL = ((1, False), (4, False), (4, True), (8, True), (8, False), (2, True), (2, False), (1, True))
SMALL = ((1, False), (2, False))
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = 11_000  # as many distinct tokens as MRPC has
COLUMNS = ("lanes", "MPS", "trials", "trials/h", "of one lane", "with start", "loss")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run showed.

    Attributes:
        lanes: on each GPU.
        mps: "yes", "no", or why it could not be.
        trials: the number of trials.
        per_hour: trials per hour while all lanes train; None if the run failed.
        with_start: trials per hour of the whole command.
        loss: mean of the last training losses of the first trials.
    """

    lanes: int
    mps: str
    trials: int = 0
    per_hour: float | None = None
    with_start: float = 0.0
    loss: float = 0.0


def main(arguments: list[str] | None = None) -> int:
    """Run the plan until the minutes are spent, and print a table; return 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with glue/MRPC and tokenizers")
    parser.add_argument("--minutes", type=float, default=9.0, help="that it may take")
    parser.add_argument("--trials", type=int, help="of each lane; by default 4, 2 with --small")
    parser.add_argument("--small", action="store_true", help="a tiny BERT, 1 and 2 lanes, CPU")
    options = parser.parse_args(arguments)
    devices = 0 if options.small else device_count()
    if not devices and not options.small:
        print("no GPU: --small tries the script on a CPU", file=sys.stderr)
        return 2
    each = options.trials or (2 if options.small else 4)
    began, slowest = time.monotonic(), 0.0
    results: list[Result] = []
    print(header(devices, sys.argv[1:] if arguments is None else arguments))
    print(f"\n| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder), options)
        plan = SMALL if options.small else FULL
        for index, (lanes, with_mps) in enumerate(plan):
            spent = time.monotonic() - began
            if spent + 1.2 * slowest > 60 * options.minutes:
                left = ", ".join(
                    f"{n} lanes {'with' if m else 'without'} MPS" for n, m in plan[index:]
                )
                print(f"\nLeft out, as the minutes were spent: {left}.")
                break
            results.append(measure(Path(folder), lanes, with_mps, devices, each))
            slowest = max(slowest, time.monotonic() - began - spent)
            print(row(results[-1], results[0]), flush=True)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return int(any(r.per_hour is None and r.mps in ("yes", "no") for r in results))


def device_count() -> int:
    """Return the number of GPUs."""
    import torch

    return torch.cuda.device_count()


def header(devices: int, arguments: list[str]) -> str:
    """Return what the numbers were measured with; it takes no memory of the GPU."""
    names = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    if devices:
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
            names = f"{', driver '.join(done.stdout.splitlines()[0].split(', '))}; {names}"
        except (OSError, subprocess.SubprocessError):
            names = f"a GPU that nvidia-smi does not name; {names}"
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "ray"))
    command_line = " ".join(["python benchmarks/gpu_lanes.py", *arguments])
    return f"- command: `{command_line}`\n- device: {devices} GPU, {names}\n- {versions}"


def measure(folder: Path, lanes: int, with_mps: bool, devices: int, each: int) -> Result:
    """Run the study once.

    Args:
        folder: with data and model.
        lanes: on each GPU.
        with_mps: whether a daemon of MPS runs meanwhile.
        devices: the number of GPUs; 0 for the CPU.
        each: the trials of each lane.
    """
    total = lanes * max(1, devices)
    options = lane_options(lanes, total, devices)
    if with_mps and shutil.which(CONTROL) is None:
        return Result(lanes=lanes, mps=f"no {CONTROL}")
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch)
        for name in ("data", "cache"):
            (run / name).symlink_to(folder / name)
        text = study(folder, each * total, devices)
        try:
            with mps(run) if with_mps else nullcontext({}) as environment:
                seconds, events = run_study(run, text, options, environment)
                used = with_mps and has_server(environment)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"failed: {lanes} lanes: {error}", file=sys.stderr)
            return Result(lanes=lanes, mps="yes" if with_mps else "no")
    return Result(
        lanes=lanes,
        mps="yes" if used else "started, but not used" if with_mps else "no",
        trials=each * total,
        per_hour=trials_per_hour(events),
        with_start=3600 * each * total / seconds,
        loss=mean_loss(events, each),
    )


def lane_options(lanes: int, total: int, devices: int) -> list[str]:
    """Return the options of `raysearch run` for so many lanes on each GPU, `total` in all."""
    cores = min(1.0, (os.cpu_count() or 1) / total)
    options = ["--lanes", str(total), "--cpus-per-worker", f"{max(0.1, cores):.2f}"]
    return [*options, "--gpus-per-worker", f"{1 / lanes:g}" if devices else "0"]


def study(folder: Path, trials: int, devices: int) -> str:
    """Return the study, without its tasks."""
    precision = "bf16" if devices else "fp32"
    return (
        f"model: {folder}/model\n"
        "space: {LR: {log: [1e-5, 1e-4]}}\n"
        f"fixed: {{BSZ: 32, EPOCH: 3, WARMUP: 0.1, evaluations: 3, max_length: 128, "
        f"precision: {precision}}}\n"
        f"search: {{sampler: random, trials: {trials}}}\n"
    )


@contextmanager
def mps(folder: Path) -> Iterator[dict[str, str]]:
    """Run a daemon of MPS of our own; give the variables by which processes find it."""
    environment = {
        "CUDA_MPS_PIPE_DIRECTORY": str(folder / "mps-pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(folder / "mps-log"),
    }
    for path in environment.values():
        Path(path).mkdir()
    subprocess.run([CONTROL, "-d"], env={**os.environ, **environment}, check=True, timeout=60)
    try:
        yield environment
    finally:
        control(environment, "quit")


def control(environment: dict[str, str], command: str) -> str:
    """Give a command to the daemon of MPS, and return its answer."""
    done = subprocess.run(
        [CONTROL], input=f"{command}\n", env={**os.environ, **environment}, text=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def has_server(environment: dict[str, str]) -> bool:
    """Return whether the daemon has started a server, as it does for its first process."""
    return bool(control(environment, "get_server_list"))


def trials_per_hour(events: list[dict[str, Any]]) -> float:
    """Return the trials per hour of all lanes together, see the script's docstring."""
    starts: dict[int, list[float]] = defaultdict(list)
    for event in events:
        if event["event"] == "attempt":
            starts[event["lane"]].append(event["at"])
    cycles = []
    for times in starts.values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        cycles += gaps[1:] or gaps
    return 3600 * len(starts) / statistics.median(cycles)


def mean_loss(events: list[dict[str, Any]], count: int) -> float:
    """Return the mean of the last training losses of the first `count` trials."""
    first = [e["trial"] for e in events if e["event"] == "trial" and e["number"] < count]
    last = {e["trial"]: e["loss"] for e in events if e["event"] == "report"}
    return statistics.mean(last[trial] for trial in first)


def row(result: Result, first: Result) -> str:
    """Return a row of the table; `first` is the run of one lane."""
    if result.per_hour is None:
        cells = ["", "failed" if result.mps in ("yes", "no") else "", "", "", ""]
    else:
        ratio = f"{result.per_hour / first.per_hour:.2f}" if first.per_hour else "-"
        rates = f"{result.per_hour:,.0f}", ratio, f"{result.with_start:,.0f}"
        cells = [str(result.trials), *rates, f"{result.loss:.4f}"]
    return f"| {' | '.join([str(result.lanes), result.mps, *cells])} |"


def write_inputs(folder: Path, options: argparse.Namespace) -> None:
    """Write data and model into a folder."""
    (folder / "cache").mkdir()
    rows = folder / "data" / "MRPC"
    rows.mkdir(parents=True)
    shape = {}
    if options.small:
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        shape["intermediate_size"] = 64
    if options.data is None:
        count = (96, 32) if options.small else (3668, 408)
        write_made_up(rows, *count)
        words = [*SPECIAL, *(f"w{n}" for n in range(WORDS))]
    else:
        for name in ("train.tsv", "dev.tsv"):
            shutil.copyfile(options.data / "glue" / "MRPC" / name, rows / name)
        path = options.data / "tokenizers" / "bert-base-uncased" / "vocab.txt"
        words = path.read_text(encoding="utf-8").splitlines()
    write_bert(folder / "model", words, **shape)


def write_made_up(folder: Path, train: int, dev: int) -> None:
    """Write pairs of made-up sentences in MRPC's format, of its lengths; equal ones are 1."""
    draw = np.random.default_rng(0)
    for name, count in (("train.tsv", train), ("dev.tsv", dev)):
        lengths = np.maximum(MIXES["MRPC"].draw(count, seed=len(name)) - 3, 2) // 2  # [CLS], [SEP]
        lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        for index, length in enumerate(lengths):
            first, other = (
                " ".join(f"w{n}" for n in draw.integers(0, WORDS, length)) for _ in range(2)
            )
            label = int(draw.integers(0, 2))
            lines.append(f"{label}\t{index}\t{index}\t{first}\t{first if label else other}")
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
