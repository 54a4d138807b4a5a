"""Reads passages with questions and options: folders of files, one JSON object each, as RACE has
them. Knows the folders from a split's row."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...storage import open_input
from ...tasks.task import Example, Split, Task
from . import json_stream
from .json_stream import half_pair, kind, shorten_value
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors
from .text_lines import place_not_utf8, unreadable

__all__ = ["read", "split_paths"]

LARGEST = 1 << 24  # bytes of a file
LETTERS = {letter: number for number, letter in enumerate("ABCD")}


def read(task: Task, split: Split, root: Path, faults: RowErrors) -> Iterator[Example]:
    """Questions of every file, a file in memory: folders in the row's order, files in that of their
    names. Ids count the questions that are given; "part" is the folder that one is of.

    White space within a passage is single spaces; questions and options are as they stand.
    """
    file = present_paths(task, split, root)
    folder = file_path(task, file, root)
    faults.source = str(folder)
    kept = 0
    for part in file.parts:
        names = _names(folder / part)
        if not names:
            faults.refuse(part, "no .txt file in it; it may not have been unpacked whole")
        for name in names:
            where = f"{part}/{name}"
            whole = _load(folder / part / name, where, faults)
            if whole is None:
                continue
            for example in _examples(whole, where, split.labelled, faults):
                yield {"id": str(kept), "part": part, **example}
                kept += 1


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".txt"))
    except OSError as error:
        raise unreadable(folder, error) from None


def _load(path: Path, where: str, faults: RowErrors) -> dict[str, Any] | None:
    """The object of a file; None where it holds none."""
    try:
        with open_input(path) as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    if len(content) > LARGEST:
        faults.add(where, f"more than {LARGEST >> 20} MiB are no passage with its questions")
        return None
    try:
        whole = json.loads(content.decode("utf-8-sig"), parse_int=json_stream.is_valid_unicode)
    except UnicodeDecodeError as error:
        line, text = place_not_utf8(content, error)
        faults.add(f"{where} {line}", text)
    except json.JSONDecodeError as error:
        said = f"broken JSON at character {error.colno}: {error.msg}"
        text = said if content.strip() else "is empty; it may not have been unpacked whole"
        faults.add(f"{where} line {error.lineno}", text)
    except ValueError as error:
        faults.add(where, f"holds {error}")
    except RecursionError:
        faults.add(where, "is nested too deeply for a passage with its questions")
    else:
        if isinstance(whole, dict):
            return whole
        faults.add(where, f"{kind(whole)} where an object with a passage should be")
    return None


def _examples(
    whole: dict[str, Any], where: str, labelled: bool, faults: RowErrors
) -> Iterator[Example]:
    """Questions of one passage, those that are right."""
    kinds = {"article": str, "questions": list, "options": list}
    kinds |= {"answers": list} if labelled else {}
    wrong = [key for key, wanted in kinds.items() if not isinstance(whole.get(key), wanted)]
    for number, key in enumerate(wrong):
        seen = f"has {kind(whole[key])}" if key in whole else "is missing"
        text = f"'{key}' {seen} where {kind(kinds[key]())} should be"
        faults.add(where, text, examples=not number)
    if wrong:
        return
    counts = {key: len(whole[key]) for key in kinds if key != "article"}
    if len(set(counts.values())) > 1:
        seen = ", ".join(f"{count} {key}" for key, count in counts.items())
        faults.add(where, f"{seen}; each question needs its own", examples=counts["questions"])
        return
    passage = " ".join(whole["article"].split())
    if not passage:
        faults.add(where, "'article' is empty", examples=counts["questions"])
        return
    if wrong := half_pair(passage):
        faults.add(where, f"'article' {wrong}", examples=counts["questions"])
        return
    answers = whole["answers"] if labelled else [None] * counts["questions"]
    rows = zip(whole["questions"], whole["options"], answers, strict=True)
    for number, (question, options, answer) in enumerate(rows, 1):
        wrong = _problem(question, options, answer, labelled)
        if wrong:
            faults.add(f"{where} question {number}", wrong)
            continue
        label = LETTERS[answer] if labelled else None
        yield {
            "passage": passage, "question": question, "options": tuple(options), "label": label,
        }  # fmt: skip


def _problem(question: Any, options: Any, answer: Any, labelled: bool) -> str | None:
    """What is wrong with a question, if anything is."""
    if not isinstance(question, str):
        return f"{kind(question)} where a question's text should be"
    if not isinstance(options, list):
        return f"options are {kind(options)} where four texts should be"
    if len(options) != len(LETTERS):
        return f"{len(options)} option{'' if len(options) == 1 else 's'} where four should be"
    for letter, option in zip(LETTERS, options, strict=True):
        if not isinstance(option, str):
            return f"option {letter} is {kind(option)} where a text should be"
    if wrong := half_pair(question, *options):
        return wrong
    if labelled and (not isinstance(answer, str) or answer not in LETTERS):
        return f"answer {shorten_value(answer)[:40]}; the answers are: {', '.join(LETTERS)}"
    return None
