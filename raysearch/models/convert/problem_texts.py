"""Problems that list names of a checkpoint, the first names only.

It is apart because both the reading and the checking of checkpoints need it.
"""

from collections.abc import Iterable

from ...errors import Problem

MAX_NAMES = 12  # shown for one kind of problem
MAX_LENGTH = 160  # characters of a name that are shown


def listed(location: str, names: Iterable[str]) -> Problem:
    """Return a problem that counts tensors and shows the first of them.

    Args:
        location: the location of the problem.
        names: the names of the tensors, with details.
    """
    names = list(names)
    count = f"{len(names)} tensor{'' if len(names) == 1 else 's'}"
    more = [f".. and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    text = "\n".join([count, *map(_shortened, names[:MAX_NAMES]), *more])
    return Problem(location=location, text=text)


def _shortened(name: str) -> str:
    """Return a name in one line, a long one without its middle."""
    name = " ".join(name.splitlines())
    if len(name) <= MAX_LENGTH:
        return name
    return f"{name[: MAX_LENGTH // 2]}..{name[-MAX_LENGTH // 2 :]}"
