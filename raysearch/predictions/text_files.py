"""Reads predictions that are text, and notes all that is wrong with a file before it gives up.

The formats are GLUE's submission ("index", "prediction"), RACE's preds.tsv (number, choice and
perhaps the label, as fairseq writes it), a label a line, and a tag a line with blank lines between
sentences (XTREME). The evaluators of the last two mind no white space around labels.
"""

import math
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

from ..data.readers.decimal_numbers import decimal
from ..data.readers.row_errors import RowErrors
from ..data.readers.text_lines import EMPTY, iter_lines
from ..metrics.missing_ids import id_mismatch_problems
from ..tasks import Example, Task
from .row_errors import RepeatedErrors

HEADER = ("index", "prediction")

MOST = 20_000_000  # lines of a file

Lines = list[tuple[int, str]]


def read_text(path: Path) -> Lines:
    """Lines with their numbers, counted from 1, without blank ones at the end.

    Raises:
        InputError: the file is not there, empty or not UTF-8.
    """
    faults = RowErrors(source=str(path))
    found: Lines = []
    for first, block in iter_lines(path, faults):
        found += [(number, line) for number, line in enumerate(block, first) if line is not None]
        if len(found) > MOST:
            faults.refuse(f"line {MOST:,}", "and more lines; no data set has so many")
            break
    if not found and not faults.count:
        faults.refuse("file", EMPTY)
    for number, line in found:
        if "\r" in line:
            text = "holds a carriage return; lines should end with a line feed"
            faults.refuse(f"line {number}", text)
            break
    faults.close()
    return found


def read_classes(path: Path, found: Lines, task: Task, examples: Sequence[Example]) -> list[Any]:
    """Class ids, or numbers of a regression, in the order of the examples: from GLUE's rows, in any
    order, or from a label a line."""
    faults = RepeatedErrors(source=str(path))
    label = _label(task)
    if task.layout == "glue":
        gold = {example["id"]: example for example in examples}
        given = _by_id(_submission(found, gold, faults), label, gold, faults)
        return [given[example["id"]] for example in examples]
    _count("lines", len(found), len(examples), faults)
    given = [_alone(label, "label", line, f"line {number}", faults) for number, line in found]
    faults.close()
    return given


def read_choices(path: Path, found: Lines, _: Task, examples: Sequence[Example]) -> list[int]:
    """Numbers of the options, in the order of the examples, from rows in any order.

    A third column holds the labels that the file's writer knew. Where they are not ours, its rows
    were numbered in another order, which would go unnoticed without it.
    """
    faults = RepeatedErrors(source=str(path))
    gold = {example["id"]: example for example in examples}
    rows, strange = [], []
    for number, line in found:
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            wanted = "id, prediction and perhaps label should be, with tabs between them"
            faults.add(f"line {number}", f"{_columns(line)} where {wanted}")
            continue
        rows.append((number, fields[0], fields[1]))
        if len(fields) == 3 and fields[0] in gold and fields[2] != str(gold[fields[0]]["label"]):
            strange.append(number)
    if strange:
        seen = f"of {len(strange):,} rows is not the data's, first in line {strange[0]}"
        text = f"the label {seen}; the file is of other data, or of another order of it"
        faults.add("labels", text)
    names = {str(at): at for at in range(max(len(example["options"]) for example in examples))}
    given = _by_id(rows, _named(names, "choice"), gold, faults)
    return [given[example["id"]] for example in examples]


def read_tags(
    path: Path, found: Lines, task: Task, examples: Sequence[Example]
) -> dict[str, tuple[int, ...]]:
    """Sentence -> the tags of its words, from a tag a line with blank lines between sentences."""
    faults, sentences = RepeatedErrors(source=str(path)), sentences_of(found)
    _count("sentences", len(sentences), len(examples), faults)
    label = _named({tag: at for at, tag in enumerate(task.labels)}, "tag")
    given = {}
    for example, sentence in zip(examples, sentences, strict=False):
        words, first = len(example["words"]), sentence[0][0]
        read = [_alone(label, "tag", tag, f"line {number}", faults) for number, tag in sentence]
        if len(read) != words:
            text = f"{len(read)} tags for {words} words: {' '.join(example['words'])[:60]}"
            faults.add(f"sentence from line {first}", text)
            if len(sentences) != len(examples):
                break  # one that is lost shifts all the rest
        given[example["id"]] = tuple(read)
    faults.close()
    return given


def sentences_of(found: Lines) -> list[Lines]:
    """Lines up to a blank one."""
    sentences: list[Lines] = [[]]
    for number, line in found:
        if line.strip(" \t"):
            sentences[-1].append((number, line))
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def _submission(
    found: Lines, gold: Container[str], faults: RepeatedErrors
) -> list[tuple[int, str, str]]:
    """Line, id and prediction of each row below GLUE's header."""
    (first, header), *rest = found
    fields = header.split("\t")
    if tuple(fields) != HEADER:
        seen = header.replace("\t", "\\t")[:60]
        faults.add(
            f"line {first}", f"'{seen}' where the header should be: index, a tab, prediction"
        )
        rest = found if fields[0] in gold else rest
        if len(fields) != len(HEADER):
            faults.close()  # so will all rows be
    rows = []
    for number, line in rest:
        fields = line.split("\t")
        if len(fields) == len(HEADER):
            rows.append((number, *fields))
        else:
            faults.add(f"line {number}", f"{_columns(line)} where id and prediction should be")
    return rows


def _by_id(
    rows: list[tuple[int, str, str]], label: Callable[[str], Any], gold: dict[str, Example],
    faults: RepeatedErrors,
) -> dict[str, Any]:  # fmt: skip
    """Id -> prediction, each id of gold once."""
    given: dict[str, Any] = {}
    for number, identity, value in rows:
        if identity in given:
            faults.add(f"line {number}", f"id {identity[:40]} stands for the second time")
        given[identity] = _read(label, value, f"line {number}", faults)
    for problem in id_mismatch_problems("prediction", given, gold, example_name="example"):
        faults.add(problem.location, problem.text)
    faults.close()
    return given


def _read(label: Callable[[str], Any], value: str, place: str, faults: RepeatedErrors) -> Any:
    try:
        return label(value)
    except ValueError as error:
        faults.add(place, str(error))
        return None


def _alone(
    label: Callable[[str], Any], what: str, line: str, place: str, faults: RepeatedErrors
) -> Any:
    """What a line says that should hold nothing else."""
    line = line.strip()
    if "\t" not in line:
        return _read(label, line, place, faults)
    faults.add(place, f"{_columns(line)} where a {what} alone should be")
    return None


def _columns(line: str) -> str:
    count = line.count("\t") + 1
    return "is blank" if not line else f"{count} column{'' if count == 1 else 's'}"


def _count(what: str, seen: int, wanted: int, faults: RepeatedErrors) -> None:
    if seen != wanted:
        faults.add("file", f"{what}: {seen:,}, where the data has {wanted:,}")


def _label(task: Task) -> Callable[[str], Any]:
    """Reads a label's text, or raises ValueError with what would do."""
    if task.labels:
        return _named({name: number for number, name in enumerate(task.labels)}, "label")

    def finite(value: str) -> float:
        found = decimal(value)
        if found is not None and math.isfinite(found):
            return found
        raise ValueError(f"'{value[:40]}' is no finite number")

    return finite


def _named(names: dict[str, int], what: str) -> Callable[[str], int]:
    def read(value: str) -> int:
        if value not in names:
            raise ValueError(f"{what} '{value[:40]}'; the {what}s are: {', '.join(names)}")
        return names[value]

    return read
