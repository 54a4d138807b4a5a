"""What a user can cause and mend: every problem with its place, what was seen, what would do."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice

MAX_NAME_LENGTH = 60  # letters of a name that are shown
MAX_LISTED_NAMES = 12  # names that are shown
MOST = 1000  # names that are searched for one that may be meant
LONGEST = {"location": 200, "text": 4000}  # letters of a problem that are kept
SIMILARITY_THRESHOLD = 0.75  # from here on one name may be meant by another
_LISTED = {
    "task": "tasks",
    "hyperparameter": "hyperparameters",
    "study": "studies",
}  # as `raysearch list` calls them

# What a terminal obeys instead of showing it, and what it does not show: control characters, line
# separators, marks that reorder text (U+202E), zero-width and other characters that Unicode calls
# ignorable, and halves of a surrogate pair, which no encoding can print.
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ESCAPED = re.compile(f"[{_UNSEEN}]")
_ESCAPED_IN_LINES = re.compile(rf"(?!\n)[{_UNSEEN}]")


def printable(text: object, *, lines: bool = False) -> str:
    r"""Return text as a terminal may be given it: what it would obey or hide is escaped.

    An ESC becomes \x1b, a right-to-left override \u202e, half a surrogate pair \ud800. Applied
    twice it changes nothing more.

    Args:
        text: anything; its `str` is taken.
        lines: whether line feeds are the program's own and stay.
    """
    found = _ESCAPED_IN_LINES if lines else _ESCAPED
    return found.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


@contextmanager
def refuse_unreadable(what: object) -> Iterator[None]:
    """Note on an unexpected exception what was being read; the last handler prints it.

    Args:
        what: a file, or a sentence's object such as "the journal of runs/x".
    """
    try:
        yield
    except RaysearchError:
        raise
    except Exception as error:
        error.add_note(printable(what))
        raise


class RaysearchError(Exception):
    """Base of everything that the command prints without a traceback, with exit code 2."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: where it stands, and what was seen and would do.

    Both are kept as they may be printed, see `printable`, and cut where they are very long.

    Attributes:
        count: how many it stands for: the last line of a list that was cut stands for the rest.
    """

    location: str
    text: str
    count: int = 1

    def __post_init__(self) -> None:
        for name, longest in LONGEST.items():
            value = printable(getattr(self, name), lines=name == "text")
            if len(value) > longest:
                value = f"{value[: longest - 3]}..."
            object.__setattr__(self, name, value)


class InputError(RaysearchError):
    """All the problems of one input at once.

    Args:
        source: the file, folder or command that they were found in.
        problems: at least one.
    """

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = printable(source)
        self.problems: Sequence[Problem] = tuple(problems)
        assert self.problems, "an InputError without a problem"
        super().__init__(str(self))

    def __str__(self) -> str:
        count = sum(problem.count for problem in self.problems)
        width = min(max(len(problem.location) for problem in self.problems), 40)
        lines = [f"{self.source}: {count:,} problem{'' if count == 1 else 's'}"]
        for problem in self.problems:
            first, *rest = problem.text.splitlines() or [""]
            lines.append(f"  {problem.location:<{width}}  {first}".rstrip())
            lines.extend(f"  {'':<{width}}  {line}" for line in rest)
        return "\n".join(lines)

    def __reduce__(self):
        return type(self), (self.source, self.problems)


def unknown_name(kind: str, name: str, names: Iterable[str]) -> str:
    """Say that `name` is no such thing, and what is: the nearest names, else all of them if they
    are few, else the command that lists them.

    Args:
        kind: what was looked for, for example "task".
    """
    names = sorted(map(printable, names))
    near = nearest_name(name, names)
    if 0 < len(near) <= 3:
        hint = f"did you mean {' or '.join(repr(one) for one in near)}?"
    elif not near and len(names) > MAX_LISTED_NAMES and kind in _LISTED:
        hint = f"`raysearch list {_LISTED[kind]}` shows them"
    else:
        listed = near or names
        hint = f"there are: {', '.join(listed[:MAX_LISTED_NAMES])}"
        hint += (
            f" and {len(listed) - MAX_LISTED_NAMES} more" if len(listed) > MAX_LISTED_NAMES else ""
        )
    return f"no {kind} named '{shorten(name)}'; {hint}"


def nearest_name(name: str, names: Iterable[str]) -> list[str]:
    """Names that were probably meant, the likeliest first: the same but for capitals or the order
    of letters, else those that it is a part of or holds, and the most similar one. Of very many
    names only some are looked at."""
    name, names = name[:MAX_NAME_LENGTH], list(islice(names, MOST))
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
    similar = [best] if best and likeness(best) >= SIMILARITY_THRESHOLD else []
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


def shorten(text: str) -> str:
    """What was seen, in one line, cut where it is long."""
    text = " ".join(text[: 4 * MAX_NAME_LENGTH].split())
    return text if len(text) <= MAX_NAME_LENGTH else f"{text[: MAX_NAME_LENGTH - 3]}..."
