"""RowErrors: what is wrong with one input file, collected while it is read.

It is apart from the readers because all of them report in this way, whatever their format.
"""

from dataclasses import dataclass, field, replace

from ...errors import InputError, Problem

KEPT_PROBLEMS = 20


@dataclass(kw_only=True)
class RowErrors:
    """The problems of one file: all are counted, the first ones are kept.

    Attributes:
        source: the file or folder.
        count: the number of problems.
        unusable: the number of examples that a problem makes unusable.
        refused: whether a problem concerns the file as a whole.
        repaired: the number of examples whose gold answer was corrected.
        problems: the first problems.
        tolerated: problems that the published file is known to have. They are no error.
    """

    source: str
    count: int = 0
    unusable: int = 0
    refused: bool = False
    repaired: int = 0
    problems: list[Problem] = field(default_factory=list)
    tolerated: "RowErrors | None" = None

    def add(self, location: str, text: str, *, examples: int = 1) -> None:
        """Note a problem.

        Args:
            location: the place in the file.
            text: what is wrong, and what would do.
            examples: how many examples it makes unusable; 0 if they are counted already.
        """
        self.count += 1
        self.unusable += examples
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append(Problem(location=location, text=text))

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
        located = errors.problems
        if file:
            located = [replace(p, location=f"{file} {p.location}") for p in errors.problems]
        self.problems = [*self.problems, *located][:KEPT_PROBLEMS]
        self.count += errors.count
        self.unusable += errors.unusable
        self.repaired += errors.repaired
        self.refused |= errors.refused

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
        more = self.count - len(self.problems)
        rest = [Problem(location="...", text=f"and {more:,} more", count=more)] if more else []
        raise InputError(self.source, [*self.problems, *rest])
