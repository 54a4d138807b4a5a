"""Places in a study's file, which may hold anything yet: what stands there, and what comes first.
A mapping keeps the order of its file, so that no line needs to be counted."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ..errors import Problem


def mapping(part: Any) -> Mapping[Any, Any]:
    """A part of the file where it is a mapping, else an empty one."""
    return part if isinstance(part, Mapping) else {}


def in_order(
    problems: Iterable[Problem], file: Mapping[Any, Any], given: Collection[str] = ()
) -> list[Problem]:
    """Those of the command line first, then those of the file as they stand there, then the rest.

    Args:
        given: places that come first, as their values are not the file's.
    """

    def rank(problem: Problem) -> tuple[int, tuple[int, ...]]:
        for at, place in enumerate(given):
            if _begins(problem.place, place):
                return 0, (at,)
        steps = tuple(_steps(file, problem.place))
        return (1, steps) if steps else (2, ())

    return sorted(problems, key=rank)


def _begins(place: str, first: str) -> bool:
    """Whether a place is one, or lies within it."""
    return place.startswith(first) and place[len(first) :][:1] in ("", ".", "[")


def _steps(part: Any, place: str) -> Iterator[int]:
    """The positions that lead to the innermost part of a place that is there."""
    inside = {}
    if isinstance(part, Mapping):
        inside = {str(name): (at, value) for at, (name, value) in enumerate(part.items())}
    elif isinstance(part, list | tuple):
        inside = {f"[{at}]": (at, value) for at, value in enumerate(part)}
    # A name may hold a dot: of those that fit the longest is meant.
    if found := max((name for name in inside if _begins(place, name)), key=len, default=None):
        at, value = inside[found]
        yield at
        yield from _steps(value, place[len(found) :].removeprefix("."))
