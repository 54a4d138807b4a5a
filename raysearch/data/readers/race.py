"""Reads passages with questions and options: folders of files, one JSON object each, as in RACE.

It is apart from the other readers because a split is folders of small files.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...storage import open_input
from ...tasks.task import Example, Split, Task
from .json_stream import kind, parse_integer, shorten_value, surrogate_problem
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors
from .text_lines import place_not_utf8, unreadable

__all__ = ["read", "split_paths"]

LARGEST = 1 << 24  # bytes of a file
LETTERS = {letter: number for number, letter in enumerate("ABCD")}


def read(task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
    """Yield the questions of every file, with one file in memory.

    Folders come in the order of the task, files in the order of their names. Ids count the
    questions that are yielded; "part" is the folder. White space within a passage becomes single
    spaces; questions and options stay as they are.
    """
    file = present_paths(task, split, root)
    folder = file_path(task, file, root)
    errors.source = str(folder)
    count = 0
    for part in file.parts:
        names = _file_names(folder / part)
        if not names:
            errors.refuse(part, "no .txt file in it; it may not have been unpacked whole")
        for name in names:
            location = f"{part}/{name}"
            content = _load(folder / part / name, location, errors)
            if content is None:
                continue
            for example in _examples(content, location, split.labelled, errors):
                yield {"id": str(count), "part": part, **example}
                count += 1


def _file_names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".txt"))
    except OSError as error:
        raise unreadable(folder, error) from None


def _load(path: Path, location: str, errors: RowErrors) -> dict[str, Any] | None:
    """Return the JSON object of a file; None if it has none."""
    try:
        with open_input(path) as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    if len(content) > LARGEST:
        errors.add(
            location, f"larger than {LARGEST >> 20} MiB, too large for a passage with its questions"
        )
        return None
    try:
        value = json.loads(content.decode("utf-8-sig"), parse_int=parse_integer)
    except UnicodeDecodeError as error:
        line, text = place_not_utf8(content, error)
        errors.add(f"{location} {line}", text)
    except json.JSONDecodeError as error:
        text = f"broken JSON at character {error.colno}: {error.msg}"
        if not content.strip():
            text = "is empty; it may not have been unpacked whole"
        errors.add(f"{location} line {error.lineno}", text)
    except ValueError as error:
        errors.add(location, f"holds {error}")
    except RecursionError:
        errors.add(location, "is nested too deeply for a passage with its questions")
    else:
        if isinstance(value, dict):
            return value
        errors.add(location, f"{kind(value)} where an object with a passage should be")
    return None


def _examples(
    content: dict[str, Any], location: str, labelled: bool, errors: RowErrors
) -> Iterator[Example]:
    """Yield the usable questions of one passage."""
    if not _has_lists(content, location, labelled, errors):
        return
    count = len(content["questions"])
    passage = " ".join(content["article"].split())
    if not passage:
        errors.add(location, "'article' is empty", examples=count)
        return
    if problem := surrogate_problem(passage):
        errors.add(location, f"'article' {problem}", examples=count)
        return
    answers = content["answers"] if labelled else [None] * count
    rows = zip(content["questions"], content["options"], answers, strict=True)
    for number, (question, options, answer) in enumerate(rows, 1):
        if problem := _problem(question, options, answer, labelled):
            errors.add(f"{location} question {number}", problem)
            continue
        yield {
            "passage": passage,
            "question": question,
            "options": tuple(options),
            "label": LETTERS[answer] if labelled else None,
        }


def _has_lists(content: dict[str, Any], location: str, labelled: bool, errors: RowErrors) -> bool:
    """Return whether a file has a passage and lists of equal length; note what is wrong."""
    types: dict[str, type] = {"article": str, "questions": list, "options": list}
    types |= {"answers": list} if labelled else {}
    wrong = [key for key, type_ in types.items() if not isinstance(content.get(key), type_)]
    for number, key in enumerate(wrong):
        actual = f"has {kind(content[key])}" if key in content else "is missing"
        text = f"'{key}' {actual} where {kind(types[key]())} should be"
        errors.add(location, text, examples=not number)
    if wrong:
        return False
    counts = {key: len(content[key]) for key in types if key != "article"}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} {key}" for key, count in counts.items())
        text = f"{listed}; each question needs its own"
        errors.add(location, text, examples=counts["questions"])
        return False
    return True


def _problem(question: Any, options: Any, answer: Any, labelled: bool) -> str | None:
    """Return what is wrong with a question, or None."""
    if not isinstance(question, str):
        return f"{kind(question)} where a question's text should be"
    if not isinstance(options, list):
        return f"options are {kind(options)} where four texts should be"
    if len(options) != len(LETTERS):
        return f"{len(options)} option{'' if len(options) == 1 else 's'} where four should be"
    for letter, option in zip(LETTERS, options, strict=True):
        if not isinstance(option, str):
            return f"option {letter} is {kind(option)} where a text should be"
    if problem := surrogate_problem(question, *options):
        return problem
    if labelled and (not isinstance(answer, str) or answer not in LETTERS):
        return f"answer {shorten_value(answer)[:40]}; the answers are: {', '.join(LETTERS)}"
    return None
