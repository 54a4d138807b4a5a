"""Names that may become part of a path: of run folders, of trials, of files in a listing."""

import re
import unicodedata

ID = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")  # of trials: 12 hexadecimal digits, by other hands more
LONGEST = 255  # bytes of one component of a path, as file systems have it
LONGEST_NAME = 200  # bytes of a run's name: files that are staged beside it have longer ones


def is_id(text: object) -> bool:
    """Return whether a text can be a trial's id: lower-case letters, digits and dashes."""
    return isinstance(text, str) and ID.fullmatch(text) is not None


def component_problem(text: str) -> str | None:
    """Return why a text cannot be one component of a path, None where it can.

    Args:
        text: a file's or a folder's name, without separators.
    """
    if text in ("", ".", ".."):
        return f"'{text}' names no file or folder of its own"
    if "/" in text or "\\" in text:
        return "a separator would lead to another folder"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        return "control characters are no part of a name"
    if len(text.encode()) > LONGEST:
        return f"at most {LONGEST} bytes would do, it has {len(text.encode()):,}"
    return None


def name_problem(text: str) -> str | None:
    """Return why a text cannot name a run folder, None where it can."""
    if problem := component_problem(text):
        return problem
    if text[0] in ".-~" or text != text.strip():
        return "it begins with a letter or a digit, and has no spaces around it"
    if len(text.encode()) > LONGEST_NAME:
        return f"at most {LONGEST_NAME} bytes would do, it has {len(text.encode()):,}"
    return None
