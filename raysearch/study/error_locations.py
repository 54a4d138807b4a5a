"""Places in a study's file, which may hold anything yet: what stands there, and what comes first.
A mapping keeps the order of its file, so that no line needs to be counted."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from ..errors import Problem, printable


def mapping_or_empty(part: Any) -> Mapping[Any, Any]:
    """A part of the file where it is a mapping, else an empty one."""
    return part if isinstance(part, Mapping) else {}


def sort_problems(
    problems: Iterable[Problem], file: Mapping[Any, Any], given: Collection[str] = ()
) -> list[Problem]:
    """Those of the command line first, then those of the file as they stand there, then the rest.

    Args:
        given: places that come first, as their values are not the file's.
    """

    names: dict[int, dict[str, int]] = {}

    def rank(problem: Problem) -> tuple[int, tuple[float, ...]]:
        for at, place in enumerate(given):
            if _begins(problem.location, place):
                return 0, (at,)
        steps: tuple[float, ...] = tuple(_steps(file, problem.location, names))
        if steps and problem.count > 1:
            steps += (math.inf,)  # what stands for the rest stands behind them
        return (1, steps) if steps else (2, ())

    return sorted(problems, key=rank)


def _begins(place: str, first: str) -> bool:
    """Whether a place is one, or lies within it."""
    return place.startswith(first) and place[len(first) :][:1] in ("", ".", "[")


def _steps(part: Any, place: str, known: dict[int, dict[str, int]]) -> Iterator[int]:
    """The positions that lead to the innermost part of a place that is there.

    Args:
        known: names of the mappings that were looked at before, by their identity.
    """
    if isinstance(part, Mapping):
        if id(part) not in known:
            known[id(part)] = {printable(name): at for at, name in enumerate(part)}
        names, values = known[id(part)], None
    elif isinstance(part, list | tuple):
        index = re.match(r"\[(\d+)\]", place)
        names, values = {index[0]: int(index[1])} if index else {}, part
    else:
        return
    # A name may hold a dot: of those that fit the longest is meant.
    ends = [len(place), *(match.start() for match in re.finditer(r"[.\[]", place))]
    inside = next((place[:end] for end in sorted(ends)[::-1] if place[:end] in names), None)
    if inside is None or (values is not None and names[inside] >= len(values)):
        return
    at = names[inside]
    value = values[at] if values is not None else next(islice(part.values(), at, None))
    yield at
    yield from _steps(value, place[len(inside) :].removeprefix("."), known)
