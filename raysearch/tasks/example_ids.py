"""The parts of ids, and problems of predictions and gold that are not for the same examples.

It is apart because predictions of every format are compared by ids, and readers quote ids too.
"""

from collections.abc import Mapping, Sequence

from ..errors import Problem

_SHOWN_IDS = 5
_SEPARATOR = "/"  # between the parts of an id, see `Task.id_parts`


def join_parts(*parts: object) -> str:
    """Return the id of these parts, the widest first."""
    return _SEPARATOR.join(map(str, parts))


def id_parts(identity: str) -> list[str]:
    """Return the parts of an id, the widest first."""
    return identity.split(_SEPARATOR)


def group_of(identity: str) -> str:
    """Return an id without its last part: what the examples of its group share."""
    return identity.rpartition(_SEPARATOR)[0]


def id_mismatch_problems(
    kind: str,
    values: Mapping[str, object],
    gold: Mapping[str, object],
    *,
    example_name: str = "question",
) -> list[Problem]:
    """Return a problem for gold examples without a value, and one for values without an example.

    Each problem gives the number of ids and the first of them.

    Args:
        kind: what the values are, for example "prediction".
        values: example id -> value.
        gold: example id -> gold; only the ids are used.
        example_name: what messages call an example.
    """
    problems = []
    if missing := [identity for identity in gold if identity not in values]:
        text = f"{len(missing):,} of {len(gold):,} {example_name}s have none: {format_ids(missing)}"
        problems.append(Problem(location=f"{kind}s", text=text))
    if unknown := [identity for identity in values if identity not in gold]:
        text = f"{len(unknown):,} of {len(values):,} are of no {example_name} in the data"
        text += f": {format_ids(unknown)}"
        problems.append(Problem(location=f"{kind}s", text=text))
    return problems


def format_ids(ids: Sequence[object]) -> str:
    """Return the first ids, each cut to 60 characters, and how many more there are."""
    more = len(ids) - _SHOWN_IDS
    shown = ", ".join(str(identity)[:60] for identity in ids[:_SHOWN_IDS])
    return f"{shown} and {more:,} more" if more > 0 else shown
