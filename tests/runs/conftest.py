"""One Ray, and one finished run, for all tests of this folder that do not start their own."""

import os
import time
from collections.abc import Iterator

import pytest
import ray
from support.callbacks import CallLog
from support.processes import descendants

import raysearch
from raysearch.search.ray_cluster import connect

TASK = "toy/grammar"


def toy_study(**changes: object) -> raysearch.Study:
    """Trials of about two seconds on one core, some of which learn the grammar."""
    raw = {
        "tasks": [TASK],
        "model": "scratch:2x64",
        "space": {"BSZ": {"choice": [32, 64]}, "LR": {"log": [5e-4, 2e-3]}},
        "fixed": {"EPOCH": 3, "max_length": 32, "evaluations": 2},
        "search": {"trials": 4, "stop_early": {"at": [0.5], "keep": 0.5}},
        "confirm": {"top": 1, "seeds": [11, 12]},
    } | changes
    return raysearch.parse(raw, name="toy")


@pytest.fixture(scope="package")
def shared_ray() -> Iterator[None]:
    """A run uses the Ray that is there and leaves it as it was."""
    with connect(None):
        yield


@pytest.fixture
def free_cores(shared_ray: None) -> Iterator[None]:
    """After a run, however it ended, every core is free for the next, and its broker is gone."""
    yield
    deadline = time.monotonic() + 60
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline, ray.util.placement_group_table()
        time.sleep(0.2)
    while list(descendants(os.getpid(), "ray::TrialBroker")):
        assert time.monotonic() < deadline, "the broker of a run that has ended"
        time.sleep(0.2)


@pytest.fixture(scope="package")
def live_calls() -> CallLog:
    """The calls of a callback of the finished run."""
    return CallLog()


@pytest.fixture(scope="package")
def done(
    shared_ray: None, tmp_path_factory: pytest.TempPathFactory, live_calls: CallLog
) -> raysearch.Run:
    """A search with a published row that was made up, and with its confirmation."""
    published = {
        "row": "Made up",
        "source": "this test",
        "results": {TASK: {"scores": {"accuracy": 50.0}}},
    }
    study = toy_study(published=[published], deviations=["The source has another grammar."])
    return raysearch.run(study, storage=tmp_path_factory.mktemp("runs"), callbacks=[live_calls])
