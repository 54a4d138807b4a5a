"""Reads numbers in text. Stricter than Python's own `float`, which also takes 0_4, white space,
"nan" and the digits of other scripts."""

import re

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def decimal(text: str) -> float | None:
    """Return the decimal number that a text is, None for any other text."""
    return float(text) if _NUMBER.fullmatch(text) else None
