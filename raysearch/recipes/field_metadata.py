"""What a field of hyperparameters says about itself, beside its type, bounds, default and text.

It is written in the field's `Annotated` type, as in `Annotated[int, ReadBy("span"), SHARED]`. It is
apart from the fields so that every recipe writes its own fields in the same way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from ..tasks import Head


@dataclass(frozen=True, init=False)
class ReadBy:
    """The heads that read a field. All heads read a field without it.

    Attributes:
        heads: the heads.
        prefix: whether the description begins with the head, if it is only one. It does not where
            the text itself says so.
    """

    heads: tuple[Head, ...]
    prefix: bool

    def __init__(self, *heads: Head, prefix: bool = True) -> None:
        object.__setattr__(self, "heads", heads)
        object.__setattr__(self, "prefix", prefix)


@dataclass(frozen=True)
class Shared:
    """The mark of a field that determines the prepared data or the model.

    All trials of a task share its value: it is fixed, never searched.
    """


SHARED = Shared()


@dataclass(frozen=True)
class ConfigName:
    """The name of a field in transformers' configuration, if it determines the model's shape."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition under which a field has an effect: some values of another field.

    Attributes:
        name: the other field.
        holds: returns whether a value of the other one fulfils the condition.
        text: those values, in words.
    """

    name: str
    holds: Callable[[Any], bool]
    text: str


def equals(name: str, expected: str) -> Condition:
    """Return the condition that another field has one value."""
    return Condition(name=name, holds=lambda value: value == expected, text=expected)


Kind = TypeVar("Kind", ReadBy, Shared, ConfigName, Condition)


def fields_with(model: type[BaseModel], kind: type[Kind]) -> dict[str, Kind]:
    """Return the fields of a model that say something of a kind, and what they say.

    Args:
        model: a class of hyperparameters.
        kind: `ReadBy`, `Shared`, `ConfigName` or `Condition`.
    """
    return {
        name: item
        for name, field in model.model_fields.items()
        for item in field.metadata
        if isinstance(item, kind)
    }
