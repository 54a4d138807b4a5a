"""How many names of a checkpoint are told in one problem."""

from collections.abc import Iterable

from ...errors import Problem

SHOWN = 12  # names of one kind of problem
LONG = 160  # letters of a name that are shown


def listed(place: str, those: Iterable[str]) -> Problem:
    """Return a problem with several names, the first of them shown."""
    those = list(those)
    count = f"{len(those)} tensor{'' if len(those) == 1 else 's'}"
    more = [f".. and {len(those) - SHOWN} more"] if len(those) > SHOWN else []
    return Problem(location=place, text="\n".join([count, *map(_cut, those[:SHOWN]), *more]))


def _cut(name: str) -> str:
    """Return a name in one line, without the middle of a long one."""
    name = " ".join(name.splitlines())
    return name if len(name) <= LONG else f"{name[: LONG // 2]}..{name[-LONG // 2 :]}"
