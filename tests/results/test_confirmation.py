"""The choice of the winner on seeds of its own, the race, and the published setting."""

import random

import pytest
from support.run_folders import Script

from raysearch import study
from raysearch.results.leaderboard import (
    confirmation,
    is_complete,
    leaderboard,
    planned_trials,
    published_setting,
)
from raysearch.results.paper_table import paper_table
from raysearch.run_folder import JOURNAL_NAME

RTE = "glue/rte"
LOW, MID, HIGH = ({"LR": 1e-5}, {"LR": 2e-5}, {"LR": 3e-5})
CHOOSE, SEEDS = (21, 22, 23), (11, 12)
CONFIRM = {"top": 3, "choose": list(CHOOSE), "seeds": list(SEEDS)}
PUBLISHED = [
    {"row": "without settings", "source": "a page", "results": {RTE: {"scores": {"accuracy": 70}}}},
    {"row": "outside", "source": "a page", "results": {RTE: {"settings": {"LR": 9e-5}}}},
    {"row": "paper", "source": "a page", "results": {RTE: {"settings": {"LR": 1e-5, "EPOCH": 3}}}},
]
SEARCHED = ((LOW, 0.7), (MID, 0.8), (HIGH, 0.9))


def parsed(**confirm):
    raw = {
        "tasks": [RTE],
        "model": "scratch",
        "space": {"LR": {"choice": [1e-5, 2e-5, 3e-5]}},
        "fixed": {"EPOCH": 3},
        "search": {"trials": 3},
        "confirm": {**CONFIRM, **confirm},
        "published": PUBLISHED,
    }
    return study.parse(raw).resolve(RTE)


@pytest.fixture
def script(tmp_path):
    """A search that is over; its best is HIGH, then MID, then LOW."""
    script = Script(tmp_path)
    for point, accuracy in SEARCHED:
        script.trial(RTE, point, {"accuracy": accuracy})
    return script


def choosing(script, scores):
    """Trials of the choice: for each configuration its scores with the choosing seeds."""
    for point, values in scores:
        for seed, accuracy in zip(CHOOSE, values, strict=False):
            ended(script, point, seed, accuracy)


def ended(script, point, seed, accuracy):
    """A trial of the confirmation; one without accuracy failed."""
    if accuracy is None:
        name = script.begin(RTE, point, seed, "confirm")
        script.end(name, "failed", None, error="MemoryError")
    else:
        script.trial(RTE, point, {"accuracy": accuracy}, seed, "confirm")


def printed(script, point, *scores):
    for seed, accuracy in zip(SEEDS, scores, strict=True):
        ended(script, point, seed, accuracy)


def trials(task, script):
    return [(point["LR"], seed) for point, seed in confirmation(task, script.journal).trials]


def notes(task, script):
    return paper_table(task.study, script.journal).notes


def test_the_best_of_the_search_are_trained_with_the_choosing_seeds_and_then_the_winner(script):
    task = parsed()
    assert planned_trials(task, script.journal) == {"search": 3, "confirm": 9 + 2}
    assert trials(task, script) == [(p["LR"], s) for p in (HIGH, MID, LOW) for s in CHOOSE]
    choosing(script, [(LOW, (0.9, 0.5, 0.5)), (MID, (0.6, 0.7, 0.8)), (HIGH, (0.6, 0.6, 0.6))])
    assert trials(task, script)[9:] == [(2e-5, 11), (2e-5, 12)]  # MID has the best mean
    assert planned_trials(task, script.journal) == {"search": 3, "confirm": 11}
    assert not is_complete(task, script.journal)
    printed(script, MID, 0.50, 0.52)
    assert is_complete(task, script.journal)


def test_only_the_printed_seeds_of_the_winner_are_scored(script):
    choosing(script, [(LOW, (0.9,) * 3), (MID, (0.8,) * 3), (HIGH, (0.7,) * 3)])
    printed(script, LOW, 0.50, 0.60)
    (leader,) = leaderboard(parsed(), script.journal)
    assert (leader.configuration, leader.score) == (LOW, pytest.approx(0.55))
    assert [record.seed for record in leader.trials] == [11, 12]
    table = paper_table(parsed().study, script.journal)
    assert table.row("Result").cells[0].text == "55.0"
    assert table.row("Seeds").cells[0].text == "2"
    (note,) = [note for note in table.notes if note.startswith("Chosen")]
    assert note == (
        "Chosen among the top 3 by the mean over seeds 21, 22, 23; printed on seeds 11, 12 alone."
    )


def test_the_mean_chooses_whatever_is_printed(script):
    """The median would choose LOW, the maximum HIGH."""
    choosing(
        script, [(LOW, (0.70, 0.70, 0.40)), (MID, (0.65, 0.66, 0.67)), (HIGH, (0.9, 0.4, 0.4))]
    )
    for report in ("median", "mean", "max"):
        assert confirmation(parsed(report=report), script.journal).competing == (MID,)


def test_without_choosing_seeds_all_compete_on_the_printed_ones_and_the_note_says_the_cost(script):
    task = parsed(choose=[])
    assert planned_trials(task, script.journal) == {"search": 3, "confirm": 6}
    assert trials(task, script) == [(p["LR"], s) for p in (HIGH, MID, LOW) for s in SEEDS]
    for point, accuracy in SEARCHED:
        printed(script, point, accuracy, accuracy)
    assert [ranked.configuration for ranked in leaderboard(task, script.journal)] == [
        HIGH,
        MID,
        LOW,
    ]
    (note,) = [note for note in notes(task, script) if note.startswith("Chosen")]
    assert "printed on the same seeds 11, 12: the winner is printed too high" in note
    assert not any(n.startswith("Chosen") for n in notes(parsed(choose=[], top=1), script))


def test_with_hold_out_the_simulated_amount_is_not_named(script):
    searched = study.parse(
        {**study.as_mapping(parsed(choose=[]).study), "search": {"trials": 3, "hold_out": 0.5}}
    )
    (note,) = [n for n in paper_table(searched, script.journal).notes if n.startswith("Chosen")]
    assert "the winner is printed too high, by an amount that is not known" in note
    assert "0.3" not in note


@pytest.mark.parametrize("race", [False, True])
def test_choosing_seeds_without_a_space_are_told_to_have_no_effect(tmp_path, race):
    raw = {"tasks": [RTE], "model": "scratch", "confirm": CONFIRM | {"race": race}}
    searched, script = study.parse(raw), Script(tmp_path)
    for seed in SEEDS:
        ended(script, {}, seed, 0.7)
    told = paper_table(searched, script.journal).notes
    which = "confirm.choose and confirm.race have" if race else "confirm.choose has"
    assert f"RTE: there is one configuration and nothing to choose: {which} no effect." in told
    assert not any(note.startswith("Chosen") for note in told)


def test_a_search_of_which_one_trial_has_ended_may_still_choose(tmp_path):
    script = Script(tmp_path)
    script.trial(RTE, LOW, {"accuracy": 0.7})
    assert not [note for note in notes(parsed(), script) if "to choose" in note]


@pytest.mark.parametrize("hold_out", [None, 0.5])
def test_examples_that_are_divided_are_not_said_to_be_scored(script, hold_out):
    raw = {**study.as_mapping(parsed().study), "search": {"trials": 3, "hold_out": hold_out}}
    raw["fixed"] = raw["fixed"] | {"dev_examples": 100}
    note = paper_table(study.parse(raw), script.journal).notes[0]
    verb = "Divided:" if hold_out else "Scored on"
    assert f" {verb} 100 examples of each dev split." in note


def test_a_candidate_that_failed_or_diverged_with_all_choosing_seeds_is_no_rival(script):
    choosing(script, [(LOW, (0.5, 0.5, None)), (MID, (None, None, None))])
    for seed in CHOOSE:
        script.diverged(RTE, HIGH, seed, "confirm", before={"accuracy": 0.99})
    assert confirmation(parsed(), script.journal).competing == (LOW,)
    assert (
        "RTE: no rival, failed or diverged with every choosing seed: LR=3e-05; LR=2e-05."
        in notes(parsed(), script)
    )


def test_a_lucky_choosing_seed_of_three_does_not_win(script):
    lucky = (0.99, None, None)
    choosing(script, [(LOW, (0.5,) * 3), (MID, lucky), (HIGH, (0.4,) * 3)])
    assert confirmation(parsed(), script.journal).competing == (LOW,)


def test_without_a_rival_there_is_no_result_and_it_is_told(script):
    choosing(script, [(point, (None, None, None)) for point in (LOW, MID, HIGH)])
    task = parsed()
    assert is_complete(task, script.journal)
    assert leaderboard(task, script.journal) == []
    assert (
        "RTE: no winner: none of 3 configurations has a result with the choosing seeds."
        in notes(task, script)
    )


def test_a_winner_whose_printed_seeds_all_failed_is_told_and_no_other_takes_its_place(script):
    choosing(script, [(LOW, (0.9,) * 3), (MID, (0.8,) * 3), (HIGH, (0.7,) * 3)])
    printed(script, LOW, None, None)
    task = parsed()
    assert is_complete(task, script.journal)
    assert leaderboard(task, script.journal) == []
    assert any(
        "no result: every printed trial of its winner failed" in n for n in notes(task, script)
    )


def test_a_single_candidate_needs_no_choice(tmp_path):
    script = Script(tmp_path)
    script.trial(RTE, LOW, {"accuracy": 0.7})
    for point in (MID, HIGH):
        script.stopped(RTE, point, {"accuracy": 0.6})
    assert trials(parsed(), script) == [(1e-5, 11), (1e-5, 12)]
    assert planned_trials(parsed(), script.journal) == {"search": 3, "confirm": 2}


RACE = {"race": True}


def test_a_race_goes_round_by_round_and_drops_what_has_fallen_behind(script):
    task = parsed(**RACE)
    assert planned_trials(task, script.journal)["confirm"] == 9 + 2
    assert trials(task, script) == [(3e-5, 21), (2e-5, 21), (1e-5, 21)]
    choosing(script, [(LOW, (0.5,)), (MID, (0.8,)), (HIGH, (0.8,))])
    assert len(trials(task, script)) == 6  # one seed tells nothing of the spread
    assert planned_trials(task, script.journal)["confirm"] == 9 + 2
    for point, accuracy in ((LOW, 0.52), (MID, 0.82), (HIGH, 0.81)):
        ended(script, point, 22, accuracy)
    assert trials(task, script)[6:] == [(3e-5, 23), (2e-5, 23)]
    assert planned_trials(task, script.journal)["confirm"] == 8 + 2
    assert (
        "RTE: 1 of 3 configurations were dropped from the race, as too far behind to win:"
        " LR=1e-05 after seed 22." in notes(task, script)
    )
    ended(script, HIGH, 23, 0.7)
    ended(script, MID, 23, 0.8)
    assert trials(task, script)[8:] == [(2e-5, 11), (2e-5, 12)]


def test_a_race_that_one_is_left_of_is_over(script):
    choosing(script, [(LOW, (0.5, 0.5)), (MID, (0.9, 0.9)), (HIGH, (0.6, 0.6))])
    task = parsed(**RACE)
    assert trials(task, script)[6:] == [(2e-5, 11), (2e-5, 12)]
    assert planned_trials(task, script.journal)["confirm"] == 8


def test_a_race_drops_a_candidate_that_has_only_failed(script):
    choosing(script, [(LOW, (None, None)), (MID, (0.8, 0.7)), (HIGH, (0.8, 0.72))])
    task = parsed(**RACE)
    assert trials(task, script)[6:] == [(3e-5, 23), (2e-5, 23)]
    assert any("no rival" in note and "LR=1e-05" in note for note in notes(task, script))


def test_a_race_decides_the_same_in_whatever_order_its_trials_end(tmp_path):
    generator = random.Random(3)
    true = ((LOW, 0.60), (MID, 0.70), (HIGH, 0.72))
    scores = {(p["LR"], s): generator.gauss(mean, 0.02) for p, mean in true for s in CHOOSE}
    task, plans = parsed(**RACE), []
    for _ in range(6):
        script = Script(tmp_path)
        for point, accuracy in SEARCHED:
            script.trial(RTE, point, {"accuracy": accuracy})
        while not confirmation(task, script.journal).choice.is_over:
            over = {(r.configuration["LR"], r.seed) for r in script.journal.of(RTE, "confirm")}
            rate, seed = generator.choice([p for p in trials(task, script) if p not in over])
            script.trial(RTE, {"LR": rate}, {"accuracy": scores[rate, seed]}, seed, "confirm")
        plans.append(trials(task, script))
        script.close()
        (tmp_path / JOURNAL_NAME).unlink()
    assert plans == [plans[0]] * 6
    assert len(plans[0]) < 9 + 2  # something was dropped


def test_other_choosing_seeds_between_two_sessions_choose_again(script):
    choosing(script, [(LOW, (0.9,) * 3), (MID, (0.8,) * 3), (HIGH, (0.7,) * 3)])
    printed(script, LOW, 0.5, 0.5)
    assert is_complete(parsed(), script.journal)
    others = parsed(choose=[31, 32])
    assert not is_complete(others, script.journal)
    assert leaderboard(others, script.journal)[0].trials[0].phase == "search"
    for seed in (31, 32):
        for point, accuracy in ((LOW, 0.6), (MID, 0.7), (HIGH, 0.8)):
            ended(script, point, seed, accuracy)
    assert trials(others, script)[6:] == [(3e-5, 11), (3e-5, 12)]
    printed(script, HIGH, 0.6, 0.6)
    assert is_complete(others, script.journal)
    assert leaderboard(others, script.journal)[0].configuration == HIGH


def test_printed_seeds_of_a_session_without_a_choice_are_not_planned_twice(script):
    for point in (MID, HIGH):
        printed(script, point, 0.6, 0.6)
    assert is_complete(parsed(choose=[], top=2), script.journal)
    task = parsed(top=2)
    assert planned_trials(task, script.journal) == {"search": 3, "confirm": 4 + 6}
    choosing(script, [(MID, (0.8,) * 3), (HIGH, (0.7,) * 3)])
    assert planned_trials(task, script.journal) == {"search": 3, "confirm": 4 + 6}
    assert is_complete(task, script.journal)


def test_the_published_setting_is_trained_too_and_does_not_compete(script):
    task = parsed(published=True, top=2)
    assert task.published_setting.row == "paper"
    assert planned_trials(task, script.journal) == {"search": 3, "confirm": 6 + 2 + 2}
    assert trials(task, script)[6:] == [(1e-5, 11), (1e-5, 12)]  # while the others choose
    choosing(script, [(MID, (0.8,) * 3), (HIGH, (0.7,) * 3)])
    assert trials(task, script)[6:] == [(2e-5, 11), (2e-5, 12), (1e-5, 11), (1e-5, 12)]
    printed(script, LOW, 0.9, 0.9)
    printed(script, MID, 0.7, 0.8)
    assert is_complete(task, script.journal)
    (leader,) = leaderboard(task, script.journal)
    assert leader.configuration == MID
    assert published_setting(task, script.journal).score == pytest.approx(0.9)
    table = paper_table(task.study, script.journal)
    assert table.row("Result").cells[0].text == "75.0"
    assert table.row("published setting").cells[0].text == "90.0"
    assert table.row("winner minus published setting").cells[0].text == "-15.0"
    assert any("the settings of paper (RTE)" in note for note in table.notes)


def test_the_published_setting_that_wins_is_trained_once_and_its_row_says_so(script):
    task = parsed(published=True)
    choosing(script, [(LOW, (0.9,) * 3), (MID, (0.8,) * 3), (HIGH, (0.7,) * 3)])
    assert trials(task, script)[9:] == [(1e-5, 11), (1e-5, 12)]
    printed(script, LOW, 0.5, 0.6)
    assert is_complete(task, script.journal)
    table = paper_table(task.study, script.journal)
    assert table.row("published setting").cells[0].text == "55.0 (the winner)"
    competes = "It competes with the winner only where it is among the best 3 of the search."
    assert any(note.endswith(competes) for note in table.notes)
    assert table.row("winner minus published setting").cells[0].text == "-"


def test_beside_candidates_on_the_same_seeds_the_published_setting_does_not_compete(script):
    task = parsed(choose=[], top=1, published=True)
    assert trials(task, script) == [(3e-5, 11), (3e-5, 12), (1e-5, 11), (1e-5, 12)]
    printed(script, HIGH, 0.6, 0.6)
    printed(script, LOW, 0.9, 0.9)
    assert [r.configuration for r in leaderboard(task, script.journal)] == [HIGH]
    without = parsed(choose=[], top=1, published=False)  # the study was edited after the run
    assert [r.configuration for r in leaderboard(without, script.journal)] == [HIGH]
