"""Checks and their verdicts, and how a verification is written and printed.

They are apart because every kind of check makes them.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .. import __version__
from ..errors import InputError, shorten

Verdict = Literal["holds", "fails", "not checked"]
_SHOWN = 20  # checks of one kind and verdict that are printed


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was checked.

    Attributes:
        what: the kind of check, such as "files" or "tables".
        place: the file, trial or task.
        verdict: whether it holds.
        expected: what had to be there; None if there is no single value.
        seen: what was there.
        note: why it was not checked, or what else a reader should know.
    """

    what: str
    place: str
    verdict: Verdict
    expected: Any = None
    seen: Any = None
    note: str = ""

    @classmethod
    def equal(cls, what: str, place: str, expected: Any, seen: Any, note: str = "") -> "Check":
        """Return a check that holds if two values are equal."""
        verdict: Verdict = "holds" if expected == seen else "fails"
        return cls(what=what, place=place, verdict=verdict, expected=expected, seen=seen, note=note)

    def line(self) -> str:
        """Return the place, what was expected and seen, and the note, in one line."""
        values = ""
        if self.verdict != "holds" and self.expected is not None:
            values = f": expected {_short(self.expected)}, seen {_short(self.seen)}"
        return f"{self.place}{values}{f': {self.note}' if self.note else ''}"


@dataclass(kw_only=True)
class Verification:
    """All checks of a run or a pack.

    Attributes:
        source: the run folder or pack.
        sha256: of the pack; None for a folder.
        checks: in the order in which they were made.
        standards: task -> by which standard its winner was compared, and why.
        notes: what the journal and the trials' ids show besides, such as a torn last line.
    """

    source: str
    sha256: str | None = None
    checks: list[Check] = field(default_factory=list)
    standards: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True if no check failed."""
        return not self.failed(self.checks)

    @staticmethod
    def failed(checks: Iterable[Check]) -> list[Check]:
        """Return the checks that failed."""
        return [check for check in checks if check.verdict == "fails"]

    def to_json(self) -> str:
        """Return the content of verification.json."""
        values = {
            "raysearch": __version__,
            "verdict": "holds" if self.holds else "does not hold",
            **asdict(self),
        }
        return json.dumps(values, indent=2, default=str) + "\n"

    def lines(self) -> Iterator[str]:
        """Yield the lines of a summary for a reader."""
        for what in dict.fromkeys(check.what for check in self.checks):
            checks = [check for check in self.checks if check.what == what]
            good = [check for check in checks if check.verdict == "holds"]
            if good:
                notes = [check for check in good if check.note]
                yield f"holds        {what}: {len(good)} of {len(checks)} checks"
                yield from (f"             {check.line()}" for check in notes[:_SHOWN])
            for verdict in ("fails", "not checked"):
                others = [check for check in checks if check.verdict == verdict]
                yield from (f"{verdict:<13}{what}: {check.line()}" for check in others[:_SHOWN])
                if len(others) > _SHOWN:
                    yield f"{verdict:<13}{what}: and {len(others) - _SHOWN} more"
        for task, standard in self.standards.items():
            yield f"standard     {task}: {standard['standard']}; {'; '.join(standard['why'])}"
        yield from (f"note         {note}" for note in self.notes)
        counts = [check.verdict for check in self.checks]
        failed, unchecked = counts.count("fails"), counts.count("not checked")
        verdict = "everything that was checked holds" if self.holds else f"{failed} checks fail"
        yield f"{verdict}; {len(counts) - unchecked} checks made, {unchecked} not made"


def refused(what: str, error: InputError) -> list[Check]:
    """Return a failed check for every problem of an error."""
    return [
        Check(what=what, place=f"{p.location}", verdict="fails", note=p.text.replace("\n", "; "))
        for p in error.problems
    ]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {x}" for name, x in value.items())[:200] or "nothing"
    return shorten(str(value))
