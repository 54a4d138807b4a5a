"""The dimensions of a search space.

They are apart because a space knows neither Ray, nor Optuna, nor what is searched.
"""

import math
import reprlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MAX_NUMBER = sys.float_info.max  # an integer above it cannot be converted to a float
MAX_INTEGER = 2**53  # floats represent all integers up to here; samplers draw integers as floats

Form = Literal["choice", "uniform", "log", "int"]
FORMS: tuple[Form, ...] = ("choice", "uniform", "log", "int")


def _parse_number(value: Any) -> int | float:
    """Return a value as a number.

    YAML 1.1 reads 1e-5 as a string, which is accepted, and `no` as False, which is refused.
    """
    number = value
    if isinstance(value, str) and value.isascii() and "_" not in value:
        with suppress(ValueError):
            number = float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"a number is needed, got {reprlib.repr(value)}")
    if not abs(number) <= MAX_NUMBER:  # also true of NaN
        kind = "a finite number" if isinstance(number, float) else "a smaller number"
        raise ValueError(f"{kind} is needed, got {_describe(number)}")
    return number


def _describe(number: int | float) -> str:
    """Return a number as text; of a very long integer, which Python refuses to print, its size."""
    return f"one of {number.bit_length():,} bits" if isinstance(number, int) else f"{number}"


Number = Annotated[int | float, BeforeValidator(_parse_number)]

_FORMS_HINT = (
    "write exactly one of {choice: [...]}, {uniform: [low, high]}, {log: [low, high]},"
    " {int: [low, high]}, got "
)


class Dimension(BaseModel):
    """The values that one hyperparameter may take, in one of four forms.

    Attributes:
        choice: the values themselves.
        uniform: low and high of a real number, both inclusive.
        log: low and high of a real number that is drawn on a logarithmic scale, both inclusive.
        int: low and high of an integer, both inclusive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: tuple[Any, ...] | None = Field(None, description="one of these values", min_length=1)
    uniform: tuple[Number, Number] | None = Field(None, description="a real number in [low, high]")
    log: tuple[Number, Number] | None = Field(None, description="log-uniform in [low, high]")
    int: tuple[Number, Number] | None = Field(None, description="a whole number in [low, high]")

    @model_validator(mode="before")
    @classmethod
    def _check_mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping | Dimension):
            raise ValueError(_FORMS_HINT + reprlib.repr(value))
        return value

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        forms = [form for form in FORMS if getattr(self, form)]
        if len(forms) != 1:
            raise ValueError(_FORMS_HINT + (", ".join(forms) or "none"))
        if self.choice is None:
            self._check_range()
        elif len({repr(value) for value in self.choice}) < len(self.choice):
            raise ValueError(f"each choice stands once, got {reprlib.repr(list(self.choice))}")
        return self

    def _check_range(self) -> None:
        """Raise ValueError if the ends of a range make no sense for its form."""
        low, high = self.range
        ends = f"[{low:g}, {high:g}]"
        if not low < high:
            raise ValueError(f"low must be below high, got {ends}")
        if not high - low <= MAX_NUMBER:
            raise ValueError(f"a narrower range is needed, got {ends}")
        if self.kind == "log" and low <= 0:
            raise ValueError(f"a log range starts above 0, got {ends}")
        if self.kind == "int" and (low != math.floor(low) or high != math.floor(high)):
            raise ValueError(f"an int range has whole ends, got {ends}")
        if self.kind == "int" and max(abs(low), abs(high)) > MAX_INTEGER:
            raise ValueError(f"an int range ends within 2**53, got {ends}")

    @property
    def kind(self) -> Form:
        """The form that it has."""
        return next(form for form in FORMS if getattr(self, form) is not None)

    @property
    def range(self) -> tuple[float, float]:
        """Low and high of a numeric form, both inclusive."""
        low, high = getattr(self, self.kind)
        return low, high

    @property
    def values(self) -> Sequence[Any] | None:
        """All values of a finite dimension; None if it is continuous."""
        if self.choice is not None:
            return self.choice
        if self.kind == "int":
            low, high = self.range
            return range(int(low), int(high) + 1)
        return None

    @property
    def ends(self) -> tuple[Any, ...]:
        """All values of a choice; low and high of a range."""
        return self.range if self.choice is None else self.choice

    @property
    def inside(self) -> tuple[float, ...]:
        """One fraction between the ends of a real range, as some fields take integers only.

        Empty for a choice and for an int range.
        """
        if self.kind in ("choice", "int"):
            return ()
        low, high = self.range
        return (low + (high - low) / math.pi,)

    def __contains__(self, value: Any) -> bool:
        if self.choice is not None:
            return value in self.choice
        low, high = self.range
        if not isinstance(value, int | float) or not low <= value <= high:
            return False
        return self.kind != "int" or value == int(value)


Space = Mapping[str, Dimension]


def count_points(space: Space) -> float:
    """Return how many configurations a space has.

    The result is math.inf if a dimension is continuous or the count exceeds MAX_INTEGER.
    """
    count = 1
    for dimension in space.values():
        if dimension.values is None:
            return math.inf
        count *= len(dimension.values)
    return count if count <= MAX_INTEGER else math.inf


def grid(space: Space) -> list[dict[str, Any]]:
    """Return every configuration of a finite space; the last dimension varies fastest."""
    rows = product(*(dimension.values or () for dimension in space.values()))
    return [dict(zip(space, row, strict=True)) for row in rows]


def format_point(point: Mapping[str, Any]) -> str:
    """Return a configuration in one line for a reader: "LR=2e-05 EPOCH={steps: 300}"."""
    return " ".join(f"{name}={_format_value(value)}" for name, value in point.items())


def _format_value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_format_value(x)}" for name, x in value.items()) + "}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
