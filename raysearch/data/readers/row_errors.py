"""Collects what is wrong with one input file while its reading goes on. Knows no format."""

from dataclasses import dataclass, field

from ...errors import InputError, Problem

KEPT_PROBLEMS = 20


@dataclass(kw_only=True)
class RowErrors:
    """Problems of one file: the first are kept, all are counted.

    Attributes:
        source: the file or folder.
        count: problems.
        unusable: examples that a problem spoils.
        refused: whether a problem is not one of single examples.
        mended: examples whose gold was put right.
        kept: the first problems.
        known: problems that the published file is known for; they are no error.
    """

    source: str
    count: int = 0
    unusable: int = 0
    refused: bool = False
    repaired: int = 0
    kept: list[Problem] = field(default_factory=list)
    tolerated: "RowErrors | None" = None

    def add(self, place: str, text: str, *, examples: int = 1) -> None:
        """Note a problem that makes so many examples unusable; 0 for a further one of the same."""
        self.count += 1
        self.unusable += examples
        if len(self.kept) < KEPT_PROBLEMS:
            self.kept.append(Problem(location=place, text=text))

    def refuse(self, place: str, text: str) -> None:
        """Note a problem of the file as a whole, which no spare examples make up for."""
        self.add(place, text, examples=0)
        self.refused = True

    def merge(self, other: "RowErrors") -> None:
        """Note all that another found."""
        self.kept = [*self.kept, *other.kept][:KEPT_PROBLEMS]
        self.count += other.count
        self.unusable += other.unusable
        self.repaired += other.repaired
        self.refused |= other.refused

    def skipped(self) -> int:
        """Examples that are left out where nothing was raised."""
        return self.unusable + (self.tolerated.unusable if self.tolerated else 0)

    def summary(self, shown: int = 3) -> str:
        """What was left out, why, and what was mended, in a line."""
        said = []
        if self.skipped():
            problems = [*self.kept, *(self.tolerated.kept if self.tolerated else ())][:shown]
            why = "; ".join(f"{problem.location} {problem.text}" for problem in problems)
            few = "" if self.skipped() == 1 else "s"
            said.append(f"{self.skipped():,} unusable example{few} left out, the first: {why}")
        if self.repaired:
            said.append(f"{self.repaired:,} answers moved to where they stand in their context")
        return "; ".join(said).replace("\n", " ")

    def close(self, spare: int = 0) -> None:
        """Raise InputError if there was a problem that `spare` unusable examples do not cover."""
        if not self.refused and self.unusable <= spare:
            return
        more = self.count - len(self.kept)
        rest = [Problem(location="...", text=f"and {more:,} more", count=more)] if more else []
        raise InputError(self.source, [*self.kept, *rest])
