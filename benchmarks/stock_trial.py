"""What a trial that does no work costs with Ray's stock pattern: a TorchTrainer for every trial.

One trial at a time, one worker on one core each: python benchmarks/stock_trial.py --trials 3
"""

import argparse
import contextlib
import itertools
import json
import os
import sys
import tempfile
import time
from typing import Any

import ray
import ray.train
import ray.tune
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback


class Finishes(ray.tune.Callback):
    """Notes when each trial finished."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.times.append(time.monotonic())


def work(config: dict[str, Any]) -> None:
    ray.train.report({"score": config["x"]})


def drive(config: dict[str, Any]) -> None:
    TorchTrainer(
        work,
        train_loop_config=config,
        scaling_config=ray.train.ScalingConfig(num_workers=1),
        run_config=ray.train.RunConfig(
            name=f"train-{ray.tune.get_context().get_trial_id()}",
            storage_path=config["storage"],
            callbacks=[TuneReportCallback()],
        ),
    ).fit()


def run(trials: int, storage: str) -> dict[str, Any]:
    ray.init(address="local", num_cpus=2)
    finishes = Finishes()
    started = time.monotonic()
    results = ray.tune.Tuner(
        ray.tune.with_resources(drive, {"CPU": 0.01}),
        param_space={"x": ray.tune.uniform(0, 1), "storage": storage},
        tune_config=ray.tune.TuneConfig(num_samples=trials, max_concurrent_trials=1),
        run_config=ray.tune.RunConfig(name="tune", storage_path=storage, callbacks=[finishes]),
    ).fit()
    ray.shutdown()
    if results.errors or any("score" not in result.metrics for result in results):
        raise SystemExit(f"a trial failed or did not report: {results.errors}")
    seconds = [b - a for a, b in itertools.pairwise([started, *finishes.times])]
    return {
        "trials": trials,
        "mean_seconds": round(sum(seconds) / len(seconds), 2),
        "trial_seconds": [round(one, 2) for one in seconds],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3)
    count = parser.parse_args().trials
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    folder = tempfile.TemporaryDirectory(prefix="stock_trial_")
    with folder as storage, contextlib.redirect_stdout(sys.stderr):
        cost = run(count, storage)
    print(json.dumps(cost))
