"""Problems as they are printed."""

import pickle

import pytest

from raysearch.errors import InputError, Problem, RaysearchError, unknown


def test_every_problem_stands_in_a_line_of_its_own_behind_its_place():
    error = InputError("bad.yaml", [
        Problem(place="space.LR", text="low must be below high, got [5e-05, 5e-06]"),
        Problem(place="tasks[0]", text="no task named 'glue/rtee'; did you mean 'glue/rte'?"),
        Problem(place="model", text="cannot be read\na folder would do"),
    ])  # fmt: skip
    assert str(error) == (
        "bad.yaml: 3 problems\n"
        "  space.LR  low must be below high, got [5e-05, 5e-06]\n"
        "  tasks[0]  no task named 'glue/rtee'; did you mean 'glue/rte'?\n"
        "  model     cannot be read\n"
        "            a folder would do"
    )


def test_one_problem_is_one_problem():
    assert str(InputError("x", [Problem(place="a", text="b")])) == "x: 1 problem\n  a  b"


def test_a_long_place_does_not_push_the_others_away():
    long = Problem(place="p" * 90, text="one")
    text = str(InputError("x", [long, Problem(place="q", text="two")]))
    assert text.splitlines()[2] == "  " + "q".ljust(40) + "  two"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("glue/rtee", "did you mean 'glue/rte'?"), ("zzz", "there are: glue/mrpc, glue/rte")],
)
def test_an_unknown_name_comes_with_the_nearest_or_with_all(name, hint):
    assert unknown("task", name, ["glue/rte", "glue/mrpc"]) == f"no task named '{name}'; {hint}"


def test_an_error_travels_between_processes():
    error = InputError("x", [Problem(place="a", text="b")])
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, RaysearchError)
    assert (str(again), again.problems) == (str(error), error.problems)
