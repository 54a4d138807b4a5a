"""Parses decimal numbers of data and prediction files.

It is apart because it is stricter than Python's `float`, which also accepts 0_4, white space, "nan"
and the digits of other scripts.
"""

import re

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def decimal(text: str) -> float | None:
    """Return the decimal number that a text spells; None for any other text."""
    return float(text) if _NUMBER.fullmatch(text) else None
