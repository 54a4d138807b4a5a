"""Dimensions of a search space. It knows neither Ray, Optuna nor what is searched."""

import math
import reprlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LARGEST = sys.float_info.max  # of a number; a larger whole one has no float beside it

WHOLE = 2**53  # a float counts up to here; samplers draw whole numbers as floats


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-5 as a string and `no` as False: one was meant as a number, one was not."""
    number = value
    if isinstance(value, str) and value.isascii() and "_" not in value:
        with suppress(ValueError):
            number = float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"a number is needed, got {reprlib.repr(value)}")
    if not abs(number) <= LARGEST:  # NaN is not, either
        kind = "a finite number" if isinstance(number, float) else "a smaller number"
        raise ValueError(f"{kind} is needed, got {_told(number)}")
    return number


def _told(number: int | float) -> str:
    """A number as it may be printed: Python refuses to spell one of very many digits."""
    return f"one of {number.bit_length():,} bits" if isinstance(number, int) else f"{number}"


Number = Annotated[int | float, BeforeValidator(_number)]

_FORMS = (
    "write exactly one of {choice: [...]}, {uniform: [low, high]}, {log: [low, high]},"
    " {int: [low, high]}, got "
)


class Dimension(BaseModel):
    """One searched name: exactly one of the four forms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: tuple[Any, ...] | None = Field(None, description="one of these values", min_length=1)
    uniform: tuple[Number, Number] | None = Field(None, description="a real number in [low, high]")
    log: tuple[Number, Number] | None = Field(None, description="log-uniform in [low, high]")
    int: tuple[Number, Number] | None = Field(None, description="a whole number in [low, high]")

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping | Dimension):
            raise ValueError(_FORMS + reprlib.repr(value))
        return value

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [form for form in ("choice", "uniform", "log", "int") if getattr(self, form)]
        if len(forms) != 1:
            raise ValueError(_FORMS + (", ".join(forms) or "none"))
        if self.kind == "choice":
            if len({repr(value) for value in self.choice}) < len(self.choice):
                raise ValueError(f"each choice stands once, got {reprlib.repr(list(self.choice))}")
            return self
        low, high = self.range
        if not low < high:
            raise ValueError(f"low must be below high, got [{low:g}, {high:g}]")
        if not high - low <= LARGEST:
            raise ValueError(f"a narrower range is needed, got [{low:g}, {high:g}]")
        if self.kind == "log" and low <= 0:
            raise ValueError(f"a log range starts above 0, got [{low:g}, {high:g}]")
        if self.kind == "int" and (low != math.floor(low) or high != math.floor(high)):
            raise ValueError(f"an int range has whole ends, got [{low:g}, {high:g}]")
        if self.kind == "int" and max(abs(low), abs(high)) > WHOLE:
            raise ValueError(f"an int range ends within 2**53, got [{low:g}, {high:g}]")
        return self

    @property
    def kind(self) -> Literal["choice", "uniform", "log", "int"]:
        """Which of the four forms it is."""
        return next(k for k in ("choice", "uniform", "log", "int") if getattr(self, k) is not None)

    @property
    def range(self) -> tuple[float, float]:
        """Both ends of a numeric form, inclusive."""
        low, high = getattr(self, self.kind)
        return low, high

    @property
    def values(self) -> Sequence[Any] | None:
        """All values of a finite dimension, None where it is continuous."""
        if self.kind == "choice":
            return self.choice
        if self.kind == "int":
            low, high = self.range
            return range(int(low), int(high) + 1)
        return None

    @property
    def ends(self) -> tuple[Any, ...]:
        """Every choice, or both ends of a range."""
        return self.choice if self.kind == "choice" else self.range

    @property
    def inside(self) -> tuple[float, ...]:
        """A fraction between the ends of a real range: not every name takes one."""
        if self.kind in ("choice", "int"):
            return ()
        low, high = self.range
        return (low + (high - low) / math.pi,)

    def __contains__(self, value: Any) -> bool:
        if self.kind == "choice":
            return value in self.choice
        low, high = self.range
        if not isinstance(value, int | float) or not low <= value <= high:
            return False
        return self.kind != "int" or value == int(value)


Space = Mapping[str, Dimension]


def count_points(space: Space) -> float:
    """How many configurations the space holds; math.inf where a dimension is continuous, or where
    no one can count so far."""
    counts = [None if d.values is None else len(d.values) for d in space.values()]
    if None in counts or (count := math.prod(counts)) > WHOLE:
        return math.inf
    return count


def grid(space: Space) -> list[dict[str, Any]]:
    """Every configuration of a finite space, the last dimension varying fastest."""
    rows = product(*(dimension.values for dimension in space.values()))
    return [dict(zip(space, row, strict=True)) for row in rows]


def format_point(point: Mapping[str, Any]) -> str:
    """A configuration on a line, to read: "LR=2e-05 EPOCH={steps: 300}"."""
    return " ".join(f"{name}={_short(value)}" for name, value in point.items())


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_short(x)}" for name, x in value.items()) + "}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
