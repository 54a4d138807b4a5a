"""Collects what is wrong with one input file while its reading goes on. Knows no format."""

from dataclasses import dataclass, field

from ..errors import InputError, Problem

KEPT_PROBLEMS = 20


@dataclass(kw_only=True)
class Faults:
    """Problems of one file: the first are kept, all are counted."""

    source: str
    count: int = 0
    kept: list[Problem] = field(default_factory=list)

    def add(self, place: str, text: str) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.kept) < KEPT_PROBLEMS:
            self.kept.append(Problem(place=place, text=text))

    def take(self, other: "Faults") -> None:
        """Note all that another found."""
        self.kept = [*self.kept, *other.kept][:KEPT_PROBLEMS]
        self.count += other.count

    def close(self) -> None:
        """Raise InputError if there was a problem."""
        if not self.count:
            return
        more = self.count - len(self.kept)
        rest = [Problem(place="...", text=f"and {more} more")] if more else []
        raise InputError(self.source, [*self.kept, *rest])
