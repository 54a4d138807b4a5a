"""Reads predictions that are one JSON object, as in SQuAD: question -> text, or question -> number.

It is apart from the reader of text files because all that can be wrong with JSON is here.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..data.readers.json_stream import CUT, kind, parse_integer
from ..data.readers.row_errors import RowErrors
from ..data.readers.text_lines import EMPTY, foreign, place_not_utf8, unreadable
from ..errors import InputError, Problem
from ..storage import open_input

_MAX_FILE_BYTES = 1 << 28
_MAX_ANSWER_LENGTH = 1_000_000  # characters


def read_answers(path: Path) -> dict[str, str]:
    """Return question -> answer from a JSON object of texts.

    Raises:
        InputError: the file cannot be read, is not JSON or no such object; with all its problems.
    """
    return _read(path, _answer_problem)


def read_null_scores(path: Path) -> dict[str, float]:
    """Return question -> null score from a JSON object of numbers.

    Raises:
        InputError: the file cannot be read, is not JSON or no such object; with all its problems.
    """
    return _read(path, _number_problem)


def _read(path: Path, value_problem: Callable[[Any], str | None]) -> dict[str, Any]:
    errors, values = RowErrors(source=str(path)), {}
    for identity, value in _pairs(path):
        if identity in values:
            errors.add(identity[:40], "the id occurs for the second time")
        elif problem := value_problem(value):
            errors.add(identity[:40], problem)
        values[identity] = value
    errors.close()
    return values


def _answer_problem(value: object) -> str | None:
    """Return why a JSON value is no answer; None if it is one."""
    if not isinstance(value, str):
        return f"{kind(value)} where the answer's text should be"
    if len(value) > _MAX_ANSWER_LENGTH:
        text = f"a text of {len(value):,} characters where an answer should be"
        return f"{text}, of at most {_MAX_ANSWER_LENGTH:,}"
    return None


def _number_problem(value: object) -> str | None:
    """Return why a JSON value is no null score; None if it is one.

    Infinity is allowed: it is above every other null score.
    """
    if type(value) not in (int, float):
        return f"{kind(value)} where a number should be"
    if isinstance(value, float) and math.isnan(value):
        return "NaN where a number should be"
    return None


def _pairs(path: Path) -> list[tuple[str, Any]]:
    """Return the members of the object in a file, including those with the same name."""
    try:
        with open_input(path) as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    if len(content) > _MAX_FILE_BYTES:
        text = f"has more than {_MAX_FILE_BYTES >> 20} MiB, too much for predictions of a data set"
        raise InputError(str(path), [Problem(location="file", text=text)])
    if foreign_error := foreign(path, content):
        raise foreign_error
    last: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        last[:] = pairs  # the outermost object is the last that is closed
        return dict(pairs)

    location = "file"
    try:
        value = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=keep, parse_int=parse_integer
        )
        problem = _object_problem(value)
        if problem is None:
            return last
    except UnicodeDecodeError as error:
        location, problem = place_not_utf8(content, error)
    except json.JSONDecodeError as error:
        location, problem = _syntax_problem(error)
    except ValueError as error:
        problem = f"holds {error}"
    except RecursionError:
        problem = "cannot be read: nested too deeply for an object of ids and predictions"
    raise InputError(str(path), [Problem(location=location, text=problem)])


def _object_problem(value: object) -> str | None:
    """Return why a JSON value holds no predictions; None if it may."""
    if not isinstance(value, dict):
        return f"{kind(value)} where an object should be, of ids and predictions"
    if isinstance(value.get("data"), list):
        return "holds questions in SQuAD's format; an object of ids and predictions would do"
    return None


def _syntax_problem(error: json.JSONDecodeError) -> tuple[str, str]:
    """Return the location and the text of a syntax error."""
    if not error.doc.strip():
        return "file", EMPTY
    if error.msg.startswith("Unterminated") or not error.doc[error.pos :].strip():
        return f"line {error.lineno}", CUT
    text = f"broken JSON at character {error.colno}: {error.msg}"
    if error.msg == "Extra data":
        text += "; one object should hold all ids"
    return f"line {error.lineno}", text
