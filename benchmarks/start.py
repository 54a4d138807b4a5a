"""What it takes until a command has answered, and until a run has made its first optimizer step.

`python benchmarks/start.py` compares two starts in turn, A B B A ...:

- A: `import torch, transformers, ray` and `ray.init` as a run starts it;
- B: `raysearch run` on a study of one trial of one step, until its report is in the journal. That
  is the first optimizer step, a score of a few examples and the way back to the driver.

With `--model FOLDER` the study is of a pretrained model instead of one from scratch.

The seconds are those of the clock, and of the CPU over all processes that were started.
`python benchmarks/start.py --commands` compares the commands that only show something with
`python -c pass`: CPU seconds until they have ended.
"""

import argparse
import ctypes
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
STUDY = """
tasks: [toy/grammar]
model: {model}
fixed: {{EPOCH: {{steps: 1}}, max_length: 32, dev_examples: 32}}
search: {{trials: 1}}
"""
IMPORTS = """
import torch, transformers, ray
ray.init(address="local", num_cpus=len(os.sched_getaffinity(0)), include_dashboard=False,
         log_to_driver=False, logging_level=40)
"""
READY = "open(sys.argv[1], 'w').close(); time.sleep(600)"
COMMAND = "import sys; from raysearch.cli import main; sys.argv[0] = 'raysearch'; main()"
COMMANDS = (
    ("--help",),
    ("list", "tasks"),
    ("list", "hyperparameters"),
    ("list", "studies"),
    ("check", "quickstart"),
    ("check", "roberta-glue"),
)
TICKS = os.sysconf("SC_CLK_TCK")
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: processes whose parent has ended become ours
LIMIT = 300.0  # seconds that a start may take


def fields(process: str) -> list[int]:
    """Return the parent, and the ticks of a process and of its children that have ended."""
    values = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return [int(values[1]), *map(int, values[11:15])]


def cpu_seconds() -> float:
    """Return the CPU seconds of all descendants of this process so far."""
    processes: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            processes[int(name)] = fields(name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    own = os.getpid()
    ticks = sum(processes[own][3:])
    for process in processes:
        parent = process
        while parent in processes and parent != own:
            parent = processes[parent][0]
        if parent == own and process != own:
            ticks += sum(processes[process][1:])
    return ticks / TICKS


def end_children() -> None:
    """End what was started, and wait for it."""
    own = os.getpid()
    while True:
        children = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                children += [int(name)] if fields(name)[0] == own else []
            except (FileNotFoundError, ProcessLookupError):
                continue
        if not children:
            return
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def start(command: list[str], folder: Path, ready: Callable[[], bool]) -> tuple[float, float]:
    """Return the seconds of the clock and of the CPU until a command is ready; then end it."""
    before, began = cpu_seconds(), time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment())
    while not ready():
        if process.poll() or time.monotonic() - began > LIMIT:
            seconds = time.monotonic() - began
            raise SystemExit(f"not ready after {seconds:.0f} s:\n{(folder / 'log').read_text()}")
        time.sleep(0.02)
    seconds, cpu = time.monotonic() - began, cpu_seconds() - before
    end_children()
    return seconds, cpu


def environment() -> dict[str, str]:
    """Return the environment of what is measured: this checkout, bytecode that is kept."""
    values = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    return values


def imports_and_ray(folder: Path) -> tuple[float, float]:
    """Measure A."""
    ready = folder / "ready"
    code = f"import os, sys, time\n{IMPORTS}\n{READY}"
    return start([sys.executable, "-c", code, str(ready)], folder, ready.exists)


def first_step(folder: Path, model: str) -> tuple[float, float]:
    """Measure B."""
    (folder / "one.yaml").write_text(STUDY.format(model=model))
    journal = folder / "runs" / "one" / "journal.jsonl"

    def reported() -> bool:
        return journal.exists() and '"report"' in journal.read_text()

    return start([sys.executable, "-c", COMMAND, "run", "one.yaml"], folder, reported)


def in_new_folder(measure: Callable[[Path], tuple[float, float]]) -> tuple[float, float]:
    """Measure in a folder of its own, in which Ray keeps its files too."""
    folder = Path(tempfile.mkdtemp(prefix="start-"))
    try:
        return measure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def compare_starts(rounds: int, model: str) -> None:
    """Print A, B and their ratio."""
    measures = {"A": imports_and_ray, "B": partial(first_step, model=model)}
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in measures}
    for measure in measures.values():  # files are read into memory, bytecode is written
        in_new_folder(measure)
    for index in range(rounds):
        for name in "AB" if index % 2 == 0 else "BA":
            results[name].append(in_new_folder(measures[name]))
            print(name, *(f"{x:.2f}" for x in results[name][-1]), file=sys.stderr, flush=True)
    for column, what in enumerate(("clock", "CPU")):
        a, b = ([one[column] for one in results[name]] for name in "AB")
        ratios = [y / x for x, y in zip(a, b, strict=True)]
        print(f"{what:5}  A {spread(a)}   B {spread(b)}   B/A {spread(ratios)}")


def compare_commands(rounds: int) -> None:
    """Print the CPU seconds of each command beyond those of bare Python."""
    commands = {"python -c pass": ["-c", "pass"]}
    for words in COMMANDS:
        commands[f"raysearch {' '.join(words)}"] = ["-c", COMMAND, *words]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for index in range(rounds + 1):
        for name, arguments in commands.items():
            before = cpu_seconds()
            subprocess.run(
                [sys.executable, *arguments],
                stdout=subprocess.DEVNULL,
                env=environment(),
                check=True,
            )
            if index:  # the first time writes bytecode
                seconds[name].append(cpu_seconds() - before)
    bare = statistics.median(seconds["python -c pass"])
    for name, values in seconds.items():
        print(f"{name:32} {spread(values)}   beyond Python {statistics.median(values) - bare:5.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--commands", action="store_true")
    parser.add_argument("--model", default="scratch", help="a folder, its full path")
    options = parser.parse_args()
    if ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0):
        raise SystemExit("this needs Linux")
    if options.commands:
        compare_commands(options.rounds)
    else:
        compare_starts(options.rounds, options.model)
