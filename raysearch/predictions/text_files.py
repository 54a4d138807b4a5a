"""Reads predictions in text files, and collects all the problems of a file before it raises them.

The formats are GLUE's submission ("index", "prediction"), RACE's preds.tsv (id, choice and maybe
the label, as fairseq writes it), SuperGLUE's objects (see `json_lines`), one label per line, and
one tag per line with blank lines between sentences (XTREME). In the last two, whitespace around
labels is ignored, as in their evaluators.
The module is apart from the readers of data because predictions are checked against known examples.
"""

import math
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from ..data.readers.decimal_numbers import decimal
from ..data.readers.row_errors import RowErrors
from ..data.readers.text_lines import EMPTY, iter_lines
from ..tasks import Example, Task
from ..tasks.example_ids import id_mismatch_problems, id_parts
from . import json_lines
from .references import example_id, example_words

HEADER = ("index", "prediction")

MAX_LINES = 20_000_000

Lines = list[tuple[int, str]]  # the number of each line, from 1, and its text
IdRows = list[tuple[int, str, str]]  # the number of each line, the id and the prediction
Value = TypeVar("Value", int, float)  # a class id, or a number of a regression


def read_text(path: Path) -> Lines:
    """Return the lines of a file with their numbers, from 1, without blank lines at the end.

    Raises:
        InputError: the file cannot be read, is empty or is not UTF-8.
    """
    errors = RowErrors(source=str(path))
    lines: Lines = []
    for first, block in iter_lines(path, errors):
        lines += [(number, line) for number, line in enumerate(block, first) if line is not None]
        if len(lines) > MAX_LINES:
            errors.refuse(f"line {MAX_LINES:,}", "and more lines; no data set has so many")
            break
    if not lines and not errors.count:
        errors.refuse("file", EMPTY)
    for number, line in lines:
        if "\r" in line:
            text = "holds a carriage return; lines should end with a line feed"
            errors.refuse(f"line {number}", text)
            break
    errors.close()
    return lines


def read_classes(
    path: Path, lines: Lines, task: Task, examples: Sequence[Example]
) -> Sequence[float]:
    """Return the prediction for each example: class ids, or numbers of a regression.

    They come from GLUE's rows, in any order, or from one label per line.

    Args:
        path: the file, for messages.
        lines: of `read_text`.
        task: the task.
        examples: the examples of the split.

    Raises:
        InputError: with all the problems of the file.
    """
    if task.labels:
        indices = {name: index for index, name in enumerate(task.labels)}
        return _read_labels(path, lines, task, examples, _name_parser(indices, "label"))
    return _read_labels(path, lines, task, examples, _parse_number)


def _read_labels(
    path: Path,
    lines: Lines,
    task: Task,
    examples: Sequence[Example],
    parse: Callable[[str], Value],
) -> list[Value]:
    errors = RowErrors(source=str(path))
    if task.layout != "lines":
        gold = {submission_id(task, example): example for example in examples}
        rows = _json_rows(task, lines, errors)
        rows = _submission_rows(lines, gold, errors) if rows is None else rows
        by_id = _values_by_id(rows, parse, gold, errors)
        return [by_id[identity] for identity in gold]
    _check_count("lines", len(lines), len(examples), errors)
    values = [_parse_line(parse, "label", line, number, errors) for number, line in lines]
    errors.close()
    return [value for value in values if value is not None]


def read_choices(
    path: Path, lines: Lines, task: Task, examples: Sequence[Example]
) -> Sequence[int]:
    """Return the index of the predicted option for each example, from rows in any order.

    A third column holds the labels that the writer of the file knew. If they are not those of the
    examples, the writer numbered the rows in another order, which nothing else would show.

    Args:
        path: the file, for messages.
        lines: of `read_text`.
        task: the task.
        examples: the examples of the split.

    Raises:
        InputError: with all the problems of the file.
    """
    errors = RowErrors(source=str(path))
    gold = {submission_id(task, example): example for example in examples}
    objects = _json_rows(task, lines, errors)
    rows: IdRows = objects or []
    mismatches: list[int] = []
    for number, line in lines if objects is None else ():
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            expected = "id, prediction and perhaps label should be, with tabs between them"
            errors.add(f"line {number}", f"{_describe_columns(line)} where {expected}")
            continue
        rows.append((number, fields[0], fields[1]))
        if len(fields) == 3 and fields[0] in gold and fields[2] != str(gold[fields[0]]["label"]):
            mismatches.append(number)
    if mismatches:
        text = f"the label of {len(mismatches):,} rows is not the data's, first in line "
        text += f"{mismatches[0]}; the file is of other data, or of another order of it"
        errors.add("labels", text)
    options = max(len(cast(tuple[str, ...], example["options"])) for example in examples)
    indices = {str(index): index for index in range(options)}
    by_id = _values_by_id(rows, _name_parser(indices, task.facts.label_name), gold, errors)
    return [by_id[identity] for identity in gold]


def read_tags(
    path: Path, lines: Lines, task: Task, examples: Sequence[Example]
) -> dict[str, tuple[int, ...]]:
    """Return sentence id -> the tag ids of its words.

    The file has one tag per line and blank lines between sentences.

    Args:
        path: the file, for messages.
        lines: of `read_text`.
        task: the task.
        examples: the examples of the split.

    Raises:
        InputError: with all the problems of the file.
    """
    errors, sentences = RowErrors(source=str(path)), split_sentences(lines)
    _check_count("sentences", len(sentences), len(examples), errors)
    kind = task.facts.label_name
    parse = _name_parser({tag: index for index, tag in enumerate(task.labels)}, kind)
    tags_by_id: dict[str, tuple[int, ...]] = {}
    for example, sentence in zip(examples, sentences, strict=False):
        words, first = example_words(example), sentence[0][0]
        tags = [_parse_line(parse, kind, tag, number, errors) for number, tag in sentence]
        if len(tags) != len(words):
            text = f"{len(tags)} tags for {len(words)} words: {' '.join(words)[:60]}"
            errors.add(f"sentence from line {first}", text)
            if len(sentences) != len(examples):
                break  # a missing sentence shifts all that follow
        tags_by_id[example_id(example)] = tuple(tag for tag in tags if tag is not None)
    errors.close()
    return tags_by_id


def submission_id(task: Task, example: Example) -> str:
    """Return the id that names an example in the task's files of predictions."""
    identity = example_id(example)
    return id_parts(identity)[-1] if task.layout == "jsonl" else identity


def prediction_ids(task: Task, lines: Lines) -> list[str]:
    """Return the ids in the lines of a format that has ids, as far as they can be read."""
    rows = _json_rows(task, lines, RowErrors(source=""))
    if rows is not None:
        return [identity for _, identity, _ in rows]
    return [line.partition("\t")[0] for _, line in lines[task.layout == "glue" :]]


def _json_rows(task: Task, lines: Lines, errors: RowErrors) -> IdRows | None:
    """Return the predictions of a format of JSON lines; None of another format."""
    if task.layout not in ("jsonl", "nested_jsonl"):
        return None
    return json_lines.prediction_rows(lines, errors, nested=task.layout == "nested_jsonl")


def split_sentences(lines: Lines) -> list[Lines]:
    """Return the lines of each sentence; blank lines separate sentences."""
    sentences: list[Lines] = [[]]
    for number, line in lines:
        if line.strip(" \t"):
            sentences[-1].append((number, line))
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def _submission_rows(lines: Lines, gold: Container[str], errors: RowErrors) -> IdRows:
    """Return the rows below GLUE's header; without a header also the first, if its id is known."""
    (first, header), *rest = lines
    fields = header.split("\t")
    if tuple(fields) != HEADER:
        shown = header.replace("\t", "\\t")[:60]
        text = f"'{shown}' where the header should be: index, a tab, prediction"
        errors.add(f"line {first}", text)
        rest = lines if fields[0] in gold else rest
        if len(fields) != len(HEADER):
            errors.close()  # every row would have the same problem
    rows: IdRows = []
    for number, line in rest:
        fields = line.split("\t")
        if len(fields) == len(HEADER):
            rows.append((number, fields[0], fields[1]))
        else:
            text = f"{_describe_columns(line)} where id and prediction should be"
            errors.add(f"line {number}", text)
    return rows


def _values_by_id(
    rows: IdRows, parse: Callable[[str], Value], gold: Iterable[str], errors: RowErrors
) -> dict[str, Value]:
    """Return id -> prediction; every id of gold occurs once."""
    values: dict[str, Value | None] = {}
    for number, identity, text in rows:
        if identity in values:
            errors.add(f"line {number}", f"id {identity[:40]} occurs for the second time")
        values[identity] = _parse(parse, text, number, errors)
    ids = dict.fromkeys(gold)
    for problem in id_mismatch_problems("prediction", values, ids, example_name="example"):
        errors.add(problem.location, problem.text)
    errors.close()
    return {identity: value for identity, value in values.items() if value is not None}


def _parse(
    parse: Callable[[str], Value], text: str, number: int, errors: RowErrors
) -> Value | None:
    """Return the value of a text in a line; None if it has none, with the error noted."""
    try:
        return parse(text)
    except ValueError as error:
        errors.add(f"line {number}", str(error))
        return None


def _parse_line(
    parse: Callable[[str], Value], kind: str, line: str, number: int, errors: RowErrors
) -> Value | None:
    """Return the value of a line that should hold nothing else; None if an error was noted."""
    line = line.strip()
    if "\t" not in line:
        return _parse(parse, line, number, errors)
    errors.add(f"line {number}", f"{_describe_columns(line)} where a {kind} alone should be")
    return None


def _describe_columns(line: str) -> str:
    count = line.count("\t") + 1
    return "is blank" if not line else f"{count} column{'' if count == 1 else 's'}"


def _check_count(kind: str, count: int, expected: int, errors: RowErrors) -> None:
    if count != expected:
        errors.add("file", f"{kind}: {count:,}, where the data has {expected:,}")


def _parse_number(text: str) -> float:
    """Return a finite number.

    Raises:
        ValueError: the text is none.
    """
    number = decimal(text)
    if number is not None and math.isfinite(number):
        return number
    raise ValueError(f"'{text[:40]}' is no finite number")


def _name_parser(indices: dict[str, int], kind: str) -> Callable[[str], int]:
    """Return a function from a name to its index, which raises ValueError for unknown names."""

    def parse(name: str) -> int:
        if name not in indices:
            raise ValueError(f"{kind} '{name[:40]}'; the {kind}s are: {', '.join(indices)}")
        return indices[name]

    return parse
