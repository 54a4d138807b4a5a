"""RowErrors: what is wrong with one input file, collected while it is read.

It is apart from the readers because all of them report in this way, whatever their format. A file
often has the same error in thousands of rows: it is one problem, with the first places.
"""

from dataclasses import dataclass, field

from ...errors import InputError, Problem

KEPT_PROBLEMS = 20  # of different texts
VALUE = "{value}"  # in a text: where the values stand, in which equal problems differ
_SHOWN_PLACES = 3
_SHOWN_VALUES = 12
_KEPT_VALUES = 1000


@dataclass(kw_only=True)
class _Group:
    """Equal problems.

    Attributes:
        count: how many.
        places: the first locations.
        values: the first different values, as they are shown.
    """

    count: int = 0
    places: list[str] = field(default_factory=list)
    values: dict[str, None] = field(default_factory=dict)

    def add(self, count: int, places: list[str], values: dict[str, None]) -> None:
        """Add further ones."""
        self.count += count
        self.places = [*self.places, *places][:_SHOWN_PLACES]
        if len(self.values) < _KEPT_VALUES:
            self.values |= values

    def problem(self, text: str) -> Problem:
        """Return one problem for all: "line 2, 3, 4 and 7 more"."""
        first, *others = self.places
        location = ", ".join([first, *(place.removeprefix("line ") for place in others)])
        if (more := self.count - len(self.places)) > 0:
            location += f" and {more:,} more"
        if self.values:
            shown = ", ".join(list(self.values)[:_SHOWN_VALUES])
            if (more := len(self.values) - _SHOWN_VALUES) > 0:
                shown += f" and {more:,} others"
            text = text.replace(VALUE, shown, 1)
        return Problem(location=location, text=text, count=self.count)


@dataclass(kw_only=True)
class RowErrors:
    """The problems of one file: all are counted, the first ones of different texts are kept.

    Attributes:
        source: the file or folder.
        count: the number of problems.
        unusable: the number of examples that a problem makes unusable.
        refused: whether a problem concerns the file as a whole.
        repaired: the number of examples whose gold answer was corrected.
        tolerated: problems that the published file is known to have. They are no error.
    """

    source: str
    count: int = 0
    unusable: int = 0
    refused: bool = False
    repaired: int = 0
    tolerated: "RowErrors | None" = None
    _groups: dict[str, _Group] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        """The first problems. Those with the same text are one, with the first locations."""
        return [group.problem(text) for text, group in self._groups.items()]

    def add(self, location: str, text: str, *, examples: int = 1, value: str = "") -> None:
        """Note a problem.

        Args:
            location: the place in the file.
            text: what is wrong, and what would do.
            examples: how many examples it makes unusable; 0 if they are counted already.
            value: what stands at VALUE in the text. Problems that differ in it alone are equal.
        """
        self.count += 1
        self.unusable += examples
        self._keep(text, 1, [location], dict.fromkeys([value] if value else ()))

    def refuse(self, location: str, text: str) -> None:
        """Note a problem of the file as a whole, an error however many rows may be left out."""
        self.add(location, text, examples=0)
        self.refused = True

    def merge(self, errors: "RowErrors", *, file: str = "") -> None:
        """Add the problems that were collected elsewhere.

        Args:
            errors: the problems.
            file: the file that they are in, if `source` is the folder that holds it.
        """
        for text, group in errors._groups.items():
            places = [f"{file} {place}" if file else place for place in group.places]
            self._keep(text, group.count, places, group.values)
        self.count += errors.count
        self.unusable += errors.unusable
        self.repaired += errors.repaired
        self.refused |= errors.refused

    def _keep(self, text: str, count: int, places: list[str], values: dict[str, None]) -> None:
        """Keep a problem, unless there are enough of other texts."""
        if text in self._groups or len(self._groups) < KEPT_PROBLEMS:
            self._groups.setdefault(text, _Group()).add(count, places, values)

    def skipped(self) -> int:
        """Return the number of examples that are left out if nothing is raised."""
        return self.unusable + (self.tolerated.unusable if self.tolerated else 0)

    def summary(self, shown: int = 3) -> str:
        """Return in one line what was left out, why, and what was repaired.

        Args:
            shown: the number of problems that are quoted.
        """
        parts = []
        if self.skipped():
            tolerated = self.tolerated.problems if self.tolerated else ()
            problems = [*self.problems, *tolerated][:shown]
            why = "; ".join(f"{problem.location} {problem.text}" for problem in problems)
            plural = "" if self.skipped() == 1 else "s"
            parts.append(f"{self.skipped():,} unusable example{plural} left out, the first: {why}")
        if self.repaired:
            parts.append(f"{self.repaired:,} answers moved to their place in the context")
        return "; ".join(parts).replace("\n", " ")

    def close(self, max_bad_rows: int = 0) -> None:
        """Raise InputError if there are too many problems.

        Args:
            max_bad_rows: how many unusable examples may be left out.

        Raises:
            InputError: more examples are unusable, or a problem concerns the file as a whole.
        """
        if not self.refused and self.unusable <= max_bad_rows:
            return
        problems = self.problems
        more = self.count - sum(problem.count for problem in problems)
        rest = [Problem(location="...", text=f"and {more:,} more", count=more)] if more else []
        raise InputError(self.source, [*problems, *rest])
