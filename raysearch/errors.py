"""What a user can cause and mend: every problem with its place, what was seen, what would do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class RaysearchError(Exception):
    """Base of everything that the command prints without a traceback, with exit code 2."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: where it stands, and what was seen and would do."""

    place: str
    text: str


class InputError(RaysearchError):
    """All the problems of one input at once.

    Args:
        source: the file, folder or command that they were found in.
        problems: at least one.
    """

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems: Sequence[Problem] = tuple(problems)
        assert self.problems, "an InputError without a problem"
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.problems)
        width = min(max(len(problem.place) for problem in self.problems), 40)
        lines = [f"{self.source}: {count} problem{'' if count == 1 else 's'}"]
        for problem in self.problems:
            first, *rest = problem.text.splitlines() or [""]
            lines.append(f"  {problem.place:<{width}}  {first}".rstrip())
            lines.extend(f"  {'':<{width}}  {line}" for line in rest)
        return "\n".join(lines)

    def __reduce__(self):
        return type(self), (self.source, self.problems)


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """Say that `name` is no such thing, with the nearest valid name or all of them.

    Args:
        kind: what was looked for, for example "task".
    """
    names = sorted(names)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names)}"
    return f"no {kind} named '{name}'; {hint}"
