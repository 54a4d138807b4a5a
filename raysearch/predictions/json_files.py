"""Reads predictions that are one JSON object, SQuAD's: question -> text, or question -> number."""

import json
import math
from pathlib import Path
from typing import Any

from ..data.readers.json_stream import CUT, kind, parse_integer
from ..data.readers.text_lines import EMPTY, foreign, place_not_utf8, unreadable
from ..errors import InputError, Problem
from ..storage import open_input
from .row_errors import RepeatedErrors

LARGEST = 1 << 28  # bytes of a file
LONGEST = 1_000_000  # characters of an answer


def read_mapping(path: Path, *, numbers: bool = False) -> dict[str, Any]:
    """A JSON object of texts, or of numbers.

    Raises:
        InputError: the file is not there, not JSON, or no such object; all that is wrong with it.
    """
    faults, found = RepeatedErrors(source=str(path)), {}
    for identity, value in _pairs(path):
        if identity in found:
            faults.add(identity[:40], "the id stands for the second time")
        elif numbers and (problem := _odds(value)):
            faults.add(identity[:40], problem)
        elif not numbers and not isinstance(value, str):
            faults.add(identity[:40], f"{kind(value)} where the answer's text should be")
        elif not numbers and len(value) > LONGEST:
            seen = f"a text of {len(value):,} characters"
            faults.add(identity[:40], f"{seen} where an answer should be, of at most {LONGEST:,}")
        found[identity] = value
    faults.close()
    return found


def _odds(value: Any) -> str | None:
    """Why a JSON value tells no odds; None where it does. Infinity does: it is above all others."""
    if type(value) not in (int, float):
        return f"{kind(value)} where a number should be"
    if isinstance(value, float) and math.isnan(value):
        return "NaN where a number should be"
    return None


def _pairs(path: Path) -> list[tuple[str, Any]]:
    """Members of the one object of a file, also those of the same name."""
    try:
        with open_input(path) as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    if len(content) > LARGEST:
        text = f"more than {LARGEST >> 20} MiB are no predictions of one data set"
        raise InputError(str(path), [Problem(location="file", text=text)])
    if error := foreign(path, content):
        raise error
    last: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        last[:] = pairs  # the outermost object is the last that is closed
        return dict(pairs)

    place = "file"
    try:
        whole = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=keep, parse_int=parse_integer
        )
        problem = _problem(whole)
        if problem is None:
            return last
    except UnicodeDecodeError as error:
        place, problem = place_not_utf8(content, error)
    except json.JSONDecodeError as error:
        place, problem = _broken(error)
    except ValueError as error:
        problem = f"holds {error}"
    except RecursionError:
        problem = "cannot be read: nested too deeply for an object of ids and predictions"
    raise InputError(str(path), [Problem(location=place, text=problem)])


def _problem(whole: Any) -> str | None:
    """Why a JSON value holds no predictions."""
    if not isinstance(whole, dict):
        return f"{kind(whole)} where an object should be, of ids and what is predicted"
    if isinstance(whole.get("data"), list):
        return "holds questions in SQuAD's format; an object of ids and what is predicted would do"
    return None


def _broken(error: json.JSONDecodeError) -> tuple[str, str]:
    """Where JSON is broken, and how."""
    if not error.doc.strip():
        return "file", EMPTY
    if error.msg.startswith("Unterminated") or not error.doc[error.pos :].strip():
        return f"line {error.lineno}", CUT
    text = f"broken JSON at character {error.colno}: {error.msg}"
    if error.msg == "Extra data":
        text += "; one object should hold all ids"
    return f"line {error.lineno}", text
