"""Checks of names that become part of a path: of run folders, of trials, of listed files.

They are apart from `paths` because they look at text only, not at the disk.
"""

import re
import unicodedata

# Of trials. Those of raysearch have 12 hexadecimal digits; other programs may write longer ones.
ID = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")
MAX_COMPONENT = 255  # bytes of one component of a path; the limit of file systems
MAX_RUN_NAME = 200  # bytes of a run's name; files that are staged beside it have longer ones


def is_id(text: object) -> bool:
    """Return whether a value can be a trial's id: lower-case letters, digits and dashes."""
    return isinstance(text, str) and ID.fullmatch(text) is not None


def component_problem(text: str) -> str | None:
    """Return why a text cannot be one component of a path; None if it can.

    Args:
        text: the name of a file or folder, without separators.
    """
    if text in ("", ".", ".."):
        return f"'{text}' names no file or folder of its own"
    if "/" in text or "\\" in text:
        return "a separator would lead to another folder"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        return "control characters are no part of a name"
    if len(text.encode()) > MAX_COMPONENT:
        return f"at most {MAX_COMPONENT} bytes would do, it has {len(text.encode()):,}"
    return None


def name_problem(text: str) -> str | None:
    """Return why a text cannot be the name of a run folder; None if it can."""
    if problem := component_problem(text):
        return problem
    if text[0] in ".-~" or text != text.strip():
        return "it begins with a letter or a digit, and has no spaces around it"
    if len(text.encode()) > MAX_RUN_NAME:
        return f"at most {MAX_RUN_NAME} bytes would do, it has {len(text.encode()):,}"
    return None
