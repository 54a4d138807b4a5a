"""The queue, driven by hand as lanes would: planned trials, each once, whatever happens."""

import math
from collections import Counter
from itertools import count
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from support.queues import begin_attempt, drive_queue, report, spend

from raysearch import study
from raysearch.results.leaderboard import is_complete
from raysearch.run_folder import JOURNAL_NAME, Journal
from raysearch.search.trial_queue import QueueState, TrialQueue

RTE, COLA, MRPC = "glue/rte", "glue/cola", "glue/mrpc"
GRID = {"BSZ": {"choice": [16, 32, 48]}, "LR": {"choice": ["1e-5", 2e-5, 3e-5, 4e-5]}}
RANGES = {"LR": {"log": [1e-5, 1e-3]}, "weight_decay": {"uniform": [0, 0.1]}}
HALVES = {"at": [0.5], "keep": 0.5}


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    """What a power cut leaves is the journal's test; here its lines are enough."""
    monkeypatch.setattr("os.fsync", lambda file: None)


def parsed(tasks=(RTE,), space=GRID, **parts):
    return study.parse({"tasks": list(tasks), "model": "scratch", "space": space, **parts})


def opened(searched, folder, content="data"):
    folder.mkdir(exist_ok=True)
    return TrialQueue(searched, Journal(folder), dict.fromkeys(searched.tasks, content))


def toy_score(record):
    """Best near LR 2e-5; always the same for a configuration and seed."""
    point = record.configuration
    away = abs(math.log10(point.get("LR", 2e-5) / 2e-5)) + abs(point.get("BSZ", 32) - 32) / 100
    return round(1 / (1 + away) - point.get("weight_decay", 0) - record.seed / 1000, 6)


def toy_trial(queue, record, outcome="finished"):
    """A trial of two evaluations, event by event."""
    begin_attempt(queue, record, at=float(len(record.id)))
    yield
    if outcome == "failed":
        queue.end(record, "failed", "RuntimeError: a toy broke")
        return
    metric = queue.study.task(record.task).metric
    for step, share, status in ((50, 0.5, "running"), (100, 1.0, outcome)):
        scores = {f"dev.{metric}": share * toy_score(record)}
        if status == "diverged":
            scores = {}
        going = report(queue, record, step, scores, status, loss=math.nan)
        spend(queue, record, step)
        yield
        if not going:
            queue.end(record, "stopped")
            return
    queue.end(record, outcome)


def drive(queue, lanes=2, **options):
    """Run toy trials to the end of the study, see `drive_queue`."""
    return drive_queue(queue, toy_trial, lanes, **options)


def test_while_a_task_waits_for_its_last_trials_the_next_task_begins(tmp_path):
    parts = {"search": {"trials": 3, "sampler": "random"}, "confirm": {"top": 1, "seeds": [7, 8]}}
    queue = opened(parsed([RTE, MRPC], **parts), tmp_path / "run")
    begun = [queue.next() for _ in range(6)]  # six lanes, of which none stays idle
    assert [(r.task, r.phase) for r in begun] == [(RTE, "search")] * 3 + [(MRPC, "search")] * 3
    assert queue.next() is QueueState.WAITING
    assert (queue.remaining, queue.unfinished) == (4, 10)
    for record in begun[:3]:
        for _ in toy_trial(queue, record):
            pass
    confirmed = [queue.next(), queue.next()]  # beside the searches of the other task
    assert [(r.task, r.phase) for r in confirmed] == [(RTE, "confirm")] * 2
    assert (queue.remaining, queue.unfinished) == (2, 7)


def points(records):
    return [tuple(record.configuration.values()) for record in records]


def told(queue, task=RTE):
    """Optuna's trials as (params, state, value)."""
    trials = queue.optuna_study(task).study.trials
    return [(tuple(t.params.values()), t.state, t.value) for t in trials]


def begun_and_repeated(queue, task=RTE):
    return sum(1 + record.repeats for record in queue.journal.of(task, "search"))


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_grid_of_twelve_cells_is_tried_whole_and_no_cell_twice(tmp_path, sampler):
    queue = opened(parsed(search={"sampler": sampler, "trials": 24}), tmp_path)
    assert queue.planned_trials(RTE) == {"search": 12, "confirm": 0}
    begun = drive(queue)
    assert len(begun) == 12 == len(set(points(begun)))
    assert queue.next() is QueueState.DONE
    assert is_complete(queue.study.resolve(RTE), queue.journal)


@pytest.mark.parametrize("lanes", [1, 6])
def test_what_a_sampler_proposes_again_is_recorded_and_told_the_stored_result(tmp_path, lanes):
    queue = opened(parsed(search={"sampler": "random", "trials": 24}), tmp_path)
    drive(queue, lanes)
    repeats = sum(record.repeats for record in queue.journal.of(RTE))
    assert repeats > 0
    assert len(told(queue)) == 12 + repeats
    results = {point: (state, value) for point, state, value in told(queue)}
    assert all(results[point] == (state, value) for point, state, value in told(queue))
    assert {state for state, _ in results.values()} == {TrialState.COMPLETE}


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_a_continuous_space_gets_as_many_trials_as_planned(tmp_path, sampler):
    queue = opened(parsed(space=RANGES, search={"sampler": sampler, "trials": 9}), tmp_path)
    begun = drive(queue, lanes=3)
    assert len(set(points(begun))) == 9
    assert all(1e-5 <= r.configuration["LR"] <= 1e-3 for r in begun)


def test_given_configurations_are_tried_first_and_count(tmp_path):
    first = [{"LR": 3e-5, "BSZ": 48}, {"BSZ": 16, "LR": "2e-5"}]
    queue = opened(parsed(search={"trials": 4, "start_from": first}), tmp_path)
    begun = drive(queue, lanes=1)
    assert points(begun)[:2] == [(48, 3e-5), (16, 2e-5)]
    assert len(set(points(begun))) == 4


def test_published_settings_are_tried_first_restricted_to_what_is_searched(tmp_path):
    settings = {"BSZ": 16, "LR": 4e-5, "EPOCH": 10}
    published = [{"row": "A", "source": "a", "results": {RTE: {"settings": settings}}}]
    search = {"trials": 3, "start_from": "published"}
    queue = opened(parsed(search=search, published=published), tmp_path)
    assert points(drive(queue))[0] == (16, 4e-5)


def test_epoch_3_and_epoch_3_0_are_the_same_trial(tmp_path):
    space = {"EPOCH": {"choice": [3, 5]}}
    queue = opened(parsed(space=space, search={"start_from": [{"EPOCH": 3.0}]}), tmp_path)
    assert points(drive(queue)) == [(3.0,), (5,)]


def test_a_trial_is_its_configuration_seed_data_and_rungs(tmp_path):
    def identity(name, content="data", **search):
        search = {"trials": 1, "start_from": [{"LR": 1e-5, "BSZ": 16}], **search}
        queue = opened(parsed(search=search), tmp_path / name, content)
        return queue.next().id

    assert identity("a") == identity("b") == identity("c", sampler="random")
    others = [identity("d", "more data"), identity("e", seed=2), identity("f", stop_early=True)]
    assert len({identity("g"), *others}) == 4


def test_choices_that_are_mappings_or_lists_are_proposed_and_told(tmp_path):
    space = {"WARMUP": {"choice": [16, {"steps": 50}]},
             "adam_betas": {"choice": [[0.9, 0.98], [0.9, 0.999]]},
             "clip": {"choice": ["none", 1.0]}}  # fmt: skip
    queue = opened(parsed(space=space, search={"trials": 8}), tmp_path)
    begun = drive(queue)
    assert {repr(r.configuration["WARMUP"]) for r in begun} == {"16", "{'steps': 50}"}
    assert {r.configuration["clip"] for r in begun} == {None, 1.0}
    assert len(begun) == 8


def test_tasks_take_turns_and_no_lane_waits_for_the_last_trial_of_a_task(tmp_path):
    searched = parsed([RTE, MRPC], search={"trials": 3}, confirm={"top": 1, "seeds": [11]})
    queue = opened(searched, tmp_path)
    first = [queue.next() for _ in range(5)]
    assert [r.task for r in first] == [RTE, RTE, RTE, MRPC, MRPC]
    assert [r.number for r in first] == [0, 1, 2, 0, 1]


def test_confirmation_begins_when_the_search_is_over_with_fresh_seeds_on_the_best(tmp_path):
    searched = parsed(search={"trials": 6}, confirm={"top": 2, "seeds": [11, 12]})
    queue = opened(searched, tmp_path)
    search = drive(queue, lanes=1, most=5)
    last = queue.next()
    assert queue.next() is QueueState.WAITING
    for _ in toy_trial(queue, last):
        assert queue.next() is QueueState.WAITING
    confirm = drive(queue)
    best = sorted([*search, last], key=lambda r: -r.score)[:2]
    assert [(r.phase, r.seed) for r in confirm] == [("confirm", 11), ("confirm", 12)] * 2
    assert points(confirm) == [p for r in best for p in points([r, r])]
    assert queue.planned_trials(RTE) == {"search": 6, "confirm": 4}


def test_a_space_without_dimensions_is_one_trial_or_its_seeds(tmp_path):
    fixed = {"LR": 1e-5}
    (one,) = drive(opened(parsed(space={}, fixed=fixed), tmp_path / "one"))
    assert (one.phase, one.configuration, one.seed) == ("search", {}, 1)
    confirm = {"seeds": [11, 12, 13]}
    several = drive(opened(parsed(space={}, fixed=fixed, confirm=confirm), tmp_path / "several"))
    assert [(r.phase, r.seed) for r in several] == [("confirm", seed) for seed in (11, 12, 13)]


def test_only_trials_whose_weights_may_win_are_asked_for_them(tmp_path):
    searched = parsed(fixed={"clip": 2}, search={"trials": 1, "stop_early": HALVES},
                      confirm={"top": 1, "seeds": [11]})  # fmt: skip
    queue = opened(searched, tmp_path)
    search, confirm = (queue.request(record) for record in drive(queue))
    assert (search.keep_weights, search.rungs) == (False, (0.5,))
    assert (confirm.keep_weights, confirm.rungs) == (True, ())
    assert search.configuration == {"clip": 2, **queue.journal.of(RTE)[0].configuration}
    alone = opened(parsed(search={"trials": 1}), tmp_path / "alone")
    assert alone.request(alone.next()).keep_weights


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("confirmed", [False, True]), ("all", [True, True]), ("none", [False, False])],
)
def test_the_study_says_which_trials_keep_their_predictions(tmp_path, keep, kept):
    searched = parsed(search={"trials": 1, "keep_predictions": keep},
                      confirm={"top": 1, "seeds": [11]})  # fmt: skip
    queue = opened(searched, tmp_path)
    requests = [queue.request(record) for record in drive(queue)]
    assert [request.keep_predictions for request in requests] == kept
    assert [request.keep_weights for request in requests] == [False, True]


def test_whose_predictions_are_kept_changes_no_trial(tmp_path):
    queue = opened(parsed(search={"trials": 1}), tmp_path)
    (first,) = drive(queue)
    queue.journal.close()
    again = opened(parsed(search={"trials": 1, "keep_predictions": "all"}), tmp_path)
    assert [*again.journal.trials] == [first.id]
    assert drive(again) == []


def test_losers_are_told_pruned_with_their_intermediate_values(tmp_path):
    queue = opened(parsed(search={"trials": 8, "stop_early": HALVES}), tmp_path)
    begun = drive(queue)
    stopped = [record for record in begun if record.status == "stopped"]
    assert 0 < len(stopped) < 8
    optuna = {tuple(t.params.values()): t for t in queue.optuna_study(RTE).study.trials}
    for record in begun:
        trial = optuna[points([record])[0]]
        half = {50: toy_score(record) / 2}
        if record.status == "stopped":
            assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, half)
        else:
            assert trial.state == TrialState.COMPLETE
            assert trial.intermediate_values == {**half, 100: toy_score(record)}


def test_confirmations_are_never_stopped_early(tmp_path):
    searched = parsed(search={"trials": 4, "stop_early": HALVES},
                      confirm={"top": 2, "seeds": [11, 12, 13]})  # fmt: skip
    begun = drive(opened(searched, tmp_path))
    assert {r.status for r in begun if r.phase == "confirm"} == {"finished"}


@pytest.mark.parametrize(("task", "worst"), [(RTE, 0.0), (COLA, -1.0)])
@pytest.mark.parametrize("status", ["diverged", "degenerate"])
def test_a_trial_that_came_to_nothing_is_told_the_worst_score_never_nan(
    tmp_path, task, worst, status
):
    queue = opened(parsed([task], search={"trials": 4}), tmp_path)
    first, *others = drive(queue, outcome=lambda r: "finished" if r.number else status)
    assert (first.status, first.score) == (status, worst)
    values = [value for _, _, value in told(queue, task)]
    assert values == [worst, *(record.score for record in others)]
    assert "NaN" not in (tmp_path / JOURNAL_NAME).read_text()


def test_a_failed_trial_counts_is_told_so_and_is_not_confirmed(tmp_path):
    searched = parsed(search={"trials": 3}, confirm={"top": 3, "seeds": [11]})
    queue = opened(searched, tmp_path)
    begun = drive(queue, outcome=lambda r: "finished" if r.number else "failed")
    assert [r.status for r in begun] == ["failed"] + 4 * ["finished"]
    assert begun[0].error == "RuntimeError: a toy broke"
    assert told(queue)[0][1:] == (TrialState.FAIL, None)
    assert points(begun[3:]) == points(sorted(begun[1:3], key=lambda r: -r.score))


def test_the_last_evaluation_counts_where_the_study_says_so(tmp_path):
    queue = opened(parsed(search={"trials": 1, "select": "last"}), tmp_path)
    record = queue.next()
    for step, score, status in ((50, 0.9, "running"), (100, 0.8, "finished")):
        report(queue, record, step, {"dev.accuracy": score}, status)
    queue.end(record, "finished")
    assert record.score == 0.8
    assert (record.best, record.last) == ({"dev.accuracy": 0.9}, {"dev.accuracy": 0.8})


@pytest.mark.parametrize("wall", [0.0, -3600.0, 9 * 3600.0])
def test_no_trial_begins_after_the_hours_are_over_and_the_best_are_confirmed(
    tmp_path, monkeypatch, wall
):
    """The wall clock may stand still, be set back at every event, or pass a night each time."""
    ticks, walls = count(0, 60.0), count(1e9, wall)  # every event is a minute after the one before
    clock = SimpleNamespace(monotonic=lambda: next(ticks), time=lambda: next(walls))
    monkeypatch.setattr("raysearch.search.session_clock.time", clock)
    searched = parsed(search={"trials": 12, "hours": 0.2}, confirm={"top": 1, "seeds": [11, 12]})
    queue = opened(searched, tmp_path)
    begun = drive(queue, lanes=1)
    phases = Counter(record.phase for record in begun)
    assert 1 < phases["search"] < 12
    assert phases["confirm"] == 2
    assert is_complete(searched.resolve(RTE), queue.journal)


def test_a_trial_whose_lane_died_is_tried_again_before_any_other(tmp_path):
    queue = opened(parsed(search={"trials": 3, "max_failures": 2}), tmp_path)
    record = queue.next()
    next(toy_trial(queue, record))
    queue.requeue(record)
    assert queue.next() is record
    assert (queue.request(record).attempt, queue.request(record).retries) == (2, 1)
    list(toy_trial(queue, record))
    assert len([record, *drive(queue)]) == 3
    assert len(told(queue)) == 3


def outcomes(record):
    """One cell diverges, one fails, the others finish."""
    special = {(48, 4e-5): "diverged", (16, 1e-5): "failed"}
    return special.get(points([record])[0], "finished")


RACE = {"top": 3, "choose": [21, 22, 23], "race": True, "seeds": [11, 12], "published": True}
PUBLISHED = [{"row": "p", "source": "p", "results": {RTE: {"settings": {"BSZ": 48, "LR": "4e-5"}}}}]
STUDIES = {
    "tpe": {"search": {"trials": 24, "stop_early": HALVES}},
    "random": {"search": {"sampler": "random", "trials": 9}, "confirm": {"top": 2, "seeds": [11]}},
    "grid": {"search": {"sampler": "grid", "trials": 6, "stop_early": HALVES}},
    "cmaes": {"space": RANGES, "search": {"sampler": "cmaes", "trials": 10}},
    "race": {"search": {"sampler": "grid", "trials": 4}, "confirm": RACE, "published": PUBLISHED},
    "tasks": {"tasks": [RTE, COLA], "search": {"trials": 2}, "confirm": {"top": 1, "seeds": [11]}},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_run_that_crashed_after_any_event_ends_with_the_planned_trials_each_once(tmp_path, name):
    searched = parsed(**STUDIES[name])
    drive(opened(searched, tmp_path / "whole"), outcome=outcomes)
    events = (tmp_path / "whole" / JOURNAL_NAME).read_text().splitlines(keepends=True)
    for kept in range(len(events)):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / JOURNAL_NAME).write_text("".join(events[:kept]))
        resume_and_check(searched, folder)


def resume_and_check(searched, folder):
    queue = opened(searched, folder)
    before = {r.id: result(r) for r in queue.journal.trials.values() if r.is_over}
    for task in searched.tasks:
        known_to_sampler(queue, task)
    begun = drive(queue, outcome=outcomes)
    assert not {record.id for record in begun} & set(before)
    assert {identity: result(queue.journal.trials[identity]) for identity in before} == before
    for task in searched.tasks:
        for phase, planned in queue.planned_trials(task).items():
            records = queue.journal.of(task, phase)
            assert all(record.is_over for record in records)
            distinct = {(*points([record]), record.seed) for record in records}
            assert len(records) == len(distinct) == planned
        assert len(queue.journal.of(task, "search")) == searched.resolve(task).planned_trials
        known_to_sampler(queue, task)
    queue.journal.close()


@pytest.mark.slow
def test_a_race_that_crashed_while_it_chose_goes_on_as_it_would_have(tmp_path):
    searched = parsed(**STUDIES["race"])
    queue = opened(searched, tmp_path / "whole")
    drive(queue, outcome=outcomes)
    whole = [(*points([r])[0], r.seed) for r in queue.journal.of(RTE, "confirm")]
    assert queue.planned_trials(RTE)["confirm"] == len(whole) < 3 * 3 + 2 + 2  # one was dropped
    events = (tmp_path / "whole" / JOURNAL_NAME).read_text().splitlines(keepends=True)
    first = next(n for n, line in enumerate(events) if '"phase":"confirm"' in line)
    for kept in range(first, len(events), 7):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / JOURNAL_NAME).write_text("".join(events[:kept]))
        again = opened(searched, folder)
        drive(again, lanes=3, outcome=outcomes)
        trials = [(*points([r])[0], r.seed) for r in again.journal.of(RTE, "confirm")]
        assert sorted(trials) == sorted(whole)
        again.journal.close()


def test_trials_that_only_choose_keep_no_weights(tmp_path):
    queue = opened(parsed(**STUDIES["race"]), tmp_path)
    drive(queue)
    requests = [queue.request(record) for record in queue.journal.trials.values()]
    assert {r.seed for r in requests if r.keep_weights} == {11, 12}
    assert {r.seed for r in requests if r.keep_predictions} == {11, 12}


def result(record):
    """All of a record but how often it was proposed again."""
    return {name: value for name, value in vars(record).items() if name != "repeats"}


def known_to_sampler(queue, task):
    """The sampler has every trial and repeat of the journal, with its state and value."""
    states = {"finished": "COMPLETE", "diverged": "COMPLETE", "stopped": "PRUNED",
              "failed": "FAIL", "running": "RUNNING"}  # fmt: skip
    wanted = Counter()
    for record in queue.journal.of(task, "search"):
        value = None
        if record.status in ("finished", "diverged", "stopped"):
            value = record.score
        wanted[points([record])[0], states[record.status], value] += 1 + record.repeats
    found = Counter((point, state.name, value) for point, state, value in told(queue, task))
    assert found == wanted


def test_a_loser_is_stopped_after_a_crash_as_before_it(tmp_path):
    first = [{"BSZ": 32, "LR": 2e-5}, {"BSZ": 48, "LR": 4e-5}]
    search = {"trials": 2, "start_from": first, "stop_early": HALVES}
    queue = opened(parsed(search=search), tmp_path)
    drive(queue, lanes=1, most=1)
    loser = queue.next()
    next(toy_trial(queue, loser))  # begun, then the crash
    queue.journal.close()
    begun = drive(opened(parsed(search=search), tmp_path))
    assert [(r.number, r.status, r.attempts) for r in begun] == [(1, "stopped", 2)]


def test_the_state_of_cmaes_survives_a_crash(tmp_path):
    searched = parsed(space=RANGES, search={"sampler": "cmaes", "trials": 24})
    queue = opened(searched, tmp_path)
    drive(queue, lanes=1, most=16)

    def attributes(queue):
        trials = queue.optuna_study(RTE).study.trials
        return [{k: v for k, v in t.system_attrs.items() if k.startswith("cma:")} for t in trials]

    before = attributes(queue)
    generations = [kept["cma:generation"] for kept in before if kept]
    assert generations[-1] == 2
    queue.journal.close()
    again = opened(searched, tmp_path)
    assert attributes(again) == before
    drive(again)
    assert [kept["cma:generation"] for kept in attributes(again) if kept][15:] >= generations[-1:]
    assert max(kept.get("cma:generation", 0) for kept in attributes(again)) == 3


def test_a_space_too_large_to_list_is_searched_all_the_same(tmp_path):
    space = {"BSZ": {"int": [1, 10**6]}, "epoch_examples": {"int": [1, 10**6]}}
    searched = parsed(space=space)
    grid = searched.search.model_copy(update={"sampler": "grid", "trials": 3})
    begun = drive(opened(searched.model_copy(update={"search": grid}), tmp_path))
    assert len(set(points(begun))) == 3
