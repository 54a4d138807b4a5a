"""Faults of a file of predictions: those that say the same are told once, with where they stand."""

from dataclasses import dataclass, field

from ..data.readers.row_errors import KEPT_PROBLEMS
from ..errors import InputError, Problem

_PLACES = 3


@dataclass(kw_only=True)
class RepeatedErrors:
    """Problems of one file, by what they say.

    Attributes:
        source: the file.
        found: text -> where that is so.
    """

    source: str
    places_by_text: dict[str, list[str]] = field(default_factory=dict)

    def add(self, place: str, text: str) -> None:
        """Note a problem."""
        self.places_by_text.setdefault(text, []).append(place)

    def close(self) -> None:
        """Raise InputError if there was a problem."""
        problems = [_problem(text, places) for text, places in self.places_by_text.items()]
        if rest := problems[KEPT_PROBLEMS:]:
            more = sum(problem.count for problem in rest)
            last = Problem(location="...", text=f"and {more:,} more", count=more)
            problems = [*problems[:KEPT_PROBLEMS], last]
        if problems:
            raise InputError(self.source, problems)


def _problem(text: str, places: list[str]) -> Problem:
    """One for all places: "line 2, 3, 4 and 7 more"."""
    first, *others = places[:_PLACES]
    shown = ", ".join([first, *(place.removeprefix("line ") for place in others)])
    more = len(places) - _PLACES
    place = f"{shown} and {more:,} more" if more > 0 else shown
    return Problem(location=place, text=text, count=len(places))
