"""The table of what papers printed, without a run.

It is apart from the table of a run because its layout differs. A study of one task has one row for
each system. A study of several tasks has a column for each, and the rows of a system stand below
its name.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError, Problem
from ..study import Published, Result, Study, find_study
from ..study.model_names import score_names
from . import formatting
from .published_rows import RowsAndNotes, Score, further_metrics, published_row, sources
from .table_rows import BLANK, UNKNOWN, Cell, Row, Table

_SHOWN_STUDIES = 5


def published_table(study: Study, settings: Sequence[str], average: bool) -> Table:
    """Return the published table of a study.

    Args:
        study: the study with its published rows.
        settings: hyperparameters that come first, in order.
        average: whether the last column is the papers' average.
    """
    title = f"{study.name}: published"
    if len(study.tasks) == 1:
        columns, rows = _system_rows(study, settings)
        notes = sources(study, models=False)
    else:
        columns = [formatting.column_title(study.task(name)) for name in study.tasks]
        columns += ["AVG"] * average
        rows, notes = _system_groups(study, settings, average)
    notes += _warmup_notes(study)
    return Table(title=title, columns=tuple(columns), rows=tuple(rows), notes=tuple(notes))


def study_file(path: Path) -> Path:
    """Return the file of a study.

    Args:
        path: the file itself, a run folder, or the name of a shipped study.

    Raises:
        InputError: the path is a folder but no run folder, or there is no such file although one
            with ".yaml" after the name exists.
    """
    of_run, with_suffix = path / "study.yaml", Path(f"{path}.yaml")
    if of_run.is_file():
        return of_run
    if path.is_dir():
        studies = sorted(file.name for file in path.glob("*.yaml"))
        text = "is a folder and no run: there is no study.yaml in it; "
        shown = ", ".join([*studies[:_SHOWN_STUDIES], *["..."] * (len(studies) > _SHOWN_STUDIES)])
        text += f"give one of its studies: {shown}" if studies else "a study would do"
    elif not path.exists() and find_study(path) == path and with_suffix.is_file():
        text = f"no such file; did you mean '{with_suffix}'?"
    else:
        return find_study(path)
    raise InputError(str(path), [Problem(location="study", text=text)])


def _warmup_notes(study: Study) -> list[str]:
    """Return a note on WARMUP values above 1, which some papers print instead of a ratio."""
    results = [
        row.results[name] for name in study.tasks for row in study.published if name in row.results
    ]
    values = [result.settings.get("WARMUP") for result in results]
    above = sorted({value for value in values if isinstance(value, int | float) and value > 1})
    shares = ", ".join(
        f"{formatting.format_setting(value)} is {100 / value:.4g} %" for value in above
    )
    return [f"WARMUP above 1 is the reciprocal of the ratio: {shares}."] if above else []


def _system_rows(study: Study, settings: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Return the columns and one row for each system of a study of one task.

    A row has the model, the settings, and the scores by their full names.
    """
    name = study.tasks[0]
    systems = [system for system in study.published if name in system.results]
    results = [system.results[name] for system in systems]
    known = dict.fromkeys(setting for result in results for setting in result.settings)
    shown = [setting for setting in dict.fromkeys((*settings, *known)) if setting in known]
    printed = {score for result in results for score in result.scores}
    scores = [score for score in score_names(study.task(name)) if score in printed]
    rows = [
        Row(
            name=system.row,
            cells=(
                Cell(system.model, system.model) if system.model else UNKNOWN,
                *(_setting_cell(result, setting) for setting in shown),
                *(_score_cell(system, name, score) for score in scores),
            ),
        )
        for system, result in zip(systems, results, strict=True)
    ]
    return ["model", *shown, *scores], rows


def _setting_cell(result: Result | None, name: str) -> Cell:
    if result is None or name not in result.settings:
        return UNKNOWN
    return Cell(formatting.format_setting(result.settings[name]), result.settings[name])


def _score_cell(system: Published, task: str, name: str) -> Cell:
    scores = system.results[task].scores if task in system.results else {}
    if name not in scores:
        return UNKNOWN
    score = Score(name=name, percent=scores[name], min_digits=system.digits)
    return Cell(score.text, score.percent / 100)


def _system_groups(study: Study, settings: Sequence[str], average: bool) -> RowsAndNotes:
    """Return the rows of each system, its settings and then its results, and the sources."""
    rows: list[Row] = []
    for system in study.published:
        rows += _setting_rows(study, system, settings, average)
        for prefix in ("", "test."):
            suffix = " (test)" if prefix else ""
            for metric in (None, *further_metrics(study, system, prefix)):
                name = (metric or "Result") + suffix
                row = published_row(study, system, metric, name, average, prefix)
                if any(cell.value is not None for cell in row.cells):
                    rows.append(Row(name=row.name, system=system.row, cells=row.cells))
            rows += _language_rows(study, system, prefix, average)
    return rows, sources(study)


def _setting_rows(
    study: Study, system: Published, settings: Sequence[str], average: bool
) -> Iterator[Row]:
    results = [system.results.get(task) for task in study.tasks]
    known = [name for result in results if result for name in result.settings]
    for name in dict.fromkeys((*settings, *known)):
        cells = [_setting_cell(result, name) for result in results]
        if any(cell is not UNKNOWN for cell in cells):
            yield Row(name=name, system=system.row, cells=(*cells, *[BLANK] * average))


def _language_rows(study: Study, system: Published, prefix: str, average: bool) -> Iterator[Row]:
    """Yield a row for each language except the first, which the row of results shows."""
    by_name = {name: study.task(name) for name in study.tasks}
    others = dict.fromkeys(code for task in by_name.values() for code in task.languages[1:])
    for code in others:
        cells = [
            _score_cell(system, name, f"{prefix}{code}.{task.metric}")
            for name, task in by_name.items()
        ]
        if any(cell is not UNKNOWN for cell in cells):
            name = code + " (test)" * bool(prefix)
            yield Row(name=name, system=system.row, cells=(*cells, *[BLANK] * average))
