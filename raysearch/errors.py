"""What a user can cause and mend: every problem with its place, what was seen, what would do."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

LONG = 60  # letters of a name that are shown
FEW = 12  # names that are shown
ALIKE = 0.75  # from here on one name may be meant by another
_LISTED = {"task": "tasks", "hyperparameter": "hyperparameters"}  # as `raysearch list` calls them


class RaysearchError(Exception):
    """Base of everything that the command prints without a traceback, with exit code 2."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: where it stands, and what was seen and would do.

    Attributes:
        count: how many it stands for: the last line of a list that was cut stands for the rest.
    """

    place: str
    text: str
    count: int = 1


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
        count = sum(problem.count for problem in self.problems)
        width = min(max(len(problem.place) for problem in self.problems), 40)
        lines = [f"{self.source}: {count:,} problem{'' if count == 1 else 's'}"]
        for problem in self.problems:
            first, *rest = problem.text.splitlines() or [""]
            lines.append(f"  {problem.place:<{width}}  {first}".rstrip())
            lines.extend(f"  {'':<{width}}  {line}" for line in rest)
        return "\n".join(lines)

    def __reduce__(self):
        return type(self), (self.source, self.problems)


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """Say that `name` is no such thing, and what is: the nearest names, else all of them if they
    are few, else the command that lists them.

    Args:
        kind: what was looked for, for example "task".
    """
    names = sorted(names)
    near = nearest(name, names)
    if 0 < len(near) <= 3:
        hint = f"did you mean {' or '.join(repr(one) for one in near)}?"
    elif not near and len(names) > FEW and kind in _LISTED:
        hint = f"`raysearch list {_LISTED[kind]}` shows them"
    else:
        listed = near or names
        hint = f"there are: {', '.join(listed[:FEW])}"
        hint += f" and {len(listed) - FEW} more" if len(listed) > FEW else ""
    return f"no {kind} named '{shortened(name)}'; {hint}"


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Names that were probably meant, the likeliest first: the same but for capitals or the order
    of letters, else those that it is a part of or holds, and the most similar one."""
    name = name[:LONG]
    letters = {one: one.casefold() for one in (name, *names)}
    plain = letters[name]

    def likeness(one: str) -> float:
        return _likeness(plain, letters[one])

    if same := [one for one in names if sorted(letters[one]) == sorted(plain)]:
        return same[:1]
    if len(plain) < 3:
        return []
    longer = [one for one in names if plain in letters[one]]
    parts = [one for one in names if len(one) > 2 and letters[one] in plain]
    best = max(sorted(names, reverse=True), key=likeness, default="")  # of versions the newest
    similar = [best] if likeness(best) >= ALIKE else []
    return sorted({*longer, *parts, *similar}, key=lambda one: (-likeness(one), one))


def _likeness(one: str, other: str) -> float:
    """How alike two names are, mostly in the words that they do not share: glue/abc is not like
    glue/rte. 1 where one has all words of the other."""
    words, others = (re.split(r"[\W_]+", text) for text in (one, other))
    left = "_".join(word for word in words if word not in others)
    right = "_".join(word for word in others if word not in words)
    if not left or not right:
        return 1
    slack = 0.1 if len(left + right) <= 6 else 0  # one letter of three may be another
    apart, whole = (SequenceMatcher(None, *pair).ratio() for pair in ((left, right), (one, other)))
    return max(apart + slack, whole - 0.1)


def shortened(text: str) -> str:
    """What was seen, in one line, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= LONG else f"{text[: LONG - 3]}..."
