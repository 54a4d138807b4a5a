"""A run folder as it is opened: its files may come from anyone, so each is checked for itself and
against the study before a table is made from it or a run goes on in it."""

import reprlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from .. import run_folder, tasks
from ..errors import InputError, Problem, printable
from ..storage import file_inside, inside, kind_of, read_json
from ..study import Study
from . import trial_identity
from .trial_records import Record, Records

STUDY, PROVENANCE = "study.yaml", "provenance.json"
TABLES = ("table.md", "table.tex", "table.csv", "table.json")
RESULTS = ("trials.parquet", "best.yaml")  # of a task; written once there are trials
SHOWN = 12  # problems that are shown


def _visible(text: str) -> str:
    if printable(text) != text:
        raise ValueError("a text without control characters")
    return text


_Text = Annotated[str, Field(max_length=4096), AfterValidator(_visible)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _LaneFacts(_Strict):
    count: Annotated[int, Field(ge=1, le=10**6)] | None = None
    workers: Annotated[int, Field(ge=1, le=10**6)] = 1
    cpus: Annotated[float, Field(gt=0, le=10**6)] = 1
    gpus: Annotated[float, Field(ge=0, le=10**6)] | None = None


class _Data(_Strict):
    model_config = ConfigDict(extra="allow")

    data: Annotated[_Text, Field(pattern=r"\S")]


class _Provenance(_Data):
    raysearch: _Text
    content: Annotated[dict[_Text, _Text], Field(max_length=10_000)]
    lanes: _LaneFacts


def read_provenance(folder: Path) -> dict[str, Any]:
    """Return what a run was made with: `raysearch`, `data`, `content`, `lanes`, and other facts.

    Raises:
        InputError: no such file, a link, no JSON, or fields of other types.
    """
    path = file_inside(folder, PROVENANCE)
    if kind_of(path) is None:
        text = f"no {PROVENANCE} here: not a run folder"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])
    mend = "without it the run cannot go on; its journal is whole"
    try:
        facts = read_json(path)
        typed = _Provenance.model_validate(facts).model_dump()
    except InputError as error:
        text = f"damaged: {error.problems[0].text}; {mend}"
        raise InputError(str(folder), [Problem(location=PROVENANCE, text=text)]) from None
    except ValidationError as error:
        texts = [f"damaged: {_said(one)}; {mend}" for one in error.errors()[:SHOWN]]
        problems = [Problem(location=PROVENANCE, text=text) for text in texts]
        raise InputError(str(folder), problems) from None
    return typed


def recorded_data(folder: Path) -> str:
    """Return the data folder that a run noted down.

    Raises:
        InputError: it cannot be told.
    """
    path = file_inside(folder, PROVENANCE)
    with suppress(OSError, InputError, ValidationError):
        facts = read_json(path)
        if isinstance(facts, dict):
            return _Data.model_validate(facts).data
    text = "cannot be read; name the data folder with --data"
    raise InputError(str(path), [Problem(location="data", text=text)])


def study_file(folder: Path) -> Path:
    """Return the path of a run's study. Raises InputError where it is a link or a special file."""
    return file_inside(folder, STUDY)


def read_records(folder: Path, study: Study) -> Records:
    """Return the records of a run folder, checked against its study.

    Raises:
        InputError: a journal that cannot be read or is of another study, or none where there are
            results that came from one.
    """
    records = run_folder.read_journal(folder)
    refuse_lost_journal(folder, study, records)
    refuse_misfits(folder, study, records)
    trial_identity.check_identity(folder, study, records)
    return records


def refuse_lost_journal(
    folder: Path, study: Study, records: Records, *, needed: bool = False
) -> None:
    """Refuse a run folder that has results, and no journal that they came from.

    Args:
        needed: a journal has to be there, with or without trials.

    Raises:
        InputError: what is left of the run would be overwritten.
    """
    slugs = [tasks.get(name).slug for name in study.tasks]
    results = [(slug, name) for slug in slugs for name in RESULTS]
    there = kind_of(folder / run_folder.JOURNAL_NAME) is not None
    if not there:
        results += [(name,) for name in TABLES]
    left = ["/".join(parts) for parts in results if kind_of(inside(folder, *parts)) is not None]
    if records.trials or not (left or (needed and not there)):
        return
    text = "holds no trial" if there else "is missing"
    if left:
        text += f", yet there is {left[0]}, which came from it: nothing here is written over"
    text += "; restore it from a copy, or run the study anew under another --name"
    raise InputError(str(folder), [Problem(location=run_folder.JOURNAL_NAME, text=text)])


def refuse_misfits(folder: Path, study: Study, records: Records, *, resumed: bool = False) -> None:
    """Refuse trials that cannot be of the study.

    Args:
        resumed: the sampler is going to be told of them: their configurations must be points of
            the space.

    Raises:
        InputError: every trial of another task, with other settings, or without the score that
            selects, as far as a screen holds them.
    """
    problems = [
        Problem(location=f"trial {record.id}", text=text)
        for record in records.trials.values()
        for text in _misfits(study, record, resumed)
    ]
    if problems:
        rest = len(problems) - SHOWN
        more = Problem(location="...", text=f"and {rest:,} more", count=rest)
        shown = [*problems[:SHOWN], *([more] if rest > 0 else [])]
        raise InputError(str(folder / run_folder.JOURNAL_NAME), shown)


def _misfits(study: Study, record: Record, resumed: bool) -> Iterator[str]:
    """Say what of a trial does not fit the study."""
    if record.task not in study.tasks:
        yield f"is of '{record.task[:60]}', which is no task of {STUDY}"
        return
    try:
        study.hyperparameters(record.task, record.configuration)
    except (ValueError, ArithmeticError, TypeError) as error:
        seen = reprlib.repr(record.configuration)
        yield f"its configuration is none of the study's: {_cause(error)}, got {seen}"
        return
    if resumed and record.phase == "search":
        space = study.space_of(record.task)
        names = ", ".join(sorted(set(space) ^ set(record.configuration)))
        if names:
            yield f"its configuration and the space differ in {names[:200]}"
        for name in set(space) & set(record.configuration):
            if not trial_identity.contains_value(space[name], record.configuration[name]):
                yield f"{name} = {reprlib.repr(record.configuration[name])} is not in the space"
    selector = study.selection_metric(record.task)
    if any(report["scores"] and selector not in report["scores"] for report in record.reports):
        yield f"has a report without '{selector}', the score that selects"


def _cause(error: Exception) -> str:
    """What a setting's type says of it, in one line."""
    if isinstance(error, ValidationError):
        return _said(error.errors()[0])
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _said(error: Any) -> str:
    """What is wrong with a field, in the words of this project."""
    place = ".".join(map(str, error["loc"])) or "file"
    if error["type"] == "missing":
        return f"{place} is missing"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{place}: {text} is needed, got {reprlib.repr(error['input'])}"
