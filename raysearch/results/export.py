"""Writes a run folder's exports from its study and its journal.

It is apart from the modules that make the exports: only this one knows where they are written.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .. import study, tasks
from ..run_folder import Records, opening, trial_identity
from ..run_folder.recorded_facts import read_facts
from ..storage import all_inside, file_inside, folder_inside, write_atomically
from ..study import Study
from . import table_formats
from .best_study import best_study, no_best_study
from .model_card import CARD, write_card
from .paper_table import leading_configurations, paper_table
from .score_intervals import RunIntervals
from .statement import RunView, Statement, statement, to_latex, to_markdown
from .table_rows import Table
from .tensorboard import TensorBoardWriter

LAYOUTS: dict[str, Callable[[Table], str]] = {
    "md": table_formats.to_markdown,
    "tex": table_formats.to_latex,
    "csv": table_formats.to_csv,
    "json": table_formats.to_json,
}
FORMS: dict[str, Callable[[Statement], str]] = {"md": to_markdown, "tex": to_latex}


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
    unread: list[str] = []  # predictions that cannot be read
    intervals = RunIntervals(folder, unread.append)
    table = paper_table(searched, records, intervals, intervals.difference)
    facts, damaged = read_facts(folder)
    table = replace(table, notes=(*table.notes, *origins, *unread, *damaged))
    run = RunView(
        folder=folder,
        study=searched,
        records=records,
        facts=facts,
        table=table,
        leaders=leading_configurations(searched, records),
        intervals=intervals,
    )
    try:
        table = replace(table, notes=(*table.notes, *_write_cards(run)))
        _write(folder, searched, records, table, statement(run))
    except OSError as error:
        if note is None:
            raise
        note(f"not written: {error.strerror or error}: {error.filename or folder}")
    return table


def _write_cards(run: RunView) -> list[str]:
    """Write the model cards of the winners whose weights are kept, and return notes on others."""
    slugs = [tasks.get(name).slug for name in run.leaders]
    all_inside(run.folder, [(slug, "best", CARD) for slug in slugs])  # before the first one
    notes = [
        write_card(run.folder, run.study.resolve(name), leader, run.intervals)
        for name, leader in run.leaders.items()
        if leader is not None
    ]
    return [note for note in notes if note]


def _write(
    folder: Path, searched: Study, records: Records, table: Table, reproducibility: Statement
) -> None:
    """Write all exports; links in their places are refused before the first file."""
    from . import parquet  # pyarrow takes a second to import, and a printed table does not need it

    slugs = {name: tasks.get(name).slug for name in searched.tasks if records.of(name)}
    tables = [(f"table.{ending}",) for ending in LAYOUTS]
    tables += [(f"reproducibility.{ending}",) for ending in FORMS]
    task_files = ("best.yaml", "trials.parquet", "reports.parquet")
    all_inside(folder, [*tables, *((slug, name) for slug in slugs.values() for name in task_files)])
    for ending, layout in LAYOUTS.items():
        write_atomically(file_inside(folder, f"table.{ending}"), layout(table))
    for ending, form in FORMS.items():
        path = file_inside(folder, f"reproducibility.{ending}")
        write_atomically(path, form(reproducibility))
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
