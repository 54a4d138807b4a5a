"""Writes a run folder's exports from its study and its journal.

It is apart from the modules that make the exports: only this one knows where they are written.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .. import study, tasks
from ..run_folder import Records, opening, trial_identity
from ..storage import all_inside, file_inside, folder_inside, write_atomically
from ..study import Study
from . import table_formats
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


def write_exports(folder: str | Path, *, note: Callable[[str], None] | None = None) -> Table:
    """Write a run's tables, best.yaml and parquet files, and TensorBoard files that are missing.

    It may be called at any time and any number of times, also during the run.

    Args:
        folder: the run folder; only study.yaml, provenance.json and journal.jsonl are read.
        note: called with what could not be understood and with what could not be written; None
            raises the latter.

    Returns:
        The table.

    Raises:
        InputError: there is no study.yaml, the journal cannot be read or is missing although there
            are results of it, trials were trained with another study, or a link is in the place of
            a file to write; then nothing is written.
        OSError: a file could not be written; the previous files are complete and unchanged.
    """
    folder = Path(folder)
    searched = study.load(opening.study_file(folder))
    records = opening.read_records(folder, searched)
    if note is not None:
        for text in records.notes:
            note(text)
    origins = trial_identity.check_identity(folder, searched, records)
    table = run_table(folder, searched, records, origins)
    try:
        _write(folder, searched, records, table)
    except OSError as error:
        if note is None:
            raise
        note(f"not written: {error.strerror or error}: {error.filename or folder}")
    return table


def run_table(folder: Path, searched: Study, records: Records, origins: list[str]) -> Table:
    """Return the table of a run, with intervals from its kept predictions. Nothing is written.

    Args:
        folder: the run folder.
        searched: its study.
        records: its trials.
        origins: notes of `trial_identity.check_identity`.
    """
    unread: list[str] = []  # predictions that cannot be read
    table = paper_table(searched, records, RunIntervals(folder, unread.append))
    return replace(table, notes=(*table.notes, *origins, *unread))


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
