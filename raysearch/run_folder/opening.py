"""Checks of a run folder when it is opened.

They are apart from `journal` because they compare the files of a run folder, which may come from
anyone, with the study, before a table is written from them or a run continues in them.
"""

import reprlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from .. import run_folder, tasks
from ..error_pages import DAMAGED_RUN
from ..errors import InputError, Problem, nearest_names, printable
from ..search_space import difference
from ..storage import file_inside, inside, kind_of, read_json
from ..study import Study
from . import trial_identity
from .trial_records import Record, Records

STUDY, PROVENANCE = trial_identity.STUDY, trial_identity.PROVENANCE
PREDICTIONS = "predictions"  # in a task's folder: the kept dev predictions of its trials
SEEDS = "seeds"  # in a task's folder: the weights of the winner's seeds besides best/
ADAPTER = "adapter"  # in a folder of merged weights: the adapters alone, for peft
LOCK = "requirements.lock"  # the packages of the last session
TABLES = ("table.md", "table.tex", "table.csv", "table.json")
RESULTS = ("trials.parquet", "best.yaml")  # of a task; written only if there are trials
DEFAULT_STORAGE = "runs"  # the folder of run folders
MAX_PROBLEMS = 12  # problems in a message
MAX_NEAR = 3  # runs in a message on another name


def _check_printable(text: str) -> str:
    if printable(text) != text:
        raise ValueError("a text without control characters")
    return text


_Text = Annotated[str, Field(max_length=4096), AfterValidator(_check_printable)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _LaneFacts(_Strict):
    count: Annotated[int, Field(ge=1, le=10**6)] | None = None
    workers: Annotated[int, Field(ge=1, le=10**6)] = 1
    cpus: Annotated[float, Field(gt=0, le=10**6)] = 1
    gpus: Annotated[float, Field(ge=0, le=10**6)] | None = None
    per_gpu: Annotated[int, Field(ge=1, le=10**6)] | Literal["auto"] | None = None
    mps: bool = False


class _Data(_Strict):
    model_config = ConfigDict(extra="allow")

    data: Annotated[_Text, Field(pattern=r"\S")]


class _Provenance(_Data):
    raysearch: _Text
    content: Annotated[dict[_Text, _Text], Field(max_length=10_000)]
    lanes: _LaneFacts
    reuse: Annotated[list[_Text], Field(max_length=1000)] = Field(default_factory=list)


def read_provenance(folder: Path) -> dict[str, Any]:
    """Return the provenance of a run: `raysearch`, `data`, `content`, `lanes` and other facts.

    Raises:
        InputError: the file is missing, is a link, is not JSON, or has fields of other types.
    """
    refuse_other_folders(folder, PROVENANCE)
    path = file_inside(folder, PROVENANCE)
    effect = "without it the run cannot go on; its journal is whole"
    try:
        return _Provenance.model_validate(read_json(path)).model_dump()
    except InputError as error:
        text = f"damaged: {error.problems[0].text}; {effect}"
        raise InputError(str(folder), [Problem(location=PROVENANCE, text=text)]) from None
    except ValidationError as error:
        texts = [f"damaged: {_message(e)}; {effect}" for e in error.errors()[:MAX_PROBLEMS]]
        problems = [Problem(location=PROVENANCE, text=text) for text in texts]
        raise InputError(str(folder), problems) from None


def refuse_other_folders(folder: Path, *names: str) -> None:
    """Refuse a folder that lacks files of a run.

    Args:
        folder: what should be a run folder.
        names: the files that it needs.

    Raises:
        InputError: with the missing ones, and the runs of nearly this name.
    """
    missing = [name for name in names if kind_of(file_inside(folder, name)) is None]
    if missing:
        text = f"no {' and no '.join(missing)} here: not a run folder{near_runs(folder)}"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])


def run_folders(storage: Path) -> list[Path]:
    """Return the folders in a storage that hold a study and its provenance, by name."""
    if kind_of(storage) != "a folder":
        return []
    return sorted(
        path
        for path in storage.iterdir()
        if kind_of(path) == "a folder"
        and all(kind_of(path / name) == "a file" for name in (STUDY, PROVENANCE))
    )


def near_runs(folder: Path) -> str:
    """Return the end of a message on what is no run folder: the runs that may have been meant.

    Args:
        folder: what was given. Runs are looked for in it, beside it, and for a bare name in the
            folder `runs`, where runs go by default.
    """
    beside = [folder.parent, *([Path(DEFAULT_STORAGE)] if len(folder.parts) == 1 else [])]
    with suppress(OSError, ValueError):  # no name of a folder, or one that cannot be read
        if inside_it := run_folders(folder):
            return f"; it holds runs: {_listed(inside_it)}"
        runs = {path.name: path for storage in beside for path in run_folders(storage)}
        if near := [runs[name] for name in nearest_names(folder.name, runs)][:MAX_NEAR]:
            return f"; did you mean {' or '.join(repr(printable(path)) for path in near)}?"
        if runs:
            return f"; there are: {_listed([*runs.values()])}"
    return ""


def _listed(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - MAX_NEAR} more" if len(paths) > MAX_NEAR else ""
    return ", ".join(map(printable, paths[:MAX_NEAR])) + more


def recorded_data(folder: Path) -> str:
    """Return the data folder of a run, from its provenance.

    Raises:
        InputError: the provenance cannot be read or names no data folder.
    """
    path = file_inside(folder, PROVENANCE)
    with suppress(OSError, InputError, ValidationError):
        facts = read_json(path)
        if isinstance(facts, dict):
            return _Data.model_validate(facts).data
    text = "cannot be read; name the data folder with --data"
    raise InputError(str(path), [Problem(location="data", text=text)])


def study_file(folder: Path) -> Path:
    """Return the path of a run's study.

    Raises:
        InputError: it is a link or a special file.
    """
    return file_inside(folder, STUDY)


def read_records(folder: Path, study: Study) -> Records:
    """Return the records of a run folder, checked against its study.

    Raises:
        InputError: the journal cannot be read, belongs to another study, or is missing although
            there are results that came from it.
    """
    records = run_folder.read_journal(folder)
    refuse_lost_journal(folder, study, records)
    refuse_misfits(folder, study, records)
    trial_identity.check_identity(folder, study, records)
    return records


def refuse_lost_journal(
    folder: Path, study: Study, records: Records, *, needed: bool = False
) -> None:
    """Refuse a run folder that has results but no journal that they came from.

    Args:
        folder: the run folder.
        study: the run's study.
        records: from the journal; empty if there is none.
        needed: refuse a folder without a journal even if it has no results.

    Raises:
        InputError: the results would be overwritten.
    """
    slugs = [tasks.slug_of(name) for name in study.tasks]
    candidates: list[tuple[str, ...]] = [(slug, name) for slug in slugs for name in RESULTS]
    has_journal = kind_of(folder / run_folder.JOURNAL_NAME) is not None
    if not has_journal:
        candidates += [(name,) for name in TABLES]
    paths = ((parts, inside(folder, *parts)) for parts in candidates)
    results = ["/".join(parts) for parts, path in paths if kind_of(path) is not None]
    if records.trials or not (results or (needed and not has_journal)):
        return
    text = "holds no trial" if has_journal else "is missing"
    if results:
        text += f", yet there is {results[0]}, which came from it: nothing here is written over"
    text += "; restore it from a copy, or run the study anew under another --name"
    raise InputError(str(folder), [Problem(location=run_folder.JOURNAL_NAME, text=text)])


def refuse_misfits(folder: Path, study: Study, records: Records, *, resumed: bool = False) -> None:
    """Refuse trials that cannot belong to the study.

    Args:
        folder: the run folder.
        study: the run's study.
        records: from the journal.
        resumed: require every configuration to be in the space, as the sampler learns from it.

    Raises:
        InputError: trials of another task, with other settings, or without the score that selects;
            the first MAX_PROBLEMS of them.
    """
    problems = [
        Problem(location=f"trial {record.id}", text=text)
        for record in records.trials.values()
        for text in (*_misfits(study, record, resumed), *_false_starts(study, records, record))
    ]
    hold_out = study.search.hold_out
    if hold_out is not None and any(map(_has_undivided_scores, records.trials.values())):
        text = f"was not set when the trials were trained, is {hold_out:g} now"
        problems = [Problem(location="search.hold_out", text=text)]
    if problems:
        rest = len(problems) - MAX_PROBLEMS
        more = Problem(location="...", text=f"and {rest:,} more", count=rest)
        shown = [*problems[:MAX_PROBLEMS], *([more] if rest > 0 else [])]
        raise InputError(str(folder / run_folder.JOURNAL_NAME), shown, page=DAMAGED_RUN)


def _misfits(study: Study, record: Record, resumed: bool) -> Iterator[str]:
    """Yield everything about a trial that does not fit the study."""
    if record.task not in study.tasks:
        yield f"is of '{record.task[:60]}', which is no task of {STUDY}"
        return
    try:
        study.resolve(record.task).hyperparameters(record.configuration)
    except (ValueError, ArithmeticError, TypeError) as error:
        observed = reprlib.repr(record.configuration)
        yield f"its configuration is none of the study's: {_reason(error)}, got {observed}"
        return
    if resumed and record.phase == "search":
        space = study.resolve(record.task).space
        names = ", ".join(sorted(difference(space, record.configuration)))
        if names:
            yield f"its configuration and the space differ in {names[:200]}"
        for name in set(space) & set(record.configuration):
            if not trial_identity.contains_value(space[name], record.configuration[name]):
                yield f"{name} = {reprlib.repr(record.configuration[name])} is not in the space"
    selector = study.resolve(record.task).selection_metric
    if any(report.scores and selector not in report.scores for report in record.reports):
        yield f"has a report without '{selector}', the score that selects"


def _false_starts(study: Study, records: Records, record: Record) -> Iterator[str]:
    """Yield what is wrong with the trial whose weights a trial starts from."""
    task = study.per_task.get(record.task)
    source = task.start.task if task and task.start else None
    start = records.trials.get(record.start or "")
    if source is None and record.start is not None:
        yield f"starts from trial {record.start}, but by {STUDY} from a model"
    elif source is not None and (start is None or start.task != source):
        yield f"starts from {record.start or 'a model'}, but by {STUDY} from a trial of {source}"


def _has_undivided_scores(record: Record) -> bool:
    """Return whether a trial has scores, and none of a part that is searched on."""
    names = {name for report in record.reports for name in report.scores}
    return bool(names) and not any(name.startswith("search.") for name in names)


def _reason(error: Exception) -> str:
    """Return in one line why a setting is invalid."""
    if isinstance(error, ValidationError):
        return _message(error.errors()[0])
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _message(error: ErrorDetails) -> str:
    """Return one of pydantic's errors in the words of this project."""
    location = ".".join(map(str, error["loc"])) or "file"
    if error["type"] == "missing":
        return f"{location} is missing"
    if error["type"] in ("model_type", "dict_type"):
        return f"{location}: an object is needed, got {reprlib.repr(error['input'])}"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{location}: {text} is needed, got {reprlib.repr(error['input'])}"
