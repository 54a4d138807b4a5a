"""The dimensions of a search space.

They are apart because a space knows neither Ray, nor Optuna, nor what is searched.
"""

import math
import reprlib
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

MAX_NUMBER = sys.float_info.max  # an integer above it cannot be converted to a float
_MAX_PARENTS = 100_000  # combinations of values that conditions name, so that they can be counted
MAX_INTEGER = 2**53  # floats represent all integers up to here; samplers draw integers as floats


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

Choices = Annotated[tuple[Any, ...], Field(min_length=1)]
Range = tuple[Number, Number]  # low and high, both inclusive

_FORMS_HINT = (
    "write exactly one of {choice: [...]}, {uniform: [low, high]}, {log: [low, high]},"
    " {int: [low, high]}, got "
)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


# The values that another hyperparameter must have: {schedule: polynomial}, {schedule: [a, b]}.
Condition = Mapping[str, Annotated[Choices, BeforeValidator(_as_tuple)]]


class _Form(BaseModel):
    """One form of a dimension. Its fields are what a study's file has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Condition | None = None

    def applies(self, point: Mapping[str, Any]) -> bool:
        """Return whether trials with these values have a value of this dimension."""
        return all(name in point and point[name] in of for name, of in (self.when or {}).items())

    @model_serializer(mode="wrap")
    def _without_missing_condition(self, handler: SerializerFunctionWrapHandler) -> Any:
        fields = handler(self)
        when = fields.pop("when", None)  # of a union pydantic tries the other forms as well
        return fields if when is None else {**fields, "when": when}


class Choice(_Form):
    """A dimension of listed values."""

    choice: Choices

    @model_validator(mode="after")
    def _check_unique(self) -> Self:
        if len({repr(value) for value in self.choice}) < len(self.choice):
            raise ValueError(f"each choice stands once, got {reprlib.repr(list(self.choice))}")
        return self

    @property
    def values(self) -> Sequence[Any]:
        """All values."""
        return self.choice

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that stand for the dimension in checks: all of them."""
        return self.choice

    @property
    def inside(self) -> tuple[float, ...]:
        """Further values for checks: none."""
        return ()

    def __contains__(self, value: Any) -> bool:
        return value in self.choice


class _Range(_Form):
    """A dimension of numbers between two ends: real ones, unless a form says otherwise."""

    @property
    @abstractmethod
    def ends(self) -> Range:
        """Low and high, both inclusive."""

    @property
    def values(self) -> Sequence[Any] | None:
        """All values; None, as there are infinitely many."""
        return None

    @property
    def inside(self) -> tuple[float, ...]:
        """One fraction between the ends, as some fields take integers only."""
        low, high = self.ends
        return (low + (high - low) / math.pi,)

    def __contains__(self, value: Any) -> bool:
        low, high = self.ends
        return isinstance(value, int | float) and low <= value <= high

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        low, high = self.ends
        if not low < high:
            raise ValueError(f"low must be below high, got {self._shown_ends}")
        if not high - low <= MAX_NUMBER:
            raise ValueError(f"a narrower range is needed, got {self._shown_ends}")
        self._check_own_rules()
        return self

    def _check_own_rules(self) -> None:
        """Raise ValueError if the ends make no sense for this form."""

    @property
    def _shown_ends(self) -> str:
        low, high = self.ends
        return f"[{low:g}, {high:g}]"


class Uniform(_Range):
    """A real number between two ends, both inclusive."""

    uniform: Range

    @property
    def ends(self) -> Range:
        """Low and high, both inclusive."""
        return self.uniform


class LogUniform(_Range):
    """A real number between two ends, both inclusive, that is drawn on a logarithmic scale."""

    log: Range

    @property
    def ends(self) -> Range:
        """Low and high, both inclusive."""
        return self.log

    def _check_own_rules(self) -> None:
        if self.log[0] <= 0:
            raise ValueError(f"a log range starts above 0, got {self._shown_ends}")


class IntRange(_Range):
    """An integer between two ends, both inclusive."""

    int: Range

    @property
    def ends(self) -> Range:
        """Low and high, both inclusive."""
        return self.int

    @property
    def values(self) -> Sequence[Any]:
        """All values."""
        low, high = map(math.floor, self.ends)
        return range(low, high + 1)

    @property
    def inside(self) -> tuple[float, ...]:
        """Further values for checks: none."""
        return ()

    def __contains__(self, value: Any) -> bool:
        return super().__contains__(value) and value == math.floor(value)

    def _check_own_rules(self) -> None:
        low, high = self.ends
        if low != math.floor(low) or high != math.floor(high):
            raise ValueError(f"an int range has whole ends, got {self._shown_ends}")
        if max(abs(low), abs(high)) > MAX_INTEGER:
            raise ValueError(f"an int range ends within 2**53, got {self._shown_ends}")


class WrittenDimension(BaseModel):
    """A dimension as a study's file has it: a mapping of one form to its values or ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: Choices | None = Field(None, description="one of these values")
    uniform: Range | None = Field(None, description="a real number in [low, high]")
    log: Range | None = Field(None, description="log-uniform in [low, high]")
    int: Range | None = Field(None, description="a whole number in [low, high]")
    when: Condition | None = Field(
        None, description="values of other dimensions that it is searched with"
    )

    @model_validator(mode="before")
    @classmethod
    def _check_mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(_FORMS_HINT + reprlib.repr(value))
        return value

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        names = [name for name in type(self).model_fields if name != "when"]
        forms = [name for name in names if getattr(self, name) is not None]
        if len(forms) != 1:
            raise ValueError(_FORMS_HINT + (", ".join(forms) or "none"))
        self.dimension()
        return self

    def dimension(self) -> "Dimension":
        """Return the dimension in its form.

        Raises:
            ValidationError: its values or ends make no sense.
        """
        if self.choice is not None:
            return Choice(choice=self.choice, when=self.when)
        if self.uniform is not None:
            return Uniform(uniform=self.uniform, when=self.when)
        if self.log is not None:
            return LogUniform(log=self.log, when=self.when)
        assert self.int is not None
        return IntRange(int=self.int, when=self.when)


def parse_dimension(value: Any) -> "Dimension":
    """Return the dimension of a mapping such as {log: [1e-5, 1e-3]}.

    Raises:
        ValidationError: it is no mapping of exactly one form, or its values make no sense.
    """
    if isinstance(value, Choice | Uniform | LogUniform | IntRange):
        return value
    return WrittenDimension.model_validate(value).dimension()


Dimension = Annotated[
    Choice | Uniform | LogUniform | IntRange, BeforeValidator(parse_dimension)
]  # the values that one hyperparameter may take
Space = Mapping[str, Dimension]


def active_space(space: Space, point: Mapping[str, Any]) -> dict[str, "Dimension"]:
    """Return the dimensions of which a configuration has a value."""
    return {name: dimension for name, dimension in space.items() if dimension.applies(point)}


def difference(space: Space, point: Mapping[str, Any]) -> set[str]:
    """Return the names that a configuration has too many or too few for a space."""
    return set(active_space(space, point)) ^ set(point)


def parents_first(space: Space) -> list[str]:
    """Return the names of a space, those that conditions name before the others."""
    parents = {name for dimension in space.values() for name in dimension.when or ()}
    return sorted(space, key=lambda name: name not in parents)


def count_points(space: Space) -> float:
    """Return how many configurations a space has.

    The result is math.inf if a dimension is continuous or the count exceeds MAX_INTEGER.
    """
    if any(dimension.values is None for dimension in space.values()):
        return math.inf
    parents = {name for dimension in space.values() for name in dimension.when or ()}
    shared = {name: dimension for name, dimension in space.items() if name in parents}
    if math.prod(len(dimension.values or ()) for dimension in shared.values()) > _MAX_PARENTS:
        return math.inf
    count = 0
    for point in grid(shared):
        active = active_space({n: d for n, d in space.items() if n not in shared}, point)
        count += math.prod(len(dimension.values or ()) for dimension in active.values())
    return count if count <= MAX_INTEGER else math.inf


def grid(space: Space) -> list[dict[str, Any]]:
    """Return every configuration of a finite space; the last dimension varies fastest."""
    points: list[dict[str, Any]] = [{}]
    for name in parents_first(space):
        dimension = space[name]
        points = [
            more
            for point in points
            for more in (
                ({**point, name: value} for value in dimension.values or ())
                if dimension.applies(point)
                else (point,)
            )
        ]
    return [{name: point[name] for name in space if name in point} for point in points]


def format_point(point: Mapping[str, Any]) -> str:
    """Return a configuration in one line for a reader: "LR=2e-05 EPOCH={steps: 300}"."""
    return " ".join(f"{name}={_format_value(value)}" for name, value in point.items())


def format_condition(condition: Mapping[str, Sequence[Any]]) -> str:
    """Return a condition in one line for a reader: "schedule polynomial or cosine"."""
    return " and ".join(
        f"{name} {' or '.join(map(_format_value, values))}" for name, values in condition.items()
    )


def _format_value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_format_value(x)}" for name, x in value.items()) + "}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
