"""What a study is forecast to take: from real steps of toys, and the arithmetic after them."""

import random
from dataclasses import replace
from statistics import fmean

import pytest
import ray
import torch
from support.queues import begin_attempt, report
from typer.testing import CliRunner

from raysearch import study
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.forecast import TaskForecast, forecast
from raysearch.forecast.estimate import estimate_task, expected_shares, wall_seconds
from raysearch.forecast.forecast import _with_budget, search_points
from raysearch.forecast.timing import StepTimes, Timing
from raysearch.preflight import Lanes
from raysearch.run_folder import Journal
from raysearch.search.stopping_rules import stopping_rule
from raysearch.search.trial_queue import TrialQueue
from raysearch.study.schema import Halving, Hyperband, Median

TOY = "toy/grammar"
RAW = {
    "name": "toy",
    "tasks": [TOY],
    "model": "scratch:1x16:300",
    "space": {"BSZ": {"choice": [8, 16, 32]}, "LR": {"log": [1e-4, 1e-2]}},
    "fixed": {"EPOCH": {"steps": 40}, "evaluations": 4, "max_length": 32},
    "search": {"sampler": "random", "trials": 6},
    "confirm": {"top": 2, "seeds": [11, 12]},
}
TIMING = Timing(
    trial=StepTimes(seconds={8: 1.0, 32: 2.0}, steps=9),
    teacher=None,
    evaluation=5.0,
    keep=0.5,
    start=0.25,
    rows=1000,
    weight_bytes=1000,
    model_bytes=1000,
    prediction_bytes=10,
)


def parsed(**changes):
    return study.parse({**RAW, **changes})


def estimated(searched, points, timing=TIMING, workers=1, lanes=1):
    task = searched.resolve(TOY)
    return estimate_task(task, points, timing, cache_bytes=7, workers=workers, lanes=lanes)


def toy_forecast(name, search, confirm=(), between=0.0):
    return TaskForecast(
        task=name, search=tuple(search), confirm=tuple(confirm), between=between, saved=0.0,
        whole=1.0, step=0.1, evaluation=0.1, kept_bytes=1, most_bytes=1, cache_bytes=1,
    )  # fmt: skip


def test_steps_of_a_batch_size_between_lie_on_the_line_and_beyond_it_too():
    times = StepTimes(seconds={8: 1.0, 32: 2.0}, steps=1)
    assert [times.of(batch) for batch in (8, 20, 32, 56)] == pytest.approx([1, 1.5, 2, 3])
    assert StepTimes(seconds={8: 1.0}, steps=1).of(16) == 2.0


def test_a_trial_is_its_steps_and_its_evaluations():
    points = [{"BSZ": 8, "LR": 1e-3}, {"BSZ": 32, "LR": 1e-3}]
    one = estimated(parsed(search={"sampler": "random", "trials": 2}), points)
    assert one.search == pytest.approx((40 * 1 + 4 * 5, 40 * 2 + 4 * 5))
    assert one.confirm == pytest.approx([80 + 4 * 0.5] * 4)  # they keep the weights of the best
    assert one.device_hours == pytest.approx((60 + 100 + 4 * 82) / 3600)
    two = estimated(parsed(search={"sampler": "random", "trials": 2}), points, workers=2)
    assert two.search == pytest.approx((30, 50))
    assert two.device_hours == pytest.approx((60 + 100 + 4 * 84) / 3600)


def test_an_only_configuration_is_confirmed_at_once():
    searched = parsed(space={}, fixed={**RAW["fixed"], "BSZ": 8}, search={})
    one = estimated(searched, [{}])
    assert (one.search, len(one.confirm)) == ((), 2)


def test_kept_bytes_are_weights_and_predictions_and_long_trials_write_checkpoints():
    points = [{"BSZ": 8, "LR": 1e-3}]
    one = estimated(parsed(), points)
    assert (one.kept_bytes, one.most_bytes, one.cache_bytes) == (1040, 3040, 7)
    every = estimated(parsed(search={**RAW["search"], "keep_predictions": "all"}), points)
    assert every.kept_bytes == 1000 + 10 * (6 + 4)
    adapters = replace(TIMING, weight_bytes=10)  # the winner alone becomes a whole model
    one = estimated(parsed(), points, adapters)
    assert (one.kept_bytes, one.most_bytes) == (1040, 1060)
    long = replace(TIMING, evaluation=1000.0)
    assert estimated(parsed(), points, long, lanes=2).most_bytes == 1040 + (2 + 3 * 2) * 1000


@pytest.mark.parametrize("rule", [Halving(), Halving(at=[0.5], keep=0.2), Median(rule="median"),
                                  Hyperband(rule="hyperband")])  # fmt: skip
def test_what_a_rule_saves_is_what_it_saves_of_a_search_of_random_scores(
    rule, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.fsync", lambda file: None)
    trials, settings = 40, {"rule": rule.rule, "at": list(rule.at)}
    settings |= {"keep": rule.keep} if rule.rule != "median" else {}
    search = {"sampler": "random", "trials": trials, "stop_early": settings}
    totals = []
    for seed in range(8):
        (folder := tmp_path / str(seed)).mkdir()
        queue = TrialQueue(parsed(search=search), Journal(folder), {TOY: "data"})
        draws = random.Random(seed)
        totals.append(sum(share_of(queue, rule, draws.random()) for _ in range(trials)))
        queue.journal.close()
    expected = sum(expected_shares(stopping_rule(rule), trials))
    assert expected == pytest.approx(fmean(totals), rel=0.06)
    assert expected < 0.95 * trials


def share_of(queue, rule, score):
    """Run the queue's next trial with this score throughout; return the share that it ran."""
    record = queue.next()
    rungs = {str(fraction): int(1000 * fraction) for fraction in rule.at}
    begin_attempt(queue, record, steps=1000, rungs=rungs)
    for name, step in rungs.items():
        if not report(queue, record, step, {"dev.accuracy": score}, steps=1000):
            queue.end(record, "stopped")
            return float(name)
    report(queue, record, 1000, {"dev.accuracy": score}, "finished", steps=1000)
    queue.end(record, "finished")
    return 1.0


def test_without_a_rule_nothing_is_saved_and_with_one_the_forecast_says_how_much():
    points = [{"BSZ": 8, "LR": 1e-3}] * 6
    plain = estimated(parsed(), points)
    search = {**RAW["search"], "stop_early": {"at": [0.25, 0.5], "keep": 0.5}}
    halved = estimated(parsed(search=search), points)
    assert plain.saved == 0
    assert 0.1 < halved.saved < 0.5
    assert sum(halved.search) < sum(plain.search)
    assert halved.confirm == plain.confirm


def test_lanes_share_trials_and_a_confirmation_waits_for_its_search():
    one = [toy_forecast("a", [10, 10, 10], [6])]
    assert wall_seconds(one, 1) == [36]
    assert wall_seconds(one, 2) == [26]
    assert wall_seconds([toy_forecast("a", [10, 10], between=1)], 1) == [21]
    two = [toy_forecast("a", [10], [5, 5]), toy_forecast("b", [10, 10], [5])]
    ends = wall_seconds(two, 2)
    assert max(ends) == pytest.approx(25, abs=6)
    assert sum(wall_seconds(two, 1)[1:]) == 45


def test_a_task_that_starts_from_a_winner_begins_when_it_is_known_whatever_lanes_are_free():
    source, alone = toy_forecast("a", [10, 10]), toy_forecast("b", [10, 10], [5])
    assert wall_seconds([source, alone], 4) == [10, 15]
    assert wall_seconds([source, replace(alone, source="a")], 4) == [10, 25]


def test_each_seed_of_a_confirmation_trains_the_teachers_that_its_configurations_share():
    settings = {"view": "noise", "teacher_view": "noise", "teacher_EPOCH": 1}
    changes = {"recipe": "stabletune", "fixed": {**RAW["fixed"], **settings}}
    timing = replace(TIMING, teacher=StepTimes(seconds={8: 10.0, 32: 10.0}, steps=9))
    shared = [{"BSZ": 8, "LR": 1e-3, "lambda2": weight} for weight in (1, 2, 3)]
    own = [{**point, "BSZ": size} for point, size in zip(shared, (8, 16, 32), strict=True)]
    costs = []
    for points in (shared, own):
        space = {**RAW["space"], "lambda2": {"uniform": [1, 3]}}
        with_teachers, without = (
            estimated(parsed(**changes, space=space), points, one) for one in (timing, TIMING)
        )
        costs.append(sum(with_teachers.confirm) - sum(without.confirm))
    both = zip(with_teachers.search, without.search, strict=True)
    teachers = [seconds - alone for seconds, alone in both][:3]
    assert costs[0] == pytest.approx(2 * teachers[0])  # of two configurations, one for each seed
    assert costs[1] == pytest.approx(4 * fmean(teachers))


def test_a_budget_ends_a_forecast_search_as_it_ends_a_search():
    hour = 3600.0
    limited = parsed(search={**RAW["search"], "device_hours": 2.5})
    cut = _with_budget(limited, toy_forecast("a", [hour] * 6), [], 1)
    assert len(cut.search) == 3
    second = _with_budget(limited, toy_forecast("b", [hour] * 6), [cut], 1)
    assert second.search == ()
    walls = parsed(search={**RAW["search"], "hours": 2})
    assert len(_with_budget(walls, toy_forecast("a", [hour] * 6), [], 2).search) == 4
    assert len(_with_budget(parsed(), toy_forecast("a", [hour] * 6), [], 2).search) == 6


@pytest.mark.parametrize("sampler", ["random", "grid", "qmc"])
def test_the_points_are_those_that_the_search_begins(sampler, tmp_path):
    space = {"BSZ": {"choice": [8, 16, 32]}, "EPOCH": {"int": [1, 4]}}
    searched = parsed(space=space, fixed={}, search={"sampler": sampler, "trials": 7,
                                                     "device_hours": 1})  # fmt: skip
    ((name, points),) = search_points(searched)
    queue = TrialQueue(searched.model_copy(update={"search": searched.search.model_copy(
        update={"device_hours": None})}), Journal(tmp_path), {TOY: "data"})  # fmt: skip
    assert (name, points) == (TOY, [queue.next().configuration for _ in range(7)])


def test_a_task_that_starts_from_a_winner_has_the_points_of_its_own_space():
    raw = {**RAW, "tasks": [TOY, "glue/rte"], "space": {"EPOCH": {"int": [7, 9]}},
           "fixed": {"BSZ": 8}}  # fmt: skip
    alone, chained = (
        dict(search_points(study.parse({**raw, "per_task": {"glue/rte": part}})))
        for part in ({}, {"from": {"task": TOY, "seed": "same"}})
    )
    assert chained == alone
    assert len(chained["glue/rte"]) == 3
    first = raw | {"tasks": ["glue/rte", TOY], "per_task": {"glue/rte": {"from": TOY}}}
    assert [name for name, _ in search_points(study.parse(first))] == [TOY, "glue/rte"]


@pytest.mark.slow
def test_real_steps_of_a_toy_are_timed_without_ray(tmp_path):
    threads = torch.get_num_threads()
    said = forecast(parsed(), tmp_path, Lanes(count=1), price=2.0, seconds=0.02)
    (task,) = said.tasks
    assert (len(task.search), len(task.confirm)) == (6, 4)
    assert 0 < task.step < task.whole / 40 * 1.001
    assert task.kept_bytes > 4 * 16 * 100
    assert task.cache_bytes > 0
    assert said.hours == pytest.approx(
        (sum(task.search) + sum(task.confirm) + 9 * task.between) / 3600, rel=0.01
    )
    assert not ray.is_initialized()
    assert torch.get_num_threads() == threads


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["r_drop", "stabletune"])
def test_recipes_with_views_are_timed(recipe, tmp_path):
    views = {"view": "noise", "teacher_view": "noise", "corpus": "none"}
    fixed = RAW["fixed"] | (views if recipe == "stabletune" else {})
    search = {"sampler": "random", "trials": 2}
    searched = parsed(recipe=recipe, fixed=fixed, search=search, confirm={})
    (task,) = forecast(searched, tmp_path, Lanes(count=1), seconds=0.02).tasks
    assert min(task.search) > 0


def test_more_lanes_than_the_machine_holds_are_refused(tmp_path):
    with pytest.raises(InputError, match="lanes"):
        forecast(parsed(), tmp_path, Lanes(count=10**5))


def run(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


@pytest.mark.slow
def test_the_command_prints_a_row_for_each_task(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(study.dump(parsed()))
    result = run(path, "--forecast", "--price", 2, "--lanes", 1)
    assert result.exit_code == 0, result.output
    assert "device hours" in result.output
    assert "6 + 4" in result.output
    assert "timed here, on CPU, for 1 lane" in " ".join(result.output.split())


def test_options_that_do_not_fit_are_refused_at_once(tmp_path):
    path = tmp_path / "rte.yaml"
    path.write_text(study.dump(parsed(tasks=["glue/rte"])))
    result = run(path, "--price", -1, "--lanes", 2)
    assert result.exit_code == 2
    for text in ("add --forecast", "a number from 0 is needed, got -1", "--cluster or --forecast"):
        assert text in " ".join(result.output.split())
    (tmp_path / "cluster.yaml").write_text("cluster_name: a\nprovider: {type: local}\n")
    result = run(path, "--forecast", "--cluster", tmp_path / "cluster.yaml")
    assert result.exit_code == 2
    assert "--forecast" in result.output or "forecast" in result.output
    result = run(path, "--forecast")
    assert result.exit_code == 2
    assert "add --data" in " ".join(result.output.split())
