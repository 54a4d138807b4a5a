"""What `check --forecast` says, against what the trials then take.

    python benchmarks/forecast.py DATA MODEL [--tasks glue/rte,glue/mrpc,glue/sst2] [--run FOLDER]

The forecast times some steps of each task; then every trial that the search begins is trained whole
in this process, as a worker would. Both are in CPU seconds of one thread, so that other programs on
the machine change little; the wall time that the CPU seconds took says how busy it was. With --run
the study is run with Ray as well: its device hours are wall time, and so is that forecast.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch

from raysearch import study as studies
from raysearch.forecast import StudyForecast, forecast
from raysearch.forecast.forecast import LocalPreparation, search_points
from raysearch.forecast.timing import vocabulary_of
from raysearch.models import ReusableModel
from raysearch.preflight import Lanes
from raysearch.recipes.schedule import make_schedule
from raysearch.study import Configuration, Study, TaskStudy
from raysearch.training import Job, Trainer
from raysearch.workers.remote_text import open_split
from raysearch.workers.trial_setup import scored_splits

TASKS = "glue/rte,glue/mrpc,glue/sst2"


def small_study(tasks: list[str], model: str, trials: int) -> Study:
    """Return a study of short trials, whose batch size is searched."""
    space = {"LR": {"log": [1e-5, 1e-4]}, "BSZ": {"choice": [4, 8]}}
    fixed = {"EPOCH": {"steps": 24}, "evaluations": 2, "max_length": 64, "dev_examples": 60}
    search = {"sampler": "random", "trials": trials, "keep_predictions": "none"}
    raw = {"name": "forecast", "tasks": tasks, "model": model, "space": space}
    return studies.parse({**raw, "fixed": {**fixed, "precision": "fp32"}, "search": search})


def train(
    task: TaskStudy, point: Configuration, data: dict[str, Any], model: ReusableModel
) -> float:
    """Train a trial whole, and return its CPU seconds."""
    hyper, seed = task.hyperparameters(point), task.study.search.seed
    names = list(data["splits"])
    examples: Any = open_split(*data["splits"][names[0]])
    dev = {name: open_split(*data["splits"][name]) for name in names[1:]}
    job = Job(
        task=task.row,
        stage=task.recipe.stage_of(hyper),
        hyper=hyper,
        schedule=make_schedule(hyper, len(examples)),
        seed=seed,
        train=examples,
        dev=scored_splits(dev, hyper),
        keep_best=True,
    )
    start = model.model(data["pretrained"], hyper, seed, vocabulary_of(data))
    begin = time.process_time()
    for _ in Trainer(job, start):
        pass
    return time.process_time() - begin


def compare(study: Study, data: Path) -> None:
    """Print forecast and outcome of each task in CPU seconds."""
    torch.set_num_threads(1)
    begin, wall = time.process_time(), time.perf_counter()
    said = forecast(study, data, Lanes(count=1), clock=time.process_time)
    spent, took = time.process_time() - begin, time.perf_counter() - wall
    print(f"forecast: {spent:.0f} CPU s in {took:.0f} s, load {os.getloadavg()[0]:.1f}")
    preparation = LocalPreparation(study, data, lambda line: None)
    print("| task | trials | forecast, s a trial | taken, s a trial | difference |")
    print("| --- | ---: | ---: | ---: | ---: |")
    wall = time.perf_counter()
    total = 0.0
    for one, (name, points) in zip(said.tasks, search_points(study), strict=True):
        prepared, model = preparation.data_of(name), ReusableModel(torch.device("cpu"))
        task = study.resolve(name)
        seconds = [train(task, point, prepared, model) for point in points]
        total += sum(seconds)
        ours, theirs = sum(one.search) / len(points), sum(seconds) / len(points)
        row = f"{len(points)} | {ours:.2f} | {theirs:.2f} | {100 * (ours / theirs - 1):+.0f} %"
        print(f"| {name} | {row} |", flush=True)
    took = time.perf_counter() - wall
    print(f"trials: {total:.0f} CPU s in {took:.0f} s, load {os.getloadavg()[0]:.1f}")


def compare_run(study: Study, data: Path, folder: Path) -> None:
    """Print forecast and outcome of a run with Ray on one lane, in wall time."""
    from raysearch.search import run

    before: StudyForecast = forecast(study, data, Lanes(count=1))
    print(f"load at the forecast {os.getloadavg()[0]:.1f}")
    result = run(study, data=data, storage=folder, lanes=1)
    print(f"load after the run {os.getloadavg()[0]:.1f}")
    print("| task | forecast, device s | taken, device s | difference |")
    print("| --- | ---: | ---: | ---: |")
    for one in before.tasks:
        taken = sum(record.device_hours for record in result.records.of(one.task)) * 3600
        said = one.device_hours * 3600
        row = f"{said:.1f} | {taken:.1f} | {100 * (said / taken - 1):+.0f} %"
        print(f"| {one.task} | {row} |")


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--run", type=Path, default=None)
    options = parser.parse_args()
    study = small_study(options.tasks.split(","), options.model, options.trials)
    if options.run is None:
        compare(study, options.data)
    else:
        compare_run(study, options.data, options.run)


if __name__ == "__main__":
    main()
