"""Errors in the rows of a prediction file; equal ones are reported once, with their locations.

It is apart from the readers' `RowErrors` because a file of predictions often has the same error in
every row.
"""

from dataclasses import dataclass, field

from ..data.readers.row_errors import KEPT_PROBLEMS
from ..errors import InputError, Problem

_SHOWN_LOCATIONS = 3


@dataclass(kw_only=True)
class RepeatedErrors:
    """The errors of one file, grouped by their text.

    Attributes:
        source: the file.
        locations_by_text: text -> the locations of the error.
    """

    source: str
    locations_by_text: dict[str, list[str]] = field(default_factory=dict)

    def add(self, location: str, text: str) -> None:
        """Note an error."""
        self.locations_by_text.setdefault(text, []).append(location)

    def close(self) -> None:
        """Raise the errors that were noted.

        Raises:
            InputError: there is at least one.
        """
        problems = [_problem(text, places) for text, places in self.locations_by_text.items()]
        if rest := problems[KEPT_PROBLEMS:]:
            more = sum(problem.count for problem in rest)
            last = Problem(location="...", text=f"and {more:,} more", count=more)
            problems = [*problems[:KEPT_PROBLEMS], last]
        if problems:
            raise InputError(self.source, problems)


def _problem(text: str, locations: list[str]) -> Problem:
    """Return one problem for all locations: "line 2, 3, 4 and 7 more"."""
    first, *others = locations[:_SHOWN_LOCATIONS]
    shown = ", ".join([first, *(location.removeprefix("line ") for location in others)])
    more = len(locations) - _SHOWN_LOCATIONS
    location = f"{shown} and {more:,} more" if more > 0 else shown
    return Problem(location=location, text=text, count=len(locations))
