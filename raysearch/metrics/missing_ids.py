"""Predictions and gold that should be of the same examples: names those that are not."""

from collections.abc import Mapping, Sequence

from ..errors import Problem

_SHOWN = 5


def id_mismatch_problems(
    what: str, found: Mapping[str, object], gold: Mapping[str, object], *, of: str = "question"
) -> list[Problem]:
    """A problem for the examples of gold that have none of what was found, and one for those found
    that gold has not; each with how many, and the first ids.

    Args:
        what: what was found, for example "prediction".
        of: what an example is called.
    """
    problems = []
    if missing := [identity for identity in gold if identity not in found]:
        text = f"{len(missing):,} of {len(gold):,} {of}s have none: {format_ids(missing)}"
        problems.append(Problem(location=f"{what}s", text=text))
    if strange := [identity for identity in found if identity not in gold]:
        text = (
            f"{len(strange):,} of {len(found):,} are of no {of} in the data: {format_ids(strange)}"
        )
        problems.append(Problem(location=f"{what}s", text=text))
    return problems


def format_ids(identities: Sequence[str]) -> str:
    """The first ids, and how many more there are."""
    more = len(identities) - _SHOWN
    shown = ", ".join(str(identity)[:60] for identity in identities[:_SHOWN])
    return f"{shown} and {more:,} more" if more > 0 else shown
