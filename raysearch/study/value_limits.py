"""What a study's mapping is made of, before anything else is asked of it: names, texts, numbers,
truth values, lists. Everything after this module may print, compare and hash what it gets.

It is apart from the schema, which tells one field from another: here a value is refused for what it
is, wherever it stands, and a mapping of a Python caller has the same limits as a file."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ..errors import Problem, printable

VALUES = 10_000  # names and values of a study, with what its aliases stand for
DEEPEST = 20  # levels of lists and mappings
LONGEST = 10_000  # characters of a text
LARGEST = 2**63  # a whole number stays below it

# No name or source needs them, and they change what a terminal shows: control characters, half a
# surrogate pair, line separators, marks that reorder text. Joiners within words are letters.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def check_values(raw: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a mapping as plain dicts and lists, and what in it is no value of a study.

    Such a value is None in what is returned, so that the rest can be looked at; a name that is no
    text is left out. Where there are too many values, nothing is returned of it.
    """
    walk = _Walk()
    try:
        return walk.mapping("", raw, 0), walk.problems
    except _TooMuch as error:
        return {}, [Problem(location="file", text=str(error))]


def without_followups(problems: Collection[Problem], refused: Collection[Problem]) -> list[Problem]:
    """Return the problems that do not stem from a value that was refused and is None since."""
    places = {problem.location for problem in refused}
    ahead = tuple(f"{place}{mark}" for place in places for mark in ".[")
    return [p for p in problems if p.location not in places and not p.location.startswith(ahead)]


class _TooMuch(Exception):
    """There is more than a study holds."""


@dataclass(kw_only=True)
class _Walk:
    """Looks at every value once for each place where it stands.

    Attributes:
        problems: what was refused.
        values: how many were looked at.
    """

    problems: list[Problem] = field(default_factory=list)
    values: int = 0

    def value(self, place: str, value: Any, depth: int) -> Any:
        """Return a value as it may stay; None where it may not."""
        self.values += 1
        if self.values > VALUES:
            raise _TooMuch(f"more than {VALUES:,} names and values are no study")
        if depth > DEEPEST:
            raise _TooMuch("nested too deeply; a study has four levels")
        if isinstance(value, Mapping):
            return self.mapping(place, value, depth)
        if isinstance(value, list | tuple):
            steps = (self.value(f"{place}[{i}]", x, depth + 1) for i, x in enumerate(value))
            return tuple(steps) if isinstance(value, tuple) else list(steps)
        problem = _problem(value)
        if problem is None:
            return value
        self.problems.append(Problem(location=place, text=problem))
        return None

    def mapping(self, place: str, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Return a mapping with the names that are texts."""
        kept = {}
        for name, value in values.items():
            text = isinstance(name, str)
            inner = f"{place}{'.' * bool(place)}{name if text else _named(name)}"
            if text and (problem := _problem(name)) is None:
                kept[name] = self.value(inner, value, depth + 1)
                continue
            cause = f"the name {problem}" if text else f"a name is needed, got {_named(name)}"
            self.problems.append(Problem(location=inner, text=cause))
            self.values += 1
        return kept


def _problem(value: Any) -> str | None:
    """Return why a single value is none of a study's; None where it may be one."""
    if isinstance(value, str):
        if match := _CONTROL.search(value):
            return f"holds the character {printable(match[0])}, which is none of a name or text"
        if len(value) > LONGEST:
            return f"has {len(value):,} characters; at most {LONGEST:,} would do"
        return None
    if isinstance(value, bool | float | BaseModel | None):
        return None
    if isinstance(value, int):
        if -LARGEST <= value < LARGEST:
            return None
        return f"a number of {value.bit_length():,} bits; at most 63 would do"
    return f"a text, a number, true or false is needed, got {_named(value)}"


def _named(value: Any) -> str:
    """Return what a value is, in words; a simple one as it stands."""
    if value is None or isinstance(value, bool | float):
        return f"{value}"
    if isinstance(value, int):
        return f"{value}" if abs(value) < LARGEST else "a very large number"
    return f"a {type(value).__name__}"
