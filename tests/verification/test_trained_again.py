"""Trials that were trained again are compared with those of the run; the training is left out here.

In its place stands a run that was written with other scores, or a copy.
"""

import json
from contextlib import nullcontext

import pytest
from support.pairs import RTE
from support.written_runs import STUDY, write_data, write_run

from raysearch import study
from raysearch.run_folder import read_journal
from raysearch.search import Run
from raysearch.verification import verify

pytestmark = pytest.mark.slow  # real runs, a browser, or many draws


@pytest.fixture
def hold_out():
    """The share of dev that the run holds out."""
    return None


@pytest.fixture
def compared(tmp_path, monkeypatch, hold_out):
    """Verifies a run against one with other scores, from another or the same CPU."""
    changes = {"search": STUDY["search"] | {"hold_out": hold_out}} if hold_out else {}
    data = write_data(tmp_path / "data")
    run = write_run(tmp_path / "run", data, **changes)

    def compare(scores=(0.75, 0.8), cpus=("a CPU", "a CPU"), seeds=None, draw=3, facts=()):
        again = write_run(tmp_path / "again", data, confirmed=scores, draw=draw, **changes)
        for folder, cpu in zip((run, again), cpus, strict=True):
            path = folder / "provenance.json"
            machines = {"machines": {"node": {"cpu": cpu}}} if cpu else {}
            path.write_text(json.dumps(json.loads(path.read_text()) | machines))
        path = run / "provenance.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | dict(facts)))

        def train(winner, **_):
            trained.append(winner.study)
            searched = study.load(again / "study.yaml")
            return Run(folder=again, study=searched, records=read_journal(again))

        monkeypatch.setattr("raysearch.verification.verification.train_again", train)
        monkeypatch.setattr("raysearch.search.ray_cluster.connect", nullcontext)
        result = verify(run, data=data, to=tmp_path / "to", seeds=seeds)
        return result, [check for check in result.checks if check.what == "winners"]

    trained: list[study.Study] = []
    compare.trained = trained
    return compare


def test_the_study_that_is_trained_again_has_the_winner_alone(compared):
    compared(seeds=1)
    (again,) = compared.trained
    assert again.tasks == (RTE,)
    assert again.confirm.seeds == (11,)
    assert again.space == {}
    assert again.fixed["LR"] == 1e-3


def test_the_same_scores_and_predictions_hold_bit_for_bit(compared):
    result, checks = compared()
    assert result.standards[RTE] == {
        "standard": "bit for bit",
        "why": ["same CPU (a CPU), threads and versions"],
    }
    assert [check.verdict for check in checks] == ["holds"] * 4
    assert result.holds


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"scores": (0.75, 0.825)}, ["seed 12 scores", "seed 12, 40 predictions: different ones"]),
        ({"draw": 4}, [f"seed {n}, 40 predictions: different ones" for n in (11, 12)]),
    ],
)
def test_another_score_or_prediction_fails_bit_for_bit(compared, options, places):
    result, checks = compared(**options)
    assert [c.place for c in checks if c.verdict == "fails"] == [f"{RTE} {p}" for p in places]
    assert not result.holds


@pytest.mark.parametrize(
    ("scores", "verdict"), [((0.75, 0.8), "holds"), ((0.8, 0.8), "holds"), ((0.3, 0.3), "fails")]
)
@pytest.mark.parametrize(
    ("cpus", "why"),
    [
        (("a CPU", "another"), "CPU a CPU then, another now"),
        ((None, "a CPU"), "the CPU of the run is unknown"),
        (("a CPU", "unknown"), "the CPU of this machine is unknown"),
    ],
)
def test_elsewhere_the_score_has_to_lie_in_the_interval(compared, scores, verdict, cpus, why):
    result, (check,) = compared(scores, cpus)
    assert result.standards[RTE] == {"standard": "within the interval", "why": [why]}
    assert check.verdict == verdict
    same = 2 if scores == (0.75, 0.8) else 1 if scores == (0.8, 0.8) else 0
    assert f"{same} of 2 trials have the same scores" in check.note
    assert "of 80 predictions differ" in check.note


@pytest.mark.parametrize("hold_out", [0.5])
def test_with_hold_out_the_printed_score_and_its_interval_are_compared(compared):
    _, (check,) = compared((0.8, 0.8), ("a CPU", "another"))
    assert check.verdict == "holds"
    assert check.expected.startswith("0.775000, ")
    assert check.place == f"{RTE} dev.accuracy, seeds 11, 12"


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"sessions": [{"commit": "a", "packages": "x"}, {"commit": "b", "packages": "x"}]},
         "commit changed between sessions of the run"),
        ({"sessions": [{"packages": "x"}, {"packages": "y"}]},
         "packages changed between sessions of the run"),
        ({"machines": {"node": {"cpu": "a CPU", "gpus": ["a GPU, 80 GiB"]}}},
         "trained on GPUs, whose results are not the same bit for bit"),
    ],
)  # fmt: skip
def test_sessions_that_differ_and_gpus_of_other_nodes_are_not_compared_bit_for_bit(
    compared, facts, why
):
    result, _ = compared(facts=facts)
    assert result.holds, list(result.lines())
    assert result.standards[RTE] == {"standard": "within the interval", "why": [why]}


def test_of_some_seeds_the_score_is_compared_with_that_of_the_same_seeds(compared):
    _, (check,) = compared(cpus=("a CPU", "another"), seeds=1)
    assert check.expected.startswith("0.750000, ")


def test_a_trial_that_was_not_trained_again_is_named(compared, monkeypatch):
    monkeypatch.setattr("raysearch.verification.rerun._same_trial", lambda *_: None)
    result, checks = compared()
    assert [(check.expected, check.seen) for check in checks] == [("finished", "not trained")] * 2
    assert not result.holds
