"""Dimensions: four forms, their values and what they refuse."""

import math

import pytest
from pydantic import ValidationError

from raysearch.search_space import (
    Choice,
    IntRange,
    LogUniform,
    Uniform,
    count_points,
    grid,
    parse_dimension,
)


@pytest.mark.parametrize(
    ("form", "within", "without"),
    [
        ({"choice": [1, "a", None]}, [1, "a", None], [2, "1"]),
        ({"uniform": [0, 1]}, [0, 0.3, 1], [-0.1, 1.1, "0.5", None]),
        ({"log": ["1e-5", "1E-3"]}, [1e-5, 5e-4, 1e-3], [0, 2e-3]),
        ({"int": [2, 4.0]}, [2, 3, 4], [1, 5, 2.5]),
    ],
)
def test_a_dimension_holds_its_values_and_no_others(form, within, without):
    dimension = parse_dimension(form)
    assert all(value in dimension for value in within)
    assert not any(value in dimension for value in without)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({}, "exactly one of .* got none"),
        ({"choice": [1], "int": [1, 2]}, "got choice, int"),
        ({"choice": []}, "at least 1 item"),
        ({"choice": [1, 1]}, "each choice stands once"),
        ({"log": [5e-5, 5e-6]}, r"low must be below high, got \[5e-05, 5e-06\]"),
        ({"uniform": [1, 1]}, "low must be below high"),
        ({"log": [0, 1]}, r"starts above 0, got \[0, 1\]"),
        ({"int": [1.5, 3]}, "whole ends"),
        ({"uniform": [0, math.inf]}, "a finite number is needed, got inf"),
        ({"uniform": [".nan", "nan"]}, "a number is needed, got '.nan'"),
        ({"uniform": [False, 1]}, "a number is needed, got False"),
        ({"uniform": [1, 2, 3]}, "at most 2 items"),
        ({"normal": [0, 1]}, "normal"),
    ],
)
def test_a_dimension_that_makes_no_sense_is_refused(form, text):
    with pytest.raises(ValidationError, match=text):
        parse_dimension(form)


@pytest.mark.parametrize("value", [3, None, [1, 2], "1e-5"])
def test_a_bare_value_is_no_dimension(value):
    with pytest.raises(ValidationError, match="write exactly one of"):
        parse_dimension(value)


@pytest.mark.parametrize(
    ("form", "kind", "values", "ends"),
    [
        ({"choice": [1, "a"], "log": None}, Choice, (1, "a"), (1, "a")),
        ({"uniform": [0, 1]}, Uniform, None, (0, 1)),
        ({"log": [1e-5, 1e-3]}, LogUniform, None, (1e-5, 1e-3)),
        ({"int": [2, 4.0]}, IntRange, range(2, 5), (2, 4)),
    ],
)
def test_a_mapping_becomes_its_form_and_is_written_as_it_was(form, kind, values, ends):
    dimension = parse_dimension(form)
    assert type(dimension) is kind
    assert (dimension.values, dimension.ends) == (values, ends)
    assert parse_dimension(dimension) is dimension
    written = {name: value for name, value in form.items() if value is not None}
    assert dimension.model_dump(mode="json") == written


def test_the_cells_of_a_finite_space_vary_the_last_dimension_fastest():
    space = {"A": Choice(choice=("x", "y")), "B": IntRange(int=(1, 3))}
    assert count_points(space) == 6
    assert [tuple(cell.values()) for cell in grid(space)] == [
        ("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3),
    ]  # fmt: skip


def test_a_continuous_space_is_infinite_and_an_empty_one_has_one_cell():
    assert count_points({"A": Choice(choice=(1,)), "B": LogUniform(log=(1, 2))}) == math.inf
    assert (count_points({}), grid({})) == (1, [{}])


def test_a_real_range_has_a_fraction_inside():
    (inside,) = Uniform(uniform=(16, 32)).inside
    assert 16 < inside < 32
    assert inside != int(inside)
    assert IntRange(int=(16, 32)).inside == ()
