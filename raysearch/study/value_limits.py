"""Limits for the values of a study: names, texts, numbers, truth values, lists and mappings.

Modules that run after these checks can print, compare and hash any value. The checks are apart from
the schema because they do not depend on the location of a value. A mapping from Python has the same
limits as a file.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ..errors import Problem, printable

MAX_VALUES = 10_000  # names and values of a study, including those that aliases expand to
MAX_DEPTH = 20  # nested lists and mappings
MAX_TEXT_LENGTH = 10_000  # characters
INTEGER_LIMIT = 2**63  # absolute values must be smaller

# No name or source needs these characters, and they change what a terminal shows: control
# characters, half a surrogate pair, line separators, marks that reorder text. Joiners are not among
# them, because words of some languages contain them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def check_values(raw: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Copy a mapping into plain dicts and lists, without the values that a study cannot hold.

    An invalid value is replaced by None, so that the rest can be checked. A name that is not text
    is left out. If there are too many values, the copy is empty.

    Args:
        raw: the mapping of a file, or one from Python.

    Returns:
        The copy, and the problems.
    """
    copier = _Copier()
    try:
        return copier.copy_mapping("", raw, 0), copier.problems
    except _TooManyValues as error:
        return {}, [Problem(location="file", text=str(error))]


def without_followups(problems: Collection[Problem], refused: Collection[Problem]) -> list[Problem]:
    """Return the problems without those that a refused value causes, because it is now None.

    Args:
        problems: of later checks.
        refused: the problems that `check_values` returned.
    """
    locations = {problem.location for problem in refused}
    inner = tuple(f"{location}{mark}" for location in locations for mark in ".[")
    return [
        problem
        for problem in problems
        if problem.location not in locations and not problem.location.startswith(inner)
    ]


class _TooManyValues(Exception):
    """The error of a mapping that is too large or too deep for a study."""


@dataclass(kw_only=True)
class _Copier:
    """Copies values and collects the problems of those that a study cannot hold.

    Attributes:
        problems: the problems so far.
        count: the number of values so far; a value with several locations counts at each.
    """

    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def copy_value(self, location: str, value: Any, depth: int) -> Any:
        """Return a copy of a value; None if a study cannot hold it."""
        self.count += 1
        if self.count > MAX_VALUES:
            raise _TooManyValues(f"more than {MAX_VALUES:,} names and values, too many for a study")
        if depth > MAX_DEPTH:
            raise _TooManyValues("nested too deeply; a study has four levels")
        if isinstance(value, Mapping):
            return self.copy_mapping(location, value, depth)
        if isinstance(value, list | tuple):
            items = (
                self.copy_value(f"{location}[{index}]", item, depth + 1)
                for index, item in enumerate(value)
            )
            return tuple(items) if isinstance(value, tuple) else list(items)
        message = _message(value)
        if message is None:
            return value
        self.problems.append(Problem(location=location, text=message))
        return None

    def copy_mapping(self, location: str, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Return a copy of a mapping, without the names that are not valid text."""
        copies: dict[str, Any] = {}
        for name, value in values.items():
            is_text = isinstance(name, str)
            inner = f"{location}{'.' * bool(location)}{name if is_text else _describe(name)}"
            if is_text and (message := _message(name)) is None:
                copies[name] = self.copy_value(inner, value, depth + 1)
                continue
            text = f"the name {message}" if is_text else f"a name is needed, got {_describe(name)}"
            self.problems.append(Problem(location=inner, text=text))
            self.count += 1
        return copies


def _message(value: Any) -> str | None:
    """Return why a study cannot hold a single value; None if it can."""
    if isinstance(value, str):
        if match := _CONTROL.search(value):
            return f"holds the character {printable(match[0])}; leave it out"
        if len(value) > MAX_TEXT_LENGTH:
            return f"has {len(value):,} characters; at most {MAX_TEXT_LENGTH:,} would do"
        return None
    if isinstance(value, bool | float | BaseModel | None):
        return None
    if isinstance(value, int):
        if -INTEGER_LIMIT <= value < INTEGER_LIMIT:
            return None
        return f"a number of {value.bit_length():,} bits; at most 63 would do"
    return f"a text, a number, true or false is needed, got {_describe(value)}"


def _describe(value: Any) -> str:
    """Return a simple value as text, and the type of any other."""
    if value is None or isinstance(value, bool | float):
        return f"{value}"
    if isinstance(value, int):
        return f"{value}" if abs(value) < INTEGER_LIMIT else "a very large number"
    return f"a {type(value).__name__}"
