"""Errors that a user can cause and fix, as lists of problems.

Every problem says where it is, what was seen, and what would work instead. An error ends with the
pages that explain it. They are apart because every other module raises them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import islice

from .error_pages import explained_in, page_of

MAX_NAME_LENGTH = 60  # characters of a name in a message
MAX_LISTED_NAMES = 12  # names in a message
MAX_COMPARED_NAMES = 1000  # names that are compared with an unknown one
MAX_LENGTHS = {"location": 200, "text": 4000}  # characters of a problem's fields
SIMILARITY_THRESHOLD = 0.75  # at least this similar, a name is suggested for an unknown one
# Kind of a name -> the list of `raysearch list` that shows all of that kind.
_LISTS = {"task": "tasks", "hyperparameter": "hyperparameters", "study": "studies"}

# Characters that a terminal obeys or hides instead of showing them: control characters, line
# separators, marks that reorder text (U+202E), zero-width and other characters that Unicode calls
# ignorable, and halves of a surrogate pair, which no encoding can print.
_UNPRINTABLE = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ESCAPED = re.compile(f"[{_UNPRINTABLE}]")
_ESCAPED_EXCEPT_LINE_FEEDS = re.compile(rf"(?!\n)[{_UNPRINTABLE}]")


def printable(text: object, *, lines: bool = False) -> str:
    r"""Return a text with everything escaped that a terminal would obey or hide.

    An ESC becomes \x1b, a right-to-left override \u202e, half a surrogate pair \ud800. A second
    application changes nothing.

    Args:
        text: any object; its `str` is taken.
        lines: keep line feeds as they are.
    """
    pattern = _ESCAPED_EXCEPT_LINE_FEEDS if lines else _ESCAPED
    return pattern.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


@contextmanager
def note_source(source: object) -> Iterator[None]:
    """Add to an unexpected exception a note that says what was being read.

    The command's last handler prints the note. A RaysearchError says where it comes from itself and
    gets none.

    Args:
        source: a file, or a phrase such as "the journal of runs/x".
    """
    try:
        yield
    except RaysearchError:
        raise
    except Exception as error:
        error.add_note(printable(source))
        raise


class RaysearchError(Exception):
    """An error that the command prints without a traceback; its exit code is 2.

    Args:
        text: what happened, and what would do.
        page: the page of the documentation that explains it, as PAGE#HEADING; "" for none.

    Attributes:
        is_explained: whether its text ends with a page.
    """

    def __init__(self, text: str = "", *, page: str = "") -> None:
        self.is_explained = bool(page)
        super().__init__(f"{text}\n{explained_in([page])}" if page else text)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault of an input.

    Texts are stored as they may be printed, see `printable`, and cut at MAX_LENGTHS.

    Attributes:
        location: where the fault is: a field, a file, a line.
        text: what was seen, and what would work instead.
        count: the number of faults that it stands for: more than 1 of equal ones, and in the last
            line of a list that was cut; 0 if it only says what would do about others.
        page: the page of the documentation that explains it, as PAGE#HEADING; "": that of its
            location, see `error_pages`.
    """

    location: str
    text: str
    count: int = 1
    page: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name, max_length in MAX_LENGTHS.items():
            value = printable(getattr(self, name), lines=name == "text")
            if len(value) > max_length:
                value = f"{value[: max_length - 3]}..."
            object.__setattr__(self, name, value)


class InputError(RaysearchError):
    """All problems of one input.

    Args:
        source: the file, folder or command that has the problems.
        problems: at least one.
        page: explains those that neither name a page nor have one by their location.

    Attributes:
        source: see above, as it may be printed.
        problems: see above, each with its page if there is one.
    """

    def __init__(self, source: str, problems: Iterable[Problem], *, page: str = "") -> None:
        self.source = printable(source)
        self.problems: Sequence[Problem] = tuple(
            replace(p, page=p.page or page_of(source, p.location) or page) for p in problems
        )
        assert self.problems, "an InputError without a problem"
        super().__init__(str(self))
        self.is_explained = any(problem.page for problem in self.problems)

    def __str__(self) -> str:
        count = sum(problem.count for problem in self.problems)
        width = min(max(len(problem.location) for problem in self.problems), 40)
        lines = [f"{self.source}: {count:,} problem{'' if count == 1 else 's'}"]
        for problem in self.problems:
            first, *rest = problem.text.splitlines() or [""]
            lines.append(f"  {problem.location:<{width}}  {first}".rstrip())
            lines.extend(f"  {'':<{width}}  {line}" for line in rest)
        if explained := explained_in(problem.page for problem in self.problems):
            lines.append(explained)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, Sequence[Problem]]]:
        return type(self), (self.source, self.problems)


def unknown_name(kind: str, name: str, names: Iterable[str]) -> str:
    """Return a message for a name that does not exist.

    It suggests the most similar names. If there are none, it shows all names if they are few, else
    the command that lists them.

    Args:
        kind: what the name was taken for, for example "task".
        name: the unknown name.
        names: all names that exist.
    """
    names = sorted(map(printable, names))
    similar = nearest_names(name, names)
    if 0 < len(similar) <= 3:
        hint = f"did you mean {' or '.join(map(repr, similar))}?"
    elif not similar and len(names) > MAX_LISTED_NAMES and kind in _LISTS:
        hint = f"`raysearch list {_LISTS[kind]}` shows them"
    else:
        listed = similar or names
        hint = f"there are: {', '.join(listed[:MAX_LISTED_NAMES])}"
        if len(listed) > MAX_LISTED_NAMES:
            hint += f" and {len(listed) - MAX_LISTED_NAMES} more"
    return f"no {kind} named '{shorten(name)}'; {hint}"


def nearest_names(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that an unknown name was probably meant for, the most similar first.

    A name that differs only in capitals or in the order of its letters is returned alone. Else
    these are the names that contain the unknown one or are part of it, and the most similar one.

    Args:
        name: the unknown name; its first MAX_NAME_LENGTH characters are compared.
        names: all names that exist; the first MAX_COMPARED_NAMES are compared.
    """
    name, names = name[:MAX_NAME_LENGTH], list(islice(names, MAX_COMPARED_NAMES))
    folded = {text: text.casefold() for text in (name, *names)}
    target = folded[name]

    def similarity(candidate: str) -> float:
        return _similarity(target, folded[candidate])

    if same := [text for text in names if sorted(folded[text]) == sorted(target)]:
        return same[:1]
    if len(target) < 3:
        return []
    containing = [text for text in names if target in folded[text]]
    contained = [text for text in names if len(text) > 2 and folded[text] in target]
    # Of equally similar names, such as versions, the last in the alphabet is taken.
    best = max(sorted(names, reverse=True), key=similarity, default="")
    similar = [best] if best and similarity(best) >= SIMILARITY_THRESHOLD else []
    return sorted({*containing, *contained, *similar}, key=lambda text: (-similarity(text), text))


def _similarity(first: str, second: str) -> float:
    """Return how similar two names are, from 0 to about 1.

    Words that both names have count little: glue/abc is not similar to glue/rte. The result is 1 if
    one name has all words of the other.
    """
    first_words, second_words = (re.split(r"[\W_]+", text) for text in (first, second))
    first_rest = "_".join(word for word in first_words if word not in second_words)
    second_rest = "_".join(word for word in second_words if word not in first_words)
    if not first_rest or not second_rest:
        return 1
    # One wrong letter in a word of three would otherwise count too much.
    bonus = 0.1 if len(first_rest + second_rest) <= 6 else 0
    rest_ratio = SequenceMatcher(None, first_rest, second_rest).ratio()
    full_ratio = SequenceMatcher(None, first, second).ratio()
    return max(rest_ratio + bonus, full_ratio - 0.1)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type's name if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def shorten(text: str) -> str:
    """Return a text in one line of at most MAX_NAME_LENGTH characters."""
    text = " ".join(text[: 4 * MAX_NAME_LENGTH].split())
    return text if len(text) <= MAX_NAME_LENGTH else f"{text[: MAX_NAME_LENGTH - 3]}..."
