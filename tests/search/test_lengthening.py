"""A search that is lengthened proposes and trains what the longer one would have at once."""

import json

import pytest
from support.queues import drive_queue
from test_chains import MNLI, MRPC, PLANS, ToyRun
from test_chains import parsed as chained
from test_trial_queue import HALVES, RANGES, RTE, opened, parsed, points, toy_trial

from raysearch import search, study
from raysearch.errors import InputError
from raysearch.results.leaderboard import is_complete, leaderboard
from raysearch.results.paper_table import paper_table
from raysearch.run_folder import read_journal
from raysearch.search import optuna_file
from raysearch.search.lengthening import trials_problems, with_trials, write_length

GRID = {"BSZ": {"choice": [16, 32, 48]}, "LR": {"choice": [1e-5, 2e-5, 3e-5, 4e-5]}}
WIDE = {"BSZ": {"int": [8, 40]}, "EPOCH": {"int": [2, 9]}}
FIRST = [{"LR": 3e-4, "weight_decay": 0.03}, {"LR": 2e-4, "weight_decay": 0.01}] * 2
FIRST = [dict(point, weight_decay=number / 100) for number, point in enumerate(FIRST)]
CHOOSE = {"top": 2, "choose": [21, 22, 23], "race": True, "seeds": [11, 12]}
STUDIES = {
    "random": {"space": RANGES, "search": {"sampler": "random"}},
    "tpe": {"space": RANGES, "search": {"sampler": "tpe"}},
    "tpe of cells, with repeats": {"space": GRID, "search": {"sampler": "tpe"}},
    "cmaes": {"space": RANGES, "search": {"sampler": "cmaes"}},
    "cmaes of cells": {"space": WIDE, "search": {"sampler": "cmaes"}},
    "qmc": {"space": RANGES, "search": {"sampler": "qmc"}},
    "gp, few": {"space": RANGES, "search": {"sampler": "gp"}},
    "nsga2": {"space": RANGES, "search": {"sampler": "nsga2"}},
    "nsga2 against device hours": {
        "space": RANGES,
        "search": {"sampler": "nsga2", "minimize": "device_hours"},
    },
    "grid": {"space": WIDE, "search": {"sampler": "grid"}},
    "halving": {"space": RANGES, "search": {"sampler": "tpe", "stop_early": HALVES}},
    "median": {"space": RANGES, "search": {"stop_early": {"rule": "median", "at": [0.5]}}},
    "hyperband": {"space": RANGES, "search": {"stop_early": {"rule": "hyperband", "at": [0.5]}}},
    "start list": {"space": RANGES, "search": {"start_from": FIRST}},
}


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)


def with_halves(raw, trials, confirm):
    raw = {"confirm": confirm, **raw, "search": {**raw["search"], "trials": trials}}
    return parsed(**raw)


def searched(folder, raw, *lengths, lanes=1, confirm=None):
    """The search's trials after sessions of so many planned trials each."""
    for trials in lengths:
        confirm = {"top": 2, "seeds": [11, 12]} if confirm is None else confirm
        queue = opened(with_halves(raw, trials, confirm), folder)
        drive_queue(queue, toy_trial, lanes)
        assert is_complete(queue.study.resolve(RTE), queue.journal)
        queue.journal.close()
    return queue


def facts(queue):
    return [(r.id, r.configuration, r.status, r.score) for r in queue.journal.of(RTE, "search")]


@pytest.mark.parametrize("name", STUDIES)
def test_with_one_lane_a_lengthened_search_trains_what_the_longer_one_does_at_once(name, tmp_path):
    first, total = (2, 9) if "start" in name else (5, 12) if "," in name else (13, 26)
    at_once = searched(tmp_path / "at once", STUDIES[name], total)
    in_two = searched(tmp_path / "in two", STUDIES[name], first, total)
    assert facts(in_two) == facts(at_once)
    assert len(facts(at_once)) == total
    repeats = [sum(r.repeats for r in queue.journal.of(RTE)) for queue in (at_once, in_two)]
    assert repeats[0] == repeats[1]
    assert repeats[0] > 0 or "repeats" not in name
    seen = {r.id for r in in_two.journal.of(RTE, "confirm")}
    assert seen >= {r.id for r in at_once.journal.of(RTE, "confirm")}


@pytest.mark.parametrize("name", ["random", "grid", "qmc"])
def test_with_several_lanes_the_trials_are_the_same_where_no_result_is_learned_from(name, tmp_path):
    at_once = searched(tmp_path / "at once", STUDIES[name], 24, lanes=3)
    in_two = searched(tmp_path / "in two", STUDIES[name], 10, 24, lanes=3)
    assert [r.id for r in in_two.journal.of(RTE, "search")] == [
        r.id for r in at_once.journal.of(RTE, "search")
    ]


def test_what_was_confirmed_is_not_trained_again_and_new_winners_are(tmp_path):
    raw = STUDIES["random"]
    queue = searched(tmp_path, raw, 6)
    before = {r.id for r in queue.journal.of(RTE, "confirm")}
    again = opened(with_halves(raw, 24, {"top": 2, "seeds": [11, 12]}), tmp_path)
    begun = drive_queue(again, toy_trial, 1)
    confirmed = [r for r in begun if r.phase == "confirm"]
    best = sorted(again.journal.of(RTE, "search"), key=lambda r: -r.score)[:2]
    assert {points([r])[0] for r in confirmed} <= set(points(best))
    assert before.isdisjoint(r.id for r in confirmed)
    assert confirmed
    (leader, *_) = leaderboard(again.study.resolve(RTE), again.journal)
    assert points(leader.trials)[0] == points(best)[0]


def test_a_race_goes_on_among_the_best_of_the_longer_search(tmp_path):
    at_once = searched(tmp_path / "at once", STUDIES["random"], 24, confirm=CHOOSE)
    in_two = searched(tmp_path / "in two", STUDIES["random"], 6, 24, confirm=CHOOSE)
    winners = [
        leaderboard(q.study.resolve(RTE), q.journal)[0].configuration for q in (at_once, in_two)
    ]
    assert winners[0] == winners[1]


def test_the_study_and_the_journal_have_the_new_number_and_the_table_tells_both(tmp_path):
    raw = {"space": RANGES, "search": {"sampler": "random", "trials": 3}}
    short = parsed(**raw)
    queue = opened(short, tmp_path)
    (tmp_path / "study.yaml").write_text(study.dump(short))
    drive_queue(queue, toy_trial, 1)
    recorded = {"study": study.as_mapping(short)}
    long = with_trials(short, 5)
    write_length(tmp_path, long, queue.journal, recorded)
    write_length(tmp_path, long, queue.journal, recorded)  # killed before the provenance
    assert study.load(tmp_path / "study.yaml").search.trials == 5
    lengthened = read_journal(tmp_path).lengthened
    assert [(event.before, event.trials) for event in lengthened] == [(3, 5)]
    notes = paper_table(long, queue.journal).notes
    assert "Trials of the search: 3 were planned at first, then 5." in notes


@pytest.mark.parametrize(
    ("trials", "text"),
    [
        (2, "3 of glue/rte have begun; 3 or more would do, got 2"),
        (0, "a whole number from 1 to 1,000,000 is needed, got 0"),
        (True, "a whole number from 1 to 1,000,000 is needed, got True"),
        ("9", "a whole number from 1 to 1,000,000 is needed, got '9'"),
        (10**7, "a whole number from 1 to 1,000,000 is needed, got 10000000"),
    ],
)
def test_a_number_that_cannot_be_is_refused(trials, text, tmp_path):
    queue = opened(parsed(space=RANGES, search={"sampler": "random", "trials": 3}), tmp_path)
    drive_queue(queue, toy_trial, 1)
    assert [
        p.text for p in trials_problems(queue.journal.folder, queue.study, queue.journal, trials)
    ] == [text]
    assert trials_problems(queue.journal.folder, queue.study, queue.journal, 3) == []
    assert trials_problems(queue.journal.folder, queue.study, queue.journal, 4) == []


def test_a_space_that_is_planned_whole_and_one_without_dimensions_are_not_lengthened(tmp_path):
    whole = opened(parsed(search={"sampler": "grid", "trials": 12}), tmp_path / "whole")
    (problem,) = trials_problems(whole.journal.folder, whole.study, whole.journal, 24)
    assert problem.text == ("every configuration of the space is planned already: 12 of glue/rte")
    confirm = {"seeds": [11]}
    fixed = opened(parsed(space={}, fixed={"LR": 1e-5}, confirm=confirm), tmp_path / "fixed")
    (problem,) = trials_problems(fixed.journal.folder, fixed.study, fixed.journal, 24)
    assert problem.text == "the study searches nothing: its space is empty"


def test_a_chain_is_not_lengthened_once_the_weights_of_each_seed_that_it_starts_from_are_gone(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(optuna_file, "export", lambda *_: None)
    for name in ("search alone", "same seeds"):
        rates = [n * 1e-5 for n in range(1, 6)]
        parts = {**PLANS[name], "space": {"LR": {"choice": rates}}}
        run = ToyRun(tmp_path / name, chained((MRPC, RTE, MNLI), trials=3, **parts))
        run.run()
        problems = trials_problems(run.folder, run.study, run.journal, 5)
        lost = {problem.location: problem.text for problem in problems}
        assert set(lost) == (set() if name == "search alone" else {RTE, MRPC})
        assert all("whose weights are not in the run folder" in text for text in lost.values())


def test_resume_refuses_a_wrong_number_together_with_its_other_problems(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    raw = {"space": RANGES, "search": {"sampler": "random", "trials": 3}}
    queue = opened(parsed(**raw), folder)
    drive_queue(queue, toy_trial, 1)
    queue.journal.close()
    (folder / "study.yaml").write_text(study.dump(parsed(**raw)))
    provenance = {"raysearch": "0.0.1", "data": str(tmp_path / "none"), "content": {RTE: "data"},
                  "lanes": {}, "study": study.as_mapping(parsed(**raw))}  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(provenance))
    before = (folder / "study.yaml").read_bytes()
    with pytest.raises(InputError) as caught:
        search.resume(folder, trials=2, reuse="no-such-run")
    places = {problem.location for problem in caught.value.problems}
    assert {"trials", "reuse", "version", RTE} <= places
    assert (folder / "study.yaml").read_bytes() == before
