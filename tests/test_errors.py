"""Problems as they are printed."""

import pickle

import pytest

from raysearch.errors import InputError, Problem, RaysearchError, unknown_name


def test_every_problem_stands_in_a_line_of_its_own_behind_its_place():
    error = InputError("bad.yaml", [
        Problem(location="space.LR", text="low must be below high, got [5e-05, 5e-06]"),
        Problem(location="tasks[0]", text="no task named 'glue/rtee'; did you mean 'glue/rte'?"),
        Problem(location="model", text="cannot be read\na folder would do"),
    ])  # fmt: skip
    assert str(error) == (
        "bad.yaml: 3 problems\n"
        "  space.LR  low must be below high, got [5e-05, 5e-06]\n"
        "  tasks[0]  no task named 'glue/rtee'; did you mean 'glue/rte'?\n"
        "  model     cannot be read\n"
        "            a folder would do\n"
        "explained in docs/studies.md"
    )


def test_one_problem_is_one_problem():
    assert str(InputError("x", [Problem(location="a", text="b")])) == "x: 1 problem\n  a  b"


def test_the_head_counts_what_the_last_line_of_a_cut_list_stands_for():
    shown = [Problem(location=f"line {line}", text="broken") for line in range(20)]
    rest = Problem(location="...", text="and 1,257 more", count=1257)
    lines = str(InputError("x", [*shown, rest])).splitlines()
    assert (lines[0], len(lines), lines[-1].split()) == (
        "x: 1,277 problems", 22, ["...", "and", "1,257", "more"]
    )  # fmt: skip


def test_a_long_place_does_not_push_the_others_away():
    long = Problem(location="p" * 90, text="one")
    text = str(InputError("x", [long, Problem(location="q", text="two")]))
    assert text.splitlines()[2] == "  " + "q".ljust(40) + "  two"


TASKS = ("glue/rte", "glue/mrpc", "glue/sst2", "squad/v1.1", "squad/v2.0", "race/high")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("GLUE/RTE", "'glue/rte'"),
        ("glue/rtee", "'glue/rte'"),
        ("glue/rta", "'glue/rte'"),
        ("gleu/rte", "'glue/rte'"),
        ("glue/sst-2", "'glue/sst2'"),
        ("mrpc", "'glue/mrpc'"),
        ("rte", "'glue/rte'"),
        ("squad/v2", "'squad/v2.0'"),
        ("squad/v2.1", "'squad/v2.0'"),
        ("Squad", "'squad/v1.1' or 'squad/v2.0'"),
        ("glue/mrpc-dev", "'glue/mrpc'"),
    ],
)
def test_an_unknown_name_comes_with_what_was_probably_meant(name, near):
    assert unknown_name("task", name, TASKS) == f"no task named '{name}'; did you mean {near}?"


@pytest.mark.parametrize("name", ["zzz", "glue/abc", "squad/", "xtreme/high-level", "", "r"])
def test_nothing_far_fetched_is_suggested_and_a_few_names_are_all_shown(name):
    few = TASKS[:3] + TASKS[5:] if name == "squad/" else TASKS
    said = unknown_name("task", name, few)
    assert said == f"no task named '{name}'; there are: {', '.join(sorted(few))}"


def test_of_many_names_that_hold_what_was_written_these_are_shown():
    names = [f"{what}_length" for what in ("max", "query", "answer", "qa")] + ["LR", "BSZ"]
    said = unknown_name("hyperparameter", "length", names)
    assert said.endswith("; there are: answer_length, max_length, qa_length, query_length")


def test_many_names_are_not_shown_where_a_command_lists_them():
    names = [f"name{at:02}" for at in range(30)]
    assert unknown_name("task", "zzz", names).endswith("; `raysearch list tasks` shows them")
    assert unknown_name("hyperparameter", "zzz", names).endswith(
        "`raysearch list hyperparameters` shows them"
    )
    assert unknown_name("split", "zzz", names).endswith("name10, name11 and 18 more")


def test_a_name_is_shown_in_one_line_and_cut():
    said = unknown_name("task", "a\nb" + "x" * 5000, ["glue/rte"])
    assert said.startswith("no task named 'a bxxx")
    assert len(said) < 100


def test_an_error_travels_between_processes():
    error = InputError("x", [Problem(location="a", text="b")])
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, RaysearchError)
    assert (str(again), again.problems) == (str(error), error.problems)
