"""What the tests and the table of faults read from a journal, on journals made by hand."""

import importlib.util

import pytest
from ray_hosts import attempts, longest_silence, running, trials_begun_again
from support.paths import ROOT


def attempt(trial, at, lane, number=1, from_step=0):
    return {"event": "attempt", "trial": trial, "at": at, "lane": lane, "attempt": number,
            "from_step": from_step}  # fmt: skip


def event(kind, trial, at):
    return {"event": kind, "trial": trial, "at": at}


def spent(trial, number, seconds, step):
    return {"event": "spent", "trial": trial, "attempt": number, "seconds": seconds, "step": step}


# Lane 1 trains a and c, lane 2 loses b at 20; lane 3 takes b up at 50.
LOST_LANE = [
    attempt("a", 1, 1),
    attempt("b", 2, 2),
    event("report", "a", 10),
    spent("b", 1, 16.0, 80),
    event("report", "b", 18),
    event("end", "a", 25),
    attempt("c", 28, 1),
    event("report", "c", 41),
    attempt("b", 50, 3, number=2, from_step=20),
    event("end", "c", 55),
    event("end", "b", 90),
]


def test_running_trials_are_those_begun_and_not_ended() -> None:
    assert running(LOST_LANE[:5]) == {"a": 1, "b": 2}
    assert running(LOST_LANE[:9]) == {"c": 1, "b": 3}
    assert running(LOST_LANE) == {}
    assert attempts(LOST_LANE) == {"a": 1, "b": 2, "c": 1}


def test_a_trial_is_begun_again_only_after_its_end() -> None:
    assert trials_begun_again(LOST_LANE) == set()
    assert trials_begun_again([*LOST_LANE, attempt("a", 95, 1, number=2)]) == {"a"}
    assert trials_begun_again([*LOST_LANE, event("end", "c", 95)]) == {"c"}
    assert trials_begun_again([*LOST_LANE, event("report", "b", 95)]) == {"b"}


def test_silence_of_a_lane_is_counted_until_the_last_trial_begins() -> None:
    assert longest_silence(LOST_LANE, 1, since=20) == 13  # 28 to 41
    assert longest_silence(LOST_LANE, 1, since=30) == 11  # 30 to 41
    assert longest_silence(LOST_LANE, 2, since=20) == 30  # nothing more until 50
    assert longest_silence(LOST_LANE, 1, since=60) == 0


@pytest.fixture(scope="module")
def faults():
    spec = importlib.util.spec_from_file_location("faults", ROOT / "benchmarks" / "faults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_of_the_table_of_faults(faults) -> None:
    before = LOST_LANE[:5]
    # b had trained 80 steps in 16 s and went on from step 20: three quarters were done again.
    assert faults._figures(before, LOST_LANE, 20) == [str(faults.TRIALS - 3), "0", "12", "30"]
    never = [e for e in LOST_LANE if e.get("trial") != "b" or e in before]
    assert faults._figures(before, never, 20) == [str(faults.TRIALS - 2), "0", "0", "never"]
