"""Steps of fine-tuning on one GPU: raysearch against transformers' Trainer, beside the floors.

    python benchmarks/gpu.py [--data DATA] [--minutes 8.5]
    python benchmarks/gpu.py --small                        # tiny, on a CPU, to try the script

It prints one table in Markdown: a row for each shape of model, mix of lengths and precision, the
important ones first, until the minutes are spent. It needs torch, transformers, accelerate,
pyarrow, pydantic and sentencepiece, but neither Ray nor Optuna. Weights and tokens are random;
lengths are those of the tasks' files, or of the quantiles in length_mixes.py.

Each row runs raysearch, Trainer, Trainer, raysearch. The Trainer has its best flags:
`group_by_length`, sdpa, fused AdamW, pinned memory. Where host and kernels differ much, a captured
graph could bring the step down to the kernels' time. Then: the same steps as captured graphs, and
whether their losses are the same; a pass without padding beside a padded one; the loss with less
precision beside that of tf32; and a step whose micro-batches are halved because memory runs out.
"""

import argparse
import itertools
import math
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from gpu_cases import (
    FULL,
    PRECISIONS,
    SHAPES,
    SMALL,
    Lengths,
    Scale,
    Work,
    free_memory,
    make_case,
    read_lengths,
    use_tf32,
    work_of,
)
from gpu_extras import halving, loss_curves
from gpu_graphs import graphs
from gpu_unpadded import unpadded
from length_mixes import MIXES
from step_loops import StepCase, StepTimes, Unavailable, profile_once, time_ours, time_theirs

from raysearch.workers.machine import UNKNOWN, worker_facts

FIRST = (
    ("BERT-base", "MRPC", "bf16"),
    ("RoBERTa-large", "RACE", "bf16"),
    ("BERT-base", "MNLI", "bf16"),
    ("RoBERTa-large", "SQuAD", "bf16"),
    ("BERT-base", "MRPC", "fp16"),
    ("BERT-base", "MRPC", "tf32"),
    ("BERT-base", "MRPC", "fp32"),
    ("XLM-R-base", "MNLI", "bf16"),
    ("DeBERTa-v3-base", "MNLI", "bf16"),
    ("RoBERTa-base", "MNLI", "bf16"),
)
REST = ("bf16", "fp16", "tf32")
EXTRAS = 120.0  # seconds that are kept for what follows the table
COLUMNS = ("shape", "lengths", "precision", "ms", "host ms", "kernel ms", "examples/s",
           "tokens/s", "ratio", "peak GiB", "process GiB", "matmul ms", "AdamW ms", "floor",
           "spread")  # fmt: skip
NOTES = """\
Pairs are raysearch / Trainer. ms: a step, by CUDA events over {timed} steps that run without a
pause; on a CPU its CPU time. host ms: until the host has queued a step on an idle device, with what
the step itself waits for the device. kernel ms: the step's kernels and copies. tokens/s: without
padding; "ratio" is that of both. peak GiB: tensors. process GiB: what a lane takes of the device,
the CUDA context included. matmul ms, AdamW ms: floors, the step's operations at the rates above.
floor: both as a share of raysearch's step. spread: the larger difference of a loop's two runs."""

Cell = tuple[str, str, str]  # shape, lengths, precision
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What the device does at most.

    Attributes:
        flop: precision -> operations per second of a large matrix product.
        bytes: per second, read and written by a large copy.
    """

    flop: dict[str, float]
    bytes: float


def main(arguments: list[str] | None = None) -> int:
    """Measure until the time is spent; return 1 if something failed."""
    options = _parse(arguments)
    began, scale = time.monotonic(), SMALL if options.small else FULL
    device = torch.device("cuda" if torch.cuda.is_available() and not options.small else "cpu")
    if device.type == "cpu" and not options.small:
        print("no GPU: --small tries the script on a CPU", file=sys.stderr)
        return 2
    if device.type == "cpu":
        torch.set_num_threads(1)
    for line in header(device, options):
        print(line)
    lengths = {name: read_lengths(name, options.data) for name in options.lengths}
    for name, mix in lengths.items():
        print(f"- lengths of {name}: {mix.source}")
    rates = measure_rates(device, scale)
    if device.type == "cuda":
        profile_once()
    for line in rate_lines(rates):
        print(line)
    print(f"\n| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    limit = 60 * options.minutes - EXTRAS
    table = Table(lengths, scale, device, rates)
    left_out = table.run(wanted(options), lambda: limit - (time.monotonic() - began))
    print("\n" + NOTES.format(timed=scale.phases.timed) + "\n")
    if left_out:
        print(f"Left out, as the minutes were spent: {', '.join(left_out)}.")
    for extra in (graphs, unpadded, loss_curves, halving):
        failed, text = guarded(lambda run=extra: run(lengths, scale, device))
        if failed:
            table.failures.append(f"{extra.__name__}: {failed}")
        print(text or f"{extra.__name__} failed", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    for failure in table.failures:
        print(f"failed: {failure}")
    return 1 if table.failures else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with glue, squad, race, tokenizers")
    parser.add_argument("--minutes", type=float, default=8.5, help="that it may take")
    parser.add_argument("--small", action="store_true", help="tiny models, few steps, on the CPU")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--lengths", nargs="+", default=list(MIXES), choices=list(MIXES))
    parser.add_argument(
        "--precisions", nargs="+", default=list(PRECISIONS), choices=list(PRECISIONS)
    )
    options = parser.parse_args(arguments)
    options.command = " ".join(["python benchmarks/gpu.py", *(arguments or sys.argv[1:])])
    return options


def wanted(options: argparse.Namespace) -> list[Cell]:
    """Return the rows that the options leave, the most important first."""
    rest = itertools.product(REST, MIXES, SHAPES)
    order = dict.fromkeys((*FIRST, *((shape, mix, kind) for kind, mix, shape in rest)))
    return [
        (shape, mix, precision)
        for shape, mix, precision in order
        if shape in options.shapes and mix in options.lengths and precision in options.precisions
    ]


def header(device: torch.device, options: argparse.Namespace) -> Iterator[str]:
    """Yield what the numbers were measured with."""
    facts, name = worker_facts(), "CPU, one thread"
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)}, driver {driver(facts)}, CUDA {facts['cuda']}"
    yield f"- command: `{options.command}`"
    yield f"- device: {name}; {facts['cores']} cores, {facts['cpu']}"
    yield f"- torch {torch.__version__}, transformers {transformers.__version__}"


def driver(facts: dict[str, Any]) -> str:
    """Return the driver's version, from the kernel or from nvidia-smi."""
    if facts["driver"] != UNKNOWN:
        return str(facts["driver"])
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return done.stdout.strip().splitlines()[0]


def measure_rates(device: torch.device, scale: Scale) -> Rates:
    """Return the rates of a large matrix product in each precision, and of a large copy."""
    types = {"bf16": torch.bfloat16, "fp16": torch.float16}
    flop = {}
    for precision in PRECISIONS:
        use_tf32(precision)
        dtype = types.get(precision, torch.float32)
        a, b = (torch.randn(scale.matrix, scale.matrix, device=device).to(dtype) for _ in "ab")
        flop[precision] = 2 * scale.matrix**3 / seconds_of(lambda a=a, b=b: a @ b, device)
    source = torch.ones(scale.copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = seconds_of(lambda: target.copy_(source), device)
    return Rates(flop=flop, bytes=2 * scale.copied / copy)


def rate_lines(rates: Rates) -> Iterator[str]:
    """Yield the rates of the device as text."""
    products = ", ".join(f"{n} {rate / 1e12:.3g}" for n, rate in rates.flop.items())
    yield f"- matrix product, TFLOP/s: {products}; copy: {rates.bytes / 1e12:.3g} TB/s"


def seconds_of(call: Callable[[], Any], device: torch.device) -> float:
    """Return the median seconds of a call, after three that warm up."""
    seconds = []
    for _ in range(13):
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[3:])


def guarded(call: Callable[[], T]) -> tuple[str, T | None]:
    """Call a function; return what went wrong, "" if nothing did, and its value.

    The traceback is printed: what fails must not end the rest.
    """
    try:
        return "", call()
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}".splitlines()[0], None


class Table:
    """The rows of the table, measured one after another.

    Args:
        lengths: name of a mix -> its lengths.
        scale: how large things are.
        device: what is measured.
        rates: of the device.

    Attributes:
        failures: what failed, a line each.
    """

    def __init__(
        self, lengths: dict[str, Lengths], scale: Scale, device: torch.device, rates: Rates
    ) -> None:
        self.lengths, self.scale, self.device, self.rates = lengths, scale, device, rates
        self.failures: list[str] = []

    def run(self, cells: list[Cell], seconds_left: Callable[[], float]) -> list[str]:
        """Print a row for each cell for which time is left; return the names of the others."""
        skipped = []
        for cell in cells:
            name, least = " ".join(cell), self._seconds(Work(flop=0, bytes=0), cell[2])
            if seconds_left() < least:
                skipped.append(name)
                continue
            failed, printed = guarded(lambda cell=cell: self._print(cell, seconds_left()))
            if failed:
                self.failures.append(f"{name}: {failed}")
            elif not printed:
                skipped.append(name)
            free_memory(self.device)
        return skipped

    def _print(self, cell: Cell, seconds: float) -> bool:
        """Print the row of a cell; return False if it needs more than so many seconds."""
        shape, mix, precision = cell
        use_tf32(precision)
        case = make_case(shape, self.lengths[mix], precision, self.scale, self.device)
        work = work_of(case)
        if self._seconds(work, precision) > seconds:
            return False
        ours, theirs, spread = compare(case)
        cells = [*cell, *_measured_cells(case, ours, theirs)]
        cells += [*self._floor_cells(work, precision, ours), f"{100 * spread:.1f} %"]
        print(f"| {' | '.join(cells)} |", flush=True)
        return True

    def _seconds(self, work: Work, precision: str) -> float:
        """Return about how many seconds a row takes: four runs at a third of the floor's rate.

        Ten seconds more are for building the models. On a CPU it is not known.
        """
        if self.device.type == "cpu":
            return 0.0
        step = max(0.05, 3 * work.flop / self.rates.flop[precision])
        return 10 + 4 * self.scale.phases.total * step

    def _floor_cells(self, work: Work, precision: str, ours: StepTimes) -> list[str]:
        matmul = 1e3 * work.flop / self.rates.flop[precision]
        update = 1e3 * work.bytes / self.rates.bytes
        share = (matmul + update) / ours.step_ms
        return [f"{matmul:.2f}", f"{update:.2f}", f"{100 * share:.0f} %"]


def compare(case: StepCase) -> tuple[StepTimes, StepTimes | str, float]:
    """Run both loops, A B B A.

    Returns:
        The times of raysearch; of the Trainer, or why there are none; and the larger of the
        differences of a loop's two runs, as a share of their mean.
    """
    runs: dict[str, list[StepTimes]] = {"ours": [], "theirs": []}
    reason = ""
    for way in ("ours", "theirs", "theirs", "ours"):
        if way == "theirs" and reason:
            continue
        free_memory(case.device)
        try:
            runs[way].append(time_ours(case) if way == "ours" else time_theirs(case))
        except Unavailable as error:
            reason = str(error)
        except torch.OutOfMemoryError:
            if way == "ours":
                raise
            reason = "out of memory"
    means = {way: mean_times(times) for way, times in runs.items() if times}
    spread = max(
        abs(times[0].step_ms - times[-1].step_ms) / means[way].step_ms
        for way, times in runs.items()
        if times
    )
    return means["ours"], reason or means["theirs"], spread


def mean_times(times: list[StepTimes]) -> StepTimes:
    """Return the means of several runs; of memory, the maximum."""
    result = {}
    for item in fields(StepTimes):
        values = [getattr(x, item.name) for x in times]
        merge = max if item.name.endswith("gib") else statistics.mean
        result[item.name] = None if None in values else merge(values)
    return StepTimes(**result)


def _measured_cells(case: StepCase, ours: StepTimes, theirs: StepTimes | str) -> list[str]:
    """Return the cells of what both loops took."""
    batch = case.hyper["BSZ"]

    def pair(number: Callable[[StepTimes], float | None], form: str) -> str:
        other = "-" if isinstance(theirs, str) else _cell(number(theirs), form)
        return f"{_cell(number(ours), form)} / {other}"

    def tokens(times: StepTimes) -> float:
        return 1e3 * times.tokens / times.step_ms

    ratio = None if isinstance(theirs, str) else tokens(ours) / tokens(theirs)
    return [
        f"{ours.step_ms:.1f} / {theirs}"
        if isinstance(theirs, str)
        else pair(lambda x: x.step_ms, ".1f"),
        pair(lambda x: x.host_ms, ".1f"),
        pair(lambda x: x.kernel_ms, ".2f"),
        pair(lambda x: 1e3 * batch / x.step_ms, ",.0f"),
        pair(tokens, ",.0f"),
        _cell(ratio, ".2f"),
        pair(lambda x: x.peak_gib, ".1f"),
        _cell(ours.process_gib, ".1f"),
    ]


def _cell(value: float | None, form: str) -> str:
    """Return a number as text; "-" where the device does not tell it."""
    return "-" if value is None or math.isnan(value) else f"{value:{form}}"


if __name__ == "__main__":
    sys.exit(main())
