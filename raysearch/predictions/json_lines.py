"""Reads predictions that are JSON objects, one a line, in the formats of SuperGLUE.

It is apart from `json_files`, which reads one object with all ids, and from `text_files`, whose
formats are no JSON.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..data.readers.json_stream import kind, parse_integer, shorten_value
from ..data.readers.row_errors import RowErrors
from ..tasks.example_ids import join_parts

Lines = list[tuple[int, str]]  # the number of each line, from 1, and its text
IdRows = list[tuple[int, str, str]]  # the number of each line, the id and the prediction


def prediction_rows(
    lines: Lines,
    errors: RowErrors,
    *,
    nested: bool = False,
    spell: Callable[[Any], str] | None = None,
) -> IdRows:
    """Return the predictions in lines, and note those that cannot be read.

    Args:
        lines: of `text_files.read_text`.
        errors: collects what is wrong.
        nested: whether an object has the answers to the questions on a passage (MultiRC) instead of
            a single label.
        spell: returns the text of a label, or raises ValueError; None: numbers are spelled as JSON
            does.
    """
    spell = spell or _name
    rows: IdRows = []
    for number, line in lines:
        try:
            row = json.loads(line, parse_int=parse_integer)
            parts = _nested_parts(row) if nested else iter([(row,)])
            for part in parts:
                identity = join_parts(*(_name(_member(owner, "idx")) for owner in part))
                rows.append((number, identity, spell(_member(part[-1], "label"))))
        except json.JSONDecodeError as error:
            errors.add(f"line {number}", f"broken JSON: {error.msg}")
        except (ValueError, RecursionError) as error:
            errors.add(f"line {number}", str(error) or "is nested too deeply for predictions")
    return rows


def read_answers(path: Path, lines: Lines) -> dict[str, str]:
    """Return question -> answer from lines with one object each.

    Raises:
        InputError: with all the problems of the file.
    """
    errors = RowErrors(source=str(path))
    answers: dict[str, str] = {}
    for number, identity, text in prediction_rows(lines, errors, spell=_text):
        if identity in answers:
            errors.add(f"line {number}", f"idx {identity[:40]} occurs for the second time")
        answers[identity] = text
    errors.close()
    return answers


def _nested_parts(row: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each answer of a passage, after the objects of its passage and question.

    Raises:
        ValueError: a list is missing.
    """
    for question in _list(_member(row, "passage"), "questions"):
        for answer in _list(question, "answers"):
            yield row, question, answer


def _member(owner: Any, name: str) -> Any:
    if not isinstance(owner, dict):
        raise ValueError(f"{kind(owner)} where an object with '{name}' should be")
    if name not in owner:
        raise ValueError(f"an object has no '{name}'")
    return owner[name]


def _list(owner: Any, name: str) -> list[Any]:
    value = _member(owner, name)
    if not isinstance(value, list):
        raise ValueError(f"'{name}' is {kind(value)} where a list should be")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{kind(value)} where the answer's text should be")
    return value


def _name(value: Any) -> str:
    """Return a text as it is, and any other value as JSON spells it."""
    return value if isinstance(value, str) else shorten_value(value)
