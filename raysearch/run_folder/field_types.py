"""The types of the fields of a journal's events, with their bounds.

They are apart from `events` because they hold the checks: a journal may come from anyone, and
nothing in it is used before it passed them.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, Strict

from ..errors import printable
from ..storage import is_id

MAX_DEPTH = 8  # levels of a value in a configuration
MAX_TEXT = 1000  # characters of a name, or of a text in a configuration


def _check_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("lower-case letters, digits and dashes make an id, at most 64")
    return text


def _check_setting(value: Any) -> Any:
    """Raise ValueError for a value that no hyperparameter has.

    Such a value is nested too deeply, is too long, or has a number that is too large for a float.
    """
    for depth, part in _nested_parts(value, 0):
        if depth > MAX_DEPTH:
            raise ValueError(f"at most {MAX_DEPTH} levels would do")
        if isinstance(part, str):
            if len(part) > MAX_TEXT:
                raise ValueError(f"a text of at most {MAX_TEXT} letters would do")
            part.encode()  # raises ValueError for half a surrogate pair
        elif isinstance(part, int | float) and not abs(part) < 1e300:
            raise ValueError("a number below 1e300 would do")
    return value


def _nested_parts(value: Any, depth: int) -> Iterator[tuple[int, Any]]:
    """Yield a value and everything in it with its depth, down to one level below MAX_DEPTH."""
    yield depth, value
    if depth > MAX_DEPTH:
        return
    for part in [*value, *value.values()] if isinstance(value, dict) else ():
        yield from _nested_parts(part, depth + 1)
    for part in value if isinstance(value, list) else ():
        yield from _nested_parts(part, depth + 1)


def _check_encodable(text: str) -> str:
    """Raise ValueError for half a surrogate pair, which no file can hold."""
    text.encode()
    return text


def _check_printable(text: str) -> str:
    if printable(text) != text:
        raise ValueError("a name without control characters")
    return text


Label = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_check_printable)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_check_printable)]
Text = Annotated[str, AfterValidator(_check_encodable)]
Identity = Annotated[str, AfterValidator(_check_id)]
Setting = Annotated[Any, AfterValidator(_check_setting)]
# Numbers are strict: a journal's texts and truth values are no numbers.
Count = Annotated[int, Strict(), Field(ge=0, le=10**15)]
Steps = Annotated[int, Strict(), Field(ge=1, le=10**15)]  # of a whole schedule
Ordinal = Annotated[int, Strict(), Field(ge=1, le=10**6)]
Number = Annotated[int, Strict(), Field(ge=0, le=10**9)]  # of a trial in its task
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Format = Annotated[int, Strict(), Field(ge=1)]
Time = Annotated[float, Strict(), Field(ge=0, le=1e11)]  # Unix seconds
Seconds = Annotated[float, Strict(), Field(ge=0, le=1e10)]
Real = Annotated[float, Strict(), Field(ge=-1e100, le=1e100)]
Score = Annotated[float, Strict(), Field(ge=-1e12, le=1e12)]
Scores = dict[Name, Score]
