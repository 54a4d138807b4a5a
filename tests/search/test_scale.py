"""The driver's work per trial does not grow with the trials or the lanes of a study."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.slow

OPTIONS = {
    "sampler": "random",
    "trials": 110,
    "lanes": 4,
    "weights": False,
    "stop_early": False,
    "ray": False,
    "journal": True,
    "profile": None,
    "profile_export": None,
}


@pytest.fixture
def scale(monkeypatch):
    """Return the benchmark, whose journals do not wait for the disk."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr("os.fsync", lambda file: None)
    import scale

    return scale


@pytest.fixture
def calls(monkeypatch, scale):
    """Let the benchmark count calls of functions in place of CPU seconds: they do not vary."""
    import driver_costs

    count = 0

    def on_event(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    clock = SimpleNamespace(perf_counter=lambda: 0.0, process_time=lambda: count)
    monkeypatch.setattr(driver_costs, "time", clock)
    sys.setprofile(on_event)
    yield
    sys.setprofile(None)


def drive(scale, folder: Path, **options):
    """Return what the driver has spent at the end of each trial of a study."""
    options = SimpleNamespace(**{**OPTIONS, **options})
    session = scale.make_session(folder, options)
    try:
        return scale.run_trials(session, options)
    finally:
        session.journal.close()


def calls_per_trial(ends, first: int, last: int) -> float:
    own = [costs.cpu - costs.optuna for costs in ends]
    return (own[last] - own[first]) / (last - first)


def test_the_benchmark_prints_what_a_study_costs(scale, tmp_path, capsys) -> None:
    scale.simulate(tmp_path / "run", SimpleNamespace(**OPTIONS))
    printed = capsys.readouterr().out
    assert "116/116 trials" in printed
    assert "ms of CPU per trial, and" in printed
    assert "largest memory" in printed
    assert len(scale.journal_hash(tmp_path / "run")) == 16


@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_a_late_trial_costs_what_an_early_one_does(scale, calls, tmp_path, sampler: str) -> None:
    ends = drive(scale, tmp_path / "run", sampler=sampler, trials=500)
    early, late = calls_per_trial(ends, 20, 70), calls_per_trial(ends, 430, 480)
    assert late < 1.02 * early  # one more look at each record makes it 1.1


def test_a_trial_costs_the_same_beside_few_and_many_others(scale, calls, tmp_path) -> None:
    few, many = (drive(scale, tmp_path / f"{n}", lanes=n, trials=300) for n in (4, 100))
    assert calls_per_trial(many, 150, 200) < 1.1 * calls_per_trial(few, 150, 200)
