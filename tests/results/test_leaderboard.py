"""Who leads, and how much is done, on journals with known results."""

import statistics

import pytest
from support.run_folders import Script, write_study

from raysearch import results, study
from raysearch.results.html_report.search_charts import history, parallel_coordinates
from raysearch.results.leaderboard import (
    best_of_search,
    is_complete,
    leaderboard,
    planned_trials,
    searched_hours,
)
from raysearch.run_folder import Journal, read_journal
from raysearch.run_folder.events import RepeatEvent, SessionEvent, TrialEvent

RTE, MNLI, XNLI = "glue/rte", "glue/mnli", "xtreme/xnli"
LOW, MID, HIGH = ({"LR": 1e-5}, {"LR": 2e-5}, {"LR": 3e-5})


def parsed(tasks=(RTE,), **parts):
    raw = {
        "tasks": list(tasks),
        "model": "scratch",
        "space": {"LR": {"choice": [1e-5, 2e-5, 3e-5]}},
        "search": {"trials": 3},
        **parts,
    }
    return study.parse(raw)


CONFIRM = {"top": 2, "seeds": [11, 12, 13]}


def test_before_a_confirmation_the_search_decides(tmp_path):
    script = Script(tmp_path)
    for point, accuracy in ((LOW, 0.7), (MID, 0.9), (HIGH, 0.8)):
        script.trial(RTE, point, {"accuracy": accuracy})
    found = leaderboard(parsed(confirm=CONFIRM).resolve(RTE), script.journal)
    assert [s.configuration for s in found] == [MID, HIGH, LOW]
    assert (found[0].score, found[0].standard_deviation, len(found[0].trials)) == (0.9, 0.0, 1)


@pytest.mark.parametrize(("report", "score"), [("median", 0.7), ("mean", 0.75), ("max", 0.9)])
def test_after_a_confirmation_the_seeds_decide(tmp_path, report, score):
    script = Script(tmp_path)
    script.trial(RTE, LOW, {"accuracy": 0.95})
    script.trial(RTE, MID, {"accuracy": 0.90})
    for seed, low, mid in ((11, 0.5, 0.7), (12, 0.5, 0.65), (13, 0.5, 0.9)):
        script.trial(RTE, LOW, {"accuracy": low}, seed, "confirm")
        script.trial(RTE, MID, {"accuracy": mid}, seed, "confirm")
    leader, other = leaderboard(
        parsed(confirm={**CONFIRM, "report": report}).resolve(RTE), script.journal
    )
    assert (leader.configuration, other.configuration) == (MID, LOW)
    assert leader.score == pytest.approx(score)
    assert leader.standard_deviation == pytest.approx(statistics.stdev([0.7, 0.65, 0.9]))
    assert (leader.best_trial.seed, leader.best_trial.score) == (13, 0.9)


def test_every_metric_is_reported_over_the_same_trials(tmp_path):
    script = Script(tmp_path)
    for seed, one, two in ((11, 0.8, 0.7), (12, 0.9, 0.6), (13, 0.7, 0.8)):
        scores = {"accuracy": one, "mismatched.accuracy": two}
        script.trial(MNLI, LOW, scores, seed, "confirm")
    (leader,) = leaderboard(parsed([MNLI], confirm=CONFIRM).resolve(MNLI), script.journal)
    assert leader.scores == {"dev.accuracy": 0.8, "dev.mismatched.accuracy": 0.7}
    assert leader.standard_deviations == pytest.approx(
        {"dev.accuracy": 0.1, "dev.mismatched.accuracy": 0.1}
    )


def test_a_seed_that_diverged_counts_with_the_worst_of_every_metric(tmp_path):
    script = Script(tmp_path)
    script.diverged(MNLI, LOW, 11, "confirm")
    for seed in (12, 13):
        scores = {"accuracy": 0.9, "mismatched.accuracy": 0.6}
        script.trial(MNLI, LOW, scores, seed, "confirm")
    mean = parsed([MNLI], confirm={**CONFIRM, "report": "mean"})
    (leader,) = leaderboard(mean.resolve(MNLI), script.journal)
    assert leader.scores == pytest.approx({"dev.accuracy": 0.6, "dev.mismatched.accuracy": 0.4})
    assert leader.score == leader.scores["dev.accuracy"]


def test_a_seed_that_diverged_has_no_gap_between_languages(tmp_path):
    script = Script(tmp_path)
    script.diverged(XNLI, LOW, 11, "confirm")
    for seed in (12, 13):
        scores = {"accuracy": 0.8, "mean.accuracy": 0.6, "gap.accuracy": 0.2}
        script.trial(XNLI, LOW, scores, seed, "confirm")
    study = parsed([XNLI], confirm={**CONFIRM, "report": "mean"})
    (leader,) = leaderboard(study.resolve(XNLI), script.journal)
    scores = {"dev.accuracy": 0.8 * 2 / 3, "dev.mean.accuracy": 0.4, "dev.gap.accuracy": 0.2}
    assert leader.scores == pytest.approx(scores)


def test_a_configuration_whose_seeds_all_diverged_after_an_evaluation_is_ranked(tmp_path):
    script = Script(tmp_path)
    for seed in (11, 12, 13):
        before = {"accuracy": 0.8, "mean.accuracy": 0.6, "gap.accuracy": 0.2}
        script.diverged(XNLI, LOW, seed, "confirm", before)
    study = parsed([XNLI], confirm={**CONFIRM, "report": "median"})
    (leader,) = leaderboard(study.resolve(XNLI), script.journal)
    assert leader.scores == {"dev.accuracy": 0.0, "dev.mean.accuracy": 0.0}


def test_a_degenerate_seed_is_reported_as_measured(tmp_path):
    script = Script(tmp_path)
    name = script.begin(RTE, LOW, 11, "confirm")
    script.attempt(name)
    script.report(name, 100, {"accuracy": 0.527}, status="degenerate")
    script.end(name, "degenerate", 0.0, {"accuracy": 0.527})
    (leader,) = leaderboard(parsed(confirm=CONFIRM).resolve(RTE), script.journal)
    assert leader.score == 0.527


@pytest.mark.parametrize("phase", ["search", "confirm"])
def test_what_learned_nothing_leads_only_where_nothing_else_did(tmp_path, phase):
    """Guessing the larger class of MRPC is 68.4, which some that learn stay below."""
    script = Script(tmp_path)
    for seed in (11, 12, 13) if phase == "confirm" else (1,):
        name = script.begin(RTE, LOW, seed, phase)
        script.attempt(name)
        script.report(name, 100, {"accuracy": 0.684}, status="degenerate")
        script.end(name, "degenerate", 0.0, {"accuracy": 0.684})
    study_, alone = parsed(confirm=CONFIRM), read_journal(tmp_path)
    assert leaderboard(study_.resolve(RTE), alone)[0].configuration == LOW
    for seed in (11, 12, 13) if phase == "confirm" else (1,):
        script.trial(RTE, MID, {"accuracy": 0.68}, seed, phase)
    assert [s.configuration for s in leaderboard(study_.resolve(RTE), script.journal)] == [MID, LOW]


def test_what_counts_is_the_evaluation_that_the_study_selects(tmp_path):
    script = Script(tmp_path)
    name = script.begin(RTE, LOW)
    script.attempt(name)
    script.report(name, 100, {"accuracy": 0.6}, status="finished")
    script.end(name, "finished", 0.6, {"accuracy": 0.8}, {"accuracy": 0.6})
    last = parsed(search={"trials": 3, "select": "last"})
    assert [leaderboard(s.resolve(RTE), script.journal)[0].score for s in (last, parsed())] == [
        0.6,
        0.8,
    ]


def test_stopped_diverged_and_failed_trials_do_not_compete(tmp_path):
    script = Script(tmp_path)
    script.stopped(RTE, LOW, {"accuracy": 0.99})
    script.diverged(RTE, MID, before={"accuracy": 0.98})
    script.end(script.begin(RTE, HIGH), "failed", None, error="MemoryError")
    assert script.journal.ranked(RTE) == []
    assert leaderboard(parsed().resolve(RTE), script.journal) == []


def test_equal_scores_rank_by_number(tmp_path):
    script = Script(tmp_path)
    for point in (HIGH, LOW, MID):
        script.trial(RTE, point, {"accuracy": 0.7})
    assert [r.configuration for r in script.journal.ranked(RTE)] == [HIGH, LOW, MID]


def test_the_best_trial_of_the_charts_is_that_of_the_table(tmp_path):
    """A stopped trial scored more, and a later one as much."""
    script, task = Script(tmp_path), parsed().resolve(RTE)
    script.stopped(RTE, MID, {"accuracy": 0.9})
    script.trial(RTE, HIGH, {"accuracy": 0.7})
    script.trial(RTE, LOW, {"accuracy": 0.7})
    assert leaderboard(task, script.journal)[0].configuration == HIGH
    assert best_of_search(task, script.journal).configuration == HIGH
    assert "The best scored 70.0: trial 1 " in history(task, script.journal).summary
    chart = parallel_coordinates(task, script.journal)
    assert "The best is 1 with 70.0:" in chart.summary
    assert [row[0] for row in chart.rows] == ["1", "0", "2"]


def test_a_plan_is_the_search_and_then_the_seeds_of_the_best(tmp_path):
    script = Script(tmp_path)
    assert planned_trials(parsed().resolve(RTE), script.journal) == {"search": 3, "confirm": 0}
    assert planned_trials(parsed(confirm=CONFIRM).resolve(RTE), script.journal) == {
        "search": 3,
        "confirm": 6,
    }
    fixed = parsed(space={}, fixed=LOW, confirm=CONFIRM)
    assert planned_trials(fixed.resolve(RTE), script.journal) == {"search": 0, "confirm": 3}
    alone = parsed(space={}, fixed=LOW)
    assert planned_trials(alone.resolve(RTE), script.journal) == {"search": 1, "confirm": 0}


def test_no_more_is_confirmed_than_has_finished(tmp_path):
    script, asked = Script(tmp_path), parsed(confirm=CONFIRM)
    script.trial(RTE, LOW, {"accuracy": 0.7})
    script.stopped(RTE, MID, {"accuracy": 0.6})
    assert planned_trials(asked.resolve(RTE), script.journal) == {"search": 3, "confirm": 6}
    script.stopped(RTE, HIGH, {"accuracy": 0.5})
    assert planned_trials(asked.resolve(RTE), script.journal) == {"search": 3, "confirm": 3}
    assert not is_complete(asked.resolve(RTE), script.journal)
    for seed in (11, 12, 13):
        script.trial(RTE, LOW, {"accuracy": 0.7}, seed, "confirm")
    assert is_complete(asked.resolve(RTE), script.journal)


def test_a_search_that_ran_out_of_hours_is_as_long_as_it_got(tmp_path):
    script = Script(tmp_path)
    script.trial(RTE, LOW, {"accuracy": 0.7})
    asked = parsed(search={"trials": 3, "hours": 0.5})
    assert planned_trials(asked.resolve(RTE), script.journal)["search"] == 3
    script.now += 3600
    script.trial(RTE, MID, {"accuracy": 0.7})
    assert searched_hours(script.journal) == pytest.approx(1, abs=0.01)
    assert planned_trials(asked.resolve(RTE), script.journal)["search"] == 2
    assert is_complete(asked.resolve(RTE), script.journal)


def test_standings_of_a_folder_are_those_of_its_writer(tmp_path):
    write_study(tmp_path, tasks=[RTE], model="scratch")
    script = Script(tmp_path)
    script.trial(RTE, {}, {"accuracy": 0.7})
    loaded = study.load(tmp_path / "study.yaml")
    assert leaderboard(loaded.resolve(RTE), read_journal(tmp_path)) == leaderboard(
        loaded.resolve(RTE), script.journal
    )


def failed(script, point, seed, reached):
    """A seed that failed half way, as 0.1.1 wrote it: with the score that it had reached."""
    name = script.begin(RTE, point, seed, "confirm")
    script.attempt(name)
    script.report(name, 50, {"accuracy": reached})
    script.end(name, "failed", reached, {"accuracy": reached}, error="MemoryError: does not fit")


def test_a_seed_that_failed_counts_for_nothing_whatever_it_had_reached(tmp_path):
    script = Script(tmp_path)
    failed(script, LOW, 11, 0.55)
    for seed, accuracy in ((12, 0.91), (13, 0.92)):
        script.trial(RTE, LOW, {"accuracy": accuracy}, seed, "confirm")
    (leader,) = leaderboard(parsed(confirm=CONFIRM).resolve(RTE), script.journal)
    assert leader.score == pytest.approx(0.915)
    assert leader.standard_deviation == pytest.approx(statistics.stdev([0.91, 0.92]))
    assert ([r.seed for r in leader.trials], [r.seed for r in leader.missing]) == ([12, 13], [11])
    lost = leader.missing[0]
    assert (lost.score, lost.best, lost.last) == (None, {}, {})
    assert [report.scores for report in lost.reports] == [{"dev.accuracy": 0.55}]


def test_a_lucky_seed_of_three_does_not_lead_one_that_has_all_three(tmp_path):
    script = Script(tmp_path)
    for seed in (11, 12, 13):
        script.trial(RTE, LOW, {"accuracy": 0.8}, seed, "confirm")
    script.trial(RTE, MID, {"accuracy": 0.95}, 11, "confirm")
    for seed in (12, 13):
        failed(script, MID, seed, 0.6)
    leader, other = leaderboard(parsed(confirm=CONFIRM).resolve(RTE), script.journal)
    assert (leader.configuration, leader.score, leader.seeds) == (LOW, 0.8, 3)
    assert (other.configuration, other.score, len(other.trials), other.seeds) == (MID, 0.95, 1, 3)


def test_a_confirmation_of_which_every_seed_failed_has_no_result(tmp_path):
    script, asked = Script(tmp_path), parsed(confirm={**CONFIRM, "top": 1})
    for point, accuracy in ((LOW, 0.7), (MID, 0.6), (HIGH, 0.5)):
        script.trial(RTE, point, {"accuracy": accuracy})
    for seed in (11, 12):
        failed(script, LOW, seed, 0.55)
    assert (
        leaderboard(asked.resolve(RTE), script.journal)[0].trials[0].phase == "search"
    )  # one is to come
    failed(script, LOW, 13, 0.55)
    assert is_complete(asked.resolve(RTE), script.journal)
    assert leaderboard(asked.resolve(RTE), script.journal) == []


def test_the_next_confirmed_configuration_leads_where_every_seed_of_the_first_failed(tmp_path):
    script = Script(tmp_path)
    script.trial(RTE, LOW, {"accuracy": 0.7})
    script.trial(RTE, MID, {"accuracy": 0.6})
    for seed in (11, 12, 13):
        failed(script, LOW, seed, 0.9)
        script.trial(RTE, MID, {"accuracy": 0.58}, seed, "confirm")
    (leader,) = leaderboard(parsed(confirm=CONFIRM).resolve(RTE), script.journal)
    assert (leader.configuration, leader.score) == (MID, 0.58)


def test_other_seeds_and_a_new_best_are_confirmed_before_a_task_is_complete(tmp_path):
    script, asked = Script(tmp_path), parsed(confirm={**CONFIRM, "top": 1})
    for point, accuracy in ((LOW, 0.7), (MID, 0.6), (HIGH, 0.5)):
        script.trial(RTE, point, {"accuracy": accuracy})
    for seed in (11, 12, 13):
        script.trial(RTE, LOW, {"accuracy": 0.7}, seed, "confirm")
    assert is_complete(asked.resolve(RTE), script.journal)
    others = parsed(confirm={"top": 1, "seeds": [21, 22]})
    assert not is_complete(others.resolve(RTE), script.journal)
    assert leaderboard(others.resolve(RTE), script.journal)[0].trials[0].phase == "search"
    more = parsed(
        space={"LR": {"choice": [1e-5, 2e-5, 3e-5, 4e-5]}},
        search={"trials": 4}, confirm={**CONFIRM, "top": 1},
    )  # fmt: skip
    script.trial(RTE, {"LR": 4e-5}, {"accuracy": 0.9})
    assert not is_complete(more.resolve(RTE), script.journal)


def test_hours_are_those_of_each_sessions_own_clock(tmp_path):
    folder = Journal(tmp_path)
    folder.write(SessionEvent(at=1e9, elapsed=0.0))
    folder.write(
        TrialEvent(trial="t0", number=0, task=RTE, phase="search", configuration={}, seed=1)
    )
    folder.write(RepeatEvent(trial="t0", at=1e9 + 9 * 3600, elapsed=3600.0))  # a night passed
    folder.write(SessionEvent(at=1e9, elapsed=0.0))
    folder.write(RepeatEvent(trial="t0", at=1e8, elapsed=1800.0))  # the clock was set back
    assert searched_hours(folder) == 1.5
    folder.write(SessionEvent(at=1e9))  # as 0.1.1 wrote them
    folder.write(RepeatEvent(trial="t0", at=1e9 + 900))
    assert searched_hours(folder) == 1.75
    folder.write(SessionEvent(at=1e9))
    folder.write(RepeatEvent(trial="t0", at=1e9 - 900))
    assert searched_hours(folder) == 1.75


def divided_run(folder):
    """A search and a confirmation in which the two parts of dev prefer other configurations."""
    script = Script(folder)
    script.parts = {"searched": {"dev": 139}, "held_out": {"dev": 138}}
    for point, selects, printed in ((LOW, 0.95, 0.70), (MID, 0.90, 0.75), (HIGH, 0.80, 0.99)):
        script.trial(RTE, point, {"search.accuracy": selects, "accuracy": printed})
    for seed, low, mid in ((11, 0.92, 0.85), (12, 0.91, 0.84), (13, 0.90, 0.83)):
        parts = {"search.accuracy": low, "accuracy": 1.6 - low}
        script.trial(RTE, LOW, parts, seed, "confirm")
        script.trial(RTE, MID, {"search.accuracy": mid, "accuracy": 0.9}, seed, "confirm")
    return script


DIVIDED = {"search": {"trials": 3, "hold_out": 0.5, "seed": 4}, "confirm": CONFIRM}


def test_with_hold_out_one_part_ranks_and_the_other_one_is_printed(tmp_path):
    task = parsed(**DIVIDED).resolve(RTE)
    records = divided_run(tmp_path).journal
    assert [r.configuration for r in records.ranked(RTE)] == [LOW, MID, HIGH]
    leader, other = leaderboard(task, records)
    assert (leader.configuration, other.configuration) == (LOW, MID)
    assert leader.selection_score == pytest.approx(0.91)
    assert leader.score == pytest.approx(0.69)  # less than the other's, which did not select
    assert leader.standard_deviation == pytest.approx(statistics.stdev([0.68, 0.69, 0.70]))
    assert leader.best_trial.seed == 11  # whose weights are kept, by the part that selects


def test_with_hold_out_table_and_best_study_say_what_was_searched_and_printed(tmp_path):
    write_study(
        tmp_path,
        name="divided",
        tasks=[RTE],
        model="scratch",
        space={"LR": {"choice": [1e-5, 2e-5, 3e-5]}},
        **DIVIDED,
    )
    divided_run(tmp_path).close()
    table = results.write_exports(tmp_path)
    assert table.row("Result").cells[0].text == "69.0"
    note = "RTE: searched on 139 examples of dev, printed on the other 138."
    assert note in table.notes
    text = (tmp_path / "glue-rte" / "best.yaml").read_text()
    assert "accuracy 69.00 on the held-out part of dev, the median of 3 seeds" in text
    best = study.load(tmp_path / "glue-rte" / "best.yaml")
    assert (best.search.hold_out, best.search.seed) == (0.5, 4)  # the same division
