"""Finds locations in a study's file, and sorts problems by them.

It works on the mapping of a file before it is validated, which may hold any values. A mapping keeps
the order of its file, so that no line numbers are needed.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from ..errors import Problem, printable


def mapping_or_empty(value: Any) -> Mapping[Any, Any]:
    """Return the value if it is a mapping, else an empty mapping."""
    return value if isinstance(value, Mapping) else {}


def sort_problems(
    problems: Iterable[Problem], file: Mapping[Any, Any], first: Collection[str] = ()
) -> list[Problem]:
    """Sort problems: those of the command line, those of the file in its order, then all others.

    Args:
        problems: in any order.
        file: the mapping of the file.
        first: locations that come first because their values are not from the file.
    """
    names: dict[int, dict[str, int]] = {}

    def sort_key(problem: Problem) -> tuple[int, tuple[float, ...]]:
        for index, location in enumerate(first):
            if _is_within(problem.location, location):
                return 0, (index,)
        positions: tuple[float, ...] = tuple(_positions(file, problem.location, names))
        if positions and problem.count > 1:
            positions += (math.inf,)  # a problem that counts the rest comes after the others
        return (1, positions) if positions else (2, ())

    return sorted(problems, key=sort_key)


def path_of(file: Mapping[Any, Any], location: str) -> list[str]:
    """Return the names that lead to the innermost existing part of a location, as far as a list.

    Args:
        file: the mapping of a file.
        location: of a problem, such as "space.LR" or "published[0].row".
    """
    path: list[str] = []
    value: Any = file
    while isinstance(value, Mapping):
        names = {printable(name): name for name in value}
        name = next((prefix for prefix in _prefixes(location) if prefix in names), None)
        if name is None:
            break
        path.append(names[name])
        value, location = value[names[name]], location[len(name) :].removeprefix(".")
    return path


def names_one_of(text: str, names: Collection[str]) -> bool:
    """Return whether a text has one of these names, as a word."""
    return bool(names) and bool(
        re.search(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", text)
    )


def _prefixes(location: str) -> Iterator[str]:
    """Yield a location and the locations around it, the longest first. A name may hold a dot."""
    ends = [len(location), *(match.start() for match in re.finditer(r"[.\[]", location))]
    yield from (location[:end] for end in sorted(ends)[::-1])


def _is_within(location: str, outer: str) -> bool:
    return location.startswith(outer) and location[len(outer) :][:1] in ("", ".", "[")


def _positions(value: Any, location: str, known: dict[int, dict[str, int]]) -> Iterator[int]:
    """Yield the positions, level by level, of the innermost existing part of a location.

    Args:
        value: a part of the file.
        location: relative to that part.
        known: id of a mapping -> its names with their positions, for the mappings visited so far.
    """
    values: list[Any] | tuple[Any, ...] | None = None
    if isinstance(value, Mapping):
        if id(value) not in known:
            known[id(value)] = {printable(name): index for index, name in enumerate(value)}
        names = known[id(value)]
    elif isinstance(value, list | tuple):
        match = re.match(r"\[(\d+)\]", location)
        names, values = {match[0]: int(match[1])} if match else {}, value
    else:
        return
    name = next((prefix for prefix in _prefixes(location) if prefix in names), None)
    if name is None or (values is not None and names[name] >= len(values)):
        return
    index = names[name]
    inner = values[index] if values is not None else next(islice(value.values(), index, None))
    yield index
    yield from _positions(inner, location[len(name) :].removeprefix("."), known)
