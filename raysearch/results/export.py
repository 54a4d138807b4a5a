"""Writes a run folder's exports from its study and its journal.

It is apart from the modules that make the exports: only this one knows where they are written.
"""

from collections.abc import Callable
from pathlib import Path

from .. import tasks
from ..storage import all_inside, file_inside, folder_inside, kind_of, write_atomically
from . import html_report
from .best_study import best_study, no_best_study
from .duplicate_notes import duplicate_text
from .model_card import CARD, write_card
from .run_results import RunResults, read_run
from .start_notes import start_text
from .statement import Statement, statement, to_latex, to_markdown
from .table_formats import LAYOUTS
from .table_rows import Table

FORMS: dict[str, Callable[[Statement], str]] = {"md": to_markdown, "tex": to_latex}


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
        report: write report.html too, as that of a run that has ended, and raise what could not
            be written; else the report is rewritten only where it exists.

    Returns:
        The table.

    Raises:
        InputError: see `read_run`; or a link is in the place of a file to write; then nothing is
            written.
        OSError: a file could not be written; the previous files are complete and unchanged.
    """
    run = read_run(folder, note=note)
    # A link in the place of the report is refused before the first file.
    has_report = kind_of(file_inside(run.folder, html_report.REPORT)) is not None
    try:
        _write(run)
        for text in _write_cards(run):
            if note is not None:
                note(text)
        if report or has_report:
            running = not report and html_report.is_running(run.folder)
            html_report.write_report(run, running=running)
    except OSError as error:
        if note is None or report:
            raise
        note(f"not written: {error.strerror or error}: {error.filename or folder}")
    return run.table


def _write_cards(run: RunResults) -> list[str]:
    """Write the model cards of the winners whose weights are kept, and return notes on others."""
    slugs = [tasks.slug_of(name) for name in run.leaders]
    all_inside(run.folder, [(slug, "best", CARD) for slug in slugs])  # before the first one
    notes = [
        write_card(
            run.folder,
            task,
            leader,
            run.intervals,
            start_text(task, run.records),
            duplicate_text(run.facts, name),
        )
        for name, leader in run.leaders.items()
        for task in [run.study.resolve(name)]
        if leader is not None
    ]
    return [note for note in notes if note]


def _write(run: RunResults) -> None:
    """Write all exports; links in their places are refused before the first file."""
    # These take long to import, and neither a printed table nor the start of a run needs them.
    from . import parquet
    from .tensorboard import TensorBoardWriter

    folder, searched, records = run.folder, run.study, run.records
    slugs = {name: tasks.slug_of(name) for name in searched.tasks if records.of(name)}
    tables = [(f"table.{ending}",) for ending in LAYOUTS]
    tables += [(f"reproducibility.{ending}",) for ending in FORMS]
    task_files = ("best.yaml", "trials.parquet", "reports.parquet")
    all_inside(folder, [*tables, *((slug, name) for slug in slugs.values() for name in task_files)])
    for ending, layout in LAYOUTS.items():
        write_atomically(file_inside(folder, f"table.{ending}"), layout(run.table))
    curves = TensorBoardWriter(folder, searched)
    for name, slug in slugs.items():
        trials, task_folder = records.of(name), folder_inside(folder, slug)
        if (winner := best_study(searched.resolve(name), records)) is not None:
            write_atomically(task_folder / "best.yaml", winner)
        elif (task_folder / "best.yaml").exists():  # of an earlier export, when there was a leader
            write_atomically(task_folder / "best.yaml", no_best_study(searched.resolve(name)))
        columns = parquet.trials_parquet(searched.resolve(name), trials)
        write_atomically(task_folder / "trials.parquet", columns)
        columns = parquet.reports_parquet(searched.task(name), trials)
        write_atomically(task_folder / "reports.parquet", columns)
        for record in trials:
            curves.rebuild(record)
    # Last, so that an error in it leaves everything else.
    reproducibility = statement(run)
    for ending, form in FORMS.items():
        path = file_inside(folder, f"reproducibility.{ending}")
        write_atomically(path, form(reproducibility))
