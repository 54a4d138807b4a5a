"""The recording of trials and the replay of searches over them, on a toy table."""

import importlib
import itertools
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from pyarrow import parquet
from support.paths import ROOT

BENCHMARKS = ROOT / "benchmarks"
RATES = (1e-5, 1e-4, 1e-3)


@pytest.fixture(scope="module")
def scripts():
    """The scripts as modules, by name."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        names = ("early_stopping", "record_trials", "search_replay")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(BENCHMARKS))


def toy_trial(rate, size, seed=1, top=None, **changes):
    """A trial of 64 examples that climbs from 0.5 to its top; the rate 1e-4 is the best."""
    top = {1e-5: 0.6, 1e-4: 0.9, 1e-3: 0.7}[rate] if top is None else top
    steps = 64 // size
    at = [max(1, int(steps * f)) for f in (0.125, 0.25, 0.5, 0.75)] + [steps]
    scores = [0.5 + (top - 0.5) * step / steps for step in at]
    return {"LR": rate, "BSZ": size, "EPOCH": 1, "WARMUP": 0.0, "seed": seed, "steps": steps,
            "status": "finished", "at": at, "scores": scores, "held_out": top - 0.05,
            **changes}  # fmt: skip


@pytest.fixture
def table(scripts):
    rows = [toy_trial(rate, size) for rate, size in itertools.product(RATES, (4, 8))]
    return scripts.search_replay.TrialTable(rows)


def search(scripts, table, trials=6, lanes=1, budget=np.inf, **strategy):
    strategy = scripts.search_replay.Strategy(name="toy", **{"sampler": "grid", **strategy})
    return scripts.search_replay.search_once(table, strategy, lanes, trials, budget, seed=1)


def statuses(replay):
    return [record.status for record in replay.journal.trials.values()]


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_full_search_costs_what_its_trials_were_trained_on(scripts, table, lanes):
    replay = search(scripts, table, lanes=lanes)
    assert statuses(replay) == ["finished"] * 6
    cost, score, worth = replay.curve[-1]
    assert (cost, score, worth) == (6 * 64, pytest.approx(0.9), pytest.approx(0.85))


def test_with_lanes_the_examples_of_running_trials_count(scripts):
    rows = [toy_trial(rate, 8, steps=8 * parts, at=[8 * parts], scores=[0.5])
            for rate, parts in zip(RATES, (1, 2, 3), strict=True)]  # fmt: skip
    table = scripts.search_replay.TrialTable(rows)
    replay = search(scripts, table, trials=3, lanes=3)
    # After 64, 128 and 192 examples in each lane.
    assert [cost for cost, _, _ in replay.curve] == [192, 320, 384]
    assert replay.begun_at == [0, 0, 0]


def test_the_rule_of_the_product_stops_weak_trials_and_their_rest_costs_nothing(scripts, table):
    replay = search(scripts, table, stop_early={"at": [0.25, 0.5], "keep": 0.5})
    assert {"stopped", "finished"} == set(statuses(replay))
    trained = sum(r.step * r.configuration["BSZ"] for r in replay.journal.trials.values())
    assert replay._done == trained < 6 * 64


def test_each_replay_draws_the_values_of_its_grid(scripts, table):
    coarse = {"LR": 2, "BSZ": 1}
    strategy = scripts.search_replay.Strategy(name="toy", sampler="grid", coarse=coarse)
    studies = [scripts.search_replay.study_of(table, strategy, 9, seed) for seed in range(20)]
    drawn = {searched.space["LR"].choice for searched in studies}
    assert drawn == set(itertools.combinations(RATES, 2))
    assert {searched.fixed["BSZ"] for searched in studies} == {4, 8}
    assert len(search(scripts, table, trials=9, coarse=coarse).begun_at) == 2


def test_a_search_ends_at_its_budget(scripts, table):
    replay = search(scripts, table, budget=130)
    assert [cost for cost, _, _ in replay.curve] == [64, 128, 192]


def test_a_diverged_trial_is_no_winner_and_is_worth_chance(scripts):
    lost = {"status": "diverged", "scores": [None], "at": [8], "held_out": None}
    table = scripts.search_replay.TrialTable([toy_trial(1e-5, 8), toy_trial(1e-4, 8, **lost)])
    replay = search(scripts, table, trials=2)
    assert sorted(statuses(replay)) == ["diverged", "finished"]
    assert replay.curve[-1][1:] == (pytest.approx(0.6), pytest.approx(0.55))
    assert table.worth[(1e-4, 8.0, 1.0, 0.0)] == 0.5


def test_a_configuration_is_worth_its_mean_over_seeds(scripts):
    rows = [toy_trial(1e-4, 8, seed, held_out=held) for seed, held in ((1, 0.7), (2, 0.8))]
    assert list(scripts.search_replay.TrialTable(rows).worth.values()) == [pytest.approx(0.75)]


def test_a_rung_that_was_not_recorded_is_refused(scripts, table):
    with pytest.raises(AssertionError, match="no such rung"):
        search(scripts, table, stop_early={"at": [0.4], "keep": 0.5})


def runs_of(scripts, level, costs=1.0, replays=20):
    """Replays whose worth rises to a level within the cost of a random search, or later."""
    grid = scripts.early_stopping.COSTS
    course = np.tile(np.minimum(grid / costs, 1.0) * (level - 0.5) + 0.5, (replays, 1))
    end = np.tile([100.0 * costs, level, level], (replays, 1))
    return scripts.early_stopping.Runs(
        end=end, scores=course, worth=course, begun=np.full(replays, 24.0)
    )


def test_gains_are_measured_against_the_full_random_search(scripts):
    compare, random = scripts.early_stopping.compare, runs_of(scripts, 0.8)
    same = compare(random, random)
    assert (same["cost"][0], same["end"][0], same["ahead"][0]) == (1, 0, 0)
    assert same["worth_at"][0] == pytest.approx(1.0, abs=0.01)
    better = compare(runs_of(scripts, 0.9, costs=0.5), random)
    assert (better["cost"][0], better["end"][0]) == (0.5, pytest.approx(10))
    assert better["worth_at"][0] == pytest.approx(0.5 * 0.75, abs=0.01)
    assert np.isinf(compare(runs_of(scripts, 0.7), random)["worth_at"][0])


def test_a_search_is_compared_with_the_grid_at_equal_cost(scripts):
    ahead = scripts.early_stopping.ahead_of(runs_of(scripts, 0.83), runs_of(scripts, 0.8))
    assert ahead == pytest.approx(3.0)


def test_intervals_are_written_with_what_was_never_reached(scripts):
    values = np.array([1.0, 0.5, *[1.0] * 97, np.inf, np.inf, np.inf])
    assert scripts.early_stopping._with_interval(values, ".2f") == "1.00 (1.00 to > 1.5)"


def test_the_whole_comparison_prints_a_row_for_each_search(scripts, table, capsys, tmp_path):
    rows = [row for trials in table.trials.values() for row in trials]
    scripts.record_trials.parquet_of(rows, tmp_path / "toy.parquet")
    options = ["--table", str(tmp_path / "toy.parquet"), "--replays", "2", "--lanes", "2"]
    scripts.early_stopping.main([*options, "--only", "random"])
    printed = capsys.readouterr().out
    assert "6 trials of 6 configurations" in printed
    assert "| random | 1.00 (1.00 to 1.00) |" in printed
    assert "| random, halving | 0." in printed


def test_what_finishes_of_a_search_is_counted(scripts, table, capsys):
    searches = [scripts.search_replay.Strategy(name="toy", sampler="grid")]
    scripts.early_stopping.print_finished(table, searches, 6, 2)
    scripts.early_stopping.print_finished(table, searches, 2, 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "toy: 6.0 of 6 trials reach their end, fewer than 3 in 0 of 2 searches"
    assert lines[1].endswith("fewer than 3 in 2 of 2 searches")


def test_every_cell_is_recorded_with_every_seed(scripts):
    trials = scripts.record_trials.trials()
    assert len(trials) == len({tuple(trial.values()) for trial in trials}) == 324
    assert [trial["seed"] for trial in trials] == [1] * 162 + [2] * 162


def test_either_label_has_as_many_rows_in_each_slice(scripts):
    labels = np.array([0, 1, 1, 1, 0, 1, 1, 0, 1, 1])
    rows = scripts.record_trials._draw_rows(labels)
    assert len(set(rows.tolist())) == len(rows) == 6
    assert labels[rows].tolist() == [0, 1] * 3


def test_an_interrupted_recording_goes_on_with_what_it_lacks(scripts, tmp_path, monkeypatch):
    path, trained = tmp_path / "trials.jsonl", []
    first, *rest = scripts.record_trials.trials()

    class ToyRecorder:
        def __init__(self, model, data):
            pass

        def train_trial(self, trial):
            trained.append(trial)
            return {**trial, "status": "finished"}

    monkeypatch.setattr(scripts.record_trials, "Recorder", ToyRecorder)
    path.write_text(json.dumps(first) + "\n" + '{"LR": 1e-4, "BS')  # killed while it wrote
    scripts.record_trials.record("model", tmp_path, path, 0, 1)
    assert trained == rest
    assert len(list(scripts.record_trials._recorded(path))) == 324


def test_trials_of_other_files_are_not_recorded_again_and_all_make_one_table(
    scripts, tmp_path, monkeypatch
):
    ours = scripts.record_trials
    *known, last = [{**trial, "status": "finished"} for trial in ours.trials()]
    ours.parquet_of(known, tmp_path / "known.parquet")

    class ToyRecorder:
        def __init__(self, model, data):
            pass

        def train_trial(self, trial):
            assert trial == {name: last[name] for name in trial}
            return last

    monkeypatch.setattr(ours, "Recorder", ToyRecorder)
    files = [tmp_path / "known.parquet", tmp_path / "more.jsonl"]
    ours.record("model", tmp_path, files[1], 0, 1, files[:1])
    ours.write_table(files, files[0])
    assert len(list(ours._recorded(files[0]))) == 324


def test_the_recorded_table_has_scores_and_steps_and_no_text():
    path = BENCHMARKS / "early_stopping.parquet"
    table = parquet.read_table(path)
    assert path.stat().st_size < 100_000
    cells = [tuple(row.values()) for row in table.select(table.column_names[:5]).to_pylist()]
    assert len(set(cells)) == table.num_rows
    assert len({cell[:4] for cell in cells}) == 162
    assert table.column_names == [
        "LR", "BSZ", "EPOCH", "WARMUP", "seed", "steps", "status", "at", "scores", "held_out",
        "cpu_seconds",
    ]  # fmt: skip
    assert set(table["status"].to_pylist()) <= {"finished", "degenerate", "diverged"}
    for row in table.to_pylist():
        assert len(row["at"]) == len(row["scores"])
        assert row["steps"] == row["EPOCH"] * 256 // row["BSZ"]
        assert row["status"] != "finished" or row["at"][-1] == row["steps"]
