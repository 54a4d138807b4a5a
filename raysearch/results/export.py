"""Writes a run folder's exports from its study and its journal.

It is apart from the modules that make the exports: only this one knows where they are written.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .. import study, tasks
from ..run_folder import Records, opening, trial_identity
from ..storage import all_inside, file_inside, folder_inside, write_atomically
from ..study import Study
from . import html_report, table_formats
from .best_study import best_study, no_best_study
from .paper_table import paper_table
from .score_intervals import RunIntervals
from .table_rows import Table
from .tensorboard import TensorBoardWriter

LAYOUTS: dict[str, Callable[[Table], str]] = {
    "md": table_formats.to_markdown,
    "tex": table_formats.to_latex,
    "csv": table_formats.to_csv,
    "json": table_formats.to_json,
}


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """What was read from a run folder, and the table that was made from it.

    Attributes:
        folder: the run folder.
        study: the run's study.
        records: the run's trials.
        intervals: returns the interval of a score.
        table: the paper's table.
    """

    folder: Path
    study: Study
    records: Records
    intervals: RunIntervals
    table: Table


def write_exports(
    folder: str | Path,
    *,
    note: Callable[[str], None] | None = None,
    report: bool = False,
) -> Table:
    """Write a run's tables, best.yaml and parquet files, and TensorBoard files that are missing.

    It may be called at any time and any number of times, also during the run.

    Args:
        folder: the run folder, see `read_run`.
        note: called with what could not be understood and with what could not be written; None
            raises the latter.
        report: write report.html too, as that of a run that has ended.

    Returns:
        The table.

    Raises:
        InputError: see `read_run`; or a link is in the place of a file to write; then nothing is
            written.
        OSError: a file could not be written; the previous files are complete and unchanged.
    """
    run = read_run(folder, note=note)
    if report:
        file_inside(run.folder, html_report.REPORT)  # a link is refused before the first file
    try:
        _write(run.folder, run.study, run.records, run.table)
        if report:
            html_report.write_report(run, running=False)
    except OSError as error:
        if note is None:
            raise
        note(f"not written: {error.strerror or error}: {error.filename or folder}")
    return run.table


def read_run(folder: str | Path, *, note: Callable[[str], None] | None = None) -> RunResults:
    """Read a run folder and make its table; nothing is written.

    Args:
        folder: the run folder; only study.yaml, provenance.json, journal.jsonl and kept predictions
            are read.
        note: called with what could not be understood.

    Raises:
        InputError: there is no study.yaml, the journal cannot be read or is missing although there
            are results of it, or trials were trained with another study.
    """
    folder = Path(folder)
    searched = study.load(opening.study_file(folder))
    records = opening.read_records(folder, searched)
    if note is not None:
        for text in records.notes:
            note(text)
    origins = trial_identity.check_identity(folder, searched, records)
    unread: list[str] = []  # predictions that cannot be read
    intervals = RunIntervals(folder, unread.append)
    table = paper_table(searched, records, intervals)
    table = replace(table, notes=(*table.notes, *origins, *unread))
    return RunResults(
        folder=folder, study=searched, records=records, intervals=intervals, table=table
    )


def _write(folder: Path, searched: Study, records: Records, table: Table) -> None:
    """Write all exports; links in their places are refused before the first file."""
    from . import parquet  # pyarrow takes a second to import, and a printed table does not need it

    slugs = {name: tasks.get(name).slug for name in searched.tasks if records.of(name)}
    tables = [(f"table.{ending}",) for ending in LAYOUTS]
    task_files = ("best.yaml", "trials.parquet", "reports.parquet")
    all_inside(folder, [*tables, *((slug, name) for slug in slugs.values() for name in task_files)])
    for ending, layout in LAYOUTS.items():
        write_atomically(file_inside(folder, f"table.{ending}"), layout(table))
    curves = TensorBoardWriter(folder, searched)
    for name, slug in slugs.items():
        trials, task_folder = records.of(name), folder_inside(folder, slug)
        if (winner := best_study(searched.resolve(name), records)) is not None:
            write_atomically(task_folder / "best.yaml", winner)
        elif (task_folder / "best.yaml").exists():  # of an earlier export, when there was a leader
            write_atomically(task_folder / "best.yaml", no_best_study(searched.resolve(name)))
        columns = parquet.trials_parquet(searched.resolve(name), trials)
        write_atomically(task_folder / "trials.parquet", columns)
        columns = parquet.reports_parquet(name, trials)
        write_atomically(task_folder / "reports.parquet", columns)
        for record in trials:
            curves.rebuild(record)
