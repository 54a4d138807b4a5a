"""Reads files of predictions in the formats of the benchmarks, and notes all that is wrong with one
before it gives up.

Text is GLUE's submission ("index", "prediction"), RACE's preds.tsv (number, choice and perhaps the
label, as fairseq writes it), a label a line, or a tag a line with blank lines between sentences
(XTREME); JSON is SQuAD's, question -> text.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from ..metrics.pairing import unpaired
from ..readers.articles import kind
from ..readers.faults import Faults
from ..readers.lines import EMPTY, lines, place_not_utf8, unreadable
from ..tasks import Example, Task

HEADER = ("index", "prediction")

Lines = list[tuple[int, str]]


def text(path: Path) -> Lines:
    """Lines with their numbers, counted from 1, without blank ones at the end.

    Raises:
        InputError: the file is not there, empty or not UTF-8.
    """
    faults = Faults(source=str(path))
    found = [
        (number, line)
        for first, block in lines(path, faults)
        for number, line in enumerate(block, first)
        if line is not None
    ]
    if not found and not faults.count:
        faults.refuse("file", EMPTY)
    faults.close()
    return found


def mapping(path: Path, *, numbers: bool = False) -> dict[str, Any]:
    """A JSON object of texts, or of numbers.

    Raises:
        InputError: the file is not there, not JSON, or no such object; all that is wrong with it.
    """
    faults = Faults(source=str(path))
    pairs = _pairs(path)
    found: dict[str, Any] = {}
    for identity, value in pairs:
        if identity in found:
            faults.add(identity[:40], "the id stands for the second time")
        elif numbers and (type(value) not in (int, float) or math.isnan(value)):
            seen = "NaN" if isinstance(value, float) else kind(value)
            faults.add(identity[:40], f"{seen} where a number should be")
        elif not numbers and not isinstance(value, str):
            faults.add(identity[:40], f"{kind(value)} where the answer's text should be")
        found[identity] = value
    faults.close()
    return found


def _pairs(path: Path) -> list[tuple[str, Any]]:
    """Members of the one object of a file, also those of the same name."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    last: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        last[:] = pairs  # the outermost object is the last that is closed
        return dict(pairs)

    place = "file"
    try:
        whole = json.loads(content.decode("utf-8-sig"), object_pairs_hook=keep)
        if isinstance(whole, dict):
            return last
        problem = f"{kind(whole)} where an object should be, of ids and what is predicted"
    except UnicodeDecodeError as error:
        place, problem = place_not_utf8(content, error)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}"
        problem = f"broken JSON at character {error.colno}: {error.msg}"
        if not content.strip():
            place, problem = "file", EMPTY
    except (ValueError, RecursionError) as error:
        problem = f"cannot be read: {error}"
    raise InputError(str(path), [Problem(place=place, text=problem)])


def classes(path: Path, found: Lines, task: Task, examples: Sequence[Example]) -> list[Any]:
    """Class ids, or numbers of a regression, in the order of the examples: from GLUE's rows, in any
    order, or from a label a line."""
    faults = Faults(source=str(path))
    label = _label(task)
    if task.layout == "glue":
        rows = _submission(found, faults)
        given = _by_id(rows, label, {example["id"]: example for example in examples}, faults)
        return [given[example["id"]] for example in examples]
    _count("lines", len(found), len(examples), faults)
    given = [_read(label, line, f"line {number}", faults) for number, line in found]
    faults.close()
    return given


def choices(path: Path, found: Lines, _: Task, examples: Sequence[Example]) -> list[int]:
    """Numbers of the options, in the order of the examples, from rows in any order.

    A third column holds the labels that the file's writer knew. Where they are not ours, its rows
    were numbered in another order, which would go unnoticed without it.
    """
    faults = Faults(source=str(path))
    gold = {example["id"]: example for example in examples}
    rows, strange = [], []
    for number, line in found:
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            seen = f"{len(fields)} column{'' if len(fields) == 1 else 's'}"
            faults.add(f"line {number}", f"{seen} where id, prediction and perhaps label should be")
            continue
        rows.append((number, fields[0], fields[1]))
        if len(fields) == 3 and fields[0] in gold and fields[2] != str(gold[fields[0]]["label"]):
            strange.append(number)
    if strange:
        seen = f"of {len(strange):,} rows is not the data's, first in line {strange[0]}"
        text = f"the label {seen}; the file is of other data, or of another order of it"
        faults.refuse("labels", text)
    names = {str(at): at for at in range(max(len(example["options"]) for example in examples))}
    given = _by_id(rows, _named(names, "choice"), gold, faults)
    return [given[example["id"]] for example in examples]


def tags(
    path: Path, found: Lines, task: Task, examples: Sequence[Example]
) -> dict[str, tuple[int, ...]]:
    """Sentence -> the tags of its words, from a tag a line with blank lines between sentences."""
    faults = Faults(source=str(path))
    sentences: list[Lines] = [[]]
    for number, line in found:
        if line.strip(" \t"):
            sentences[-1].append((number, line))
        elif sentences[-1]:
            sentences.append([])
    sentences = [sentence for sentence in sentences if sentence]
    _count("sentences", len(sentences), len(examples), faults)
    label = _named({tag: at for at, tag in enumerate(task.labels)}, "tag")
    given = {}
    for example, sentence in zip(examples, sentences, strict=False):
        words, first = len(example["words"]), sentence[0][0]
        read = [_read(label, tag, f"line {number}", faults) for number, tag in sentence]
        if len(read) != words:
            text = f"{len(read)} tags for {words} words: {' '.join(example['words'])[:60]}"
            faults.refuse(f"sentence from line {first}", text)
            if len(sentences) != len(examples):
                break  # one that is lost shifts all the rest
        given[example["id"]] = tuple(read)
    faults.close()
    return given


def _submission(found: Lines, faults: Faults) -> list[tuple[int, str, str]]:
    """Line, id and prediction of each row below GLUE's header."""
    (first, header), *rest = found
    if tuple(header.split("\t")) != HEADER:
        seen = header.replace("\t", " ")[:60]
        faults.refuse(f"line {first}", f"'{seen}' where the header 'index', 'prediction' should be")
        faults.close()
    rows = []
    for number, line in rest:
        fields = line.split("\t")
        if len(fields) == len(HEADER):
            rows.append((number, *fields))
        else:
            faults.add(f"line {number}", f"{len(fields)} columns where there should be 2")
    return rows


def _by_id(
    rows: list[tuple[int, str, str]], label: Callable[[str], Any], gold: dict[str, Example],
    faults: Faults,
) -> dict[str, Any]:  # fmt: skip
    """Id -> prediction, each id of gold once."""
    given: dict[str, Any] = {}
    for number, identity, value in rows:
        if identity in given:
            faults.add(f"line {number}", f"id {identity[:40]} stands for the second time")
        given[identity] = _read(label, value, f"line {number}", faults)
    for problem in unpaired("prediction", given, gold, of="example"):
        faults.refuse(problem.place, problem.text)
    faults.close()
    return given


def _read(label: Callable[[str], Any], value: str, place: str, faults: Faults) -> Any:
    try:
        return label(value)
    except ValueError as error:
        faults.add(place, str(error))
        return None


def _count(what: str, seen: int, wanted: int, faults: Faults) -> None:
    if seen != wanted:
        faults.refuse("file", f"{what}: {seen:,}, where the data has {wanted:,}")


def _label(task: Task) -> Callable[[str], Any]:
    """Reads a label's text, or raises ValueError with what would do."""
    if task.labels:
        return _named({name: number for number, name in enumerate(task.labels)}, "label")

    def number(value: str) -> float:
        try:
            if math.isfinite(found := float(value)):
                return found
        except ValueError:
            pass
        raise ValueError(f"'{value[:40]}' is no finite number")

    return number


def _named(names: dict[str, int], what: str) -> Callable[[str], int]:
    def read(value: str) -> int:
        if value not in names:
            raise ValueError(f"{what} '{value[:40]}'; the {what}s are: {', '.join(names)}")
        return names[value]

    return read
