"""A run folder's exports, made from its study and its journal."""

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
from .table_rows import Table
from .tensorboard import TensorBoardWriter

LAYOUTS = {
    "md": table_formats.to_markdown,
    "tex": table_formats.to_latex,
    "csv": table_formats.to_csv,
    "json": table_formats.to_json,
}


def write_exports(folder: str | Path, *, note: Callable[[str], None] | None = None) -> Table:
    """Write a run's tables, best.yaml, parquet and missing TensorBoard files; gives the table.

    It may be called at any time, also while the run goes on, and as often as wanted.

    Args:
        folder: the run folder; study.yaml, provenance.json and journal.jsonl are read, nothing
            else.
        note: called with what was read and not understood, and with what could not be written;
            None to raise that.

    Raises:
        InputError: no study.yaml, a journal that cannot be read or is missing beside results that
            came from it, trials that were trained with another study, or a link where a file is to
            be written; then nothing is written.
        OSError: no room; what was there before is still there, whole.
    """
    folder = Path(folder)
    searched = study.load(opening.study_file(folder))
    records = opening.read_records(folder, searched)
    for text in records.notes if note else ():
        note(text)
    origins = trial_identity.check_identity(folder, searched, records)
    made = paper_table(searched, records)
    made = replace(made, notes=(*made.notes, *origins))
    try:
        _write(folder, searched, records, made)
    except OSError as error:
        if note is None:
            raise
        note(f"not written: {error.strerror or error}: {error.filename or folder}")
    return made


def _write(folder: Path, searched: Study, records: Records, made: Table) -> None:
    """Write everything that is made from a run's records, links refused before the first file."""
    from . import parquet  # pyarrow takes a second to import, and a table needs none of it

    slugs = {name: tasks.get(name).slug for name in searched.tasks if records.of(name)}
    names = [(f"table.{ending}",) for ending in LAYOUTS]
    own = ("best.yaml", "trials.parquet", "reports.parquet")
    all_inside(folder, [*names, *((slug, name) for slug in slugs.values() for name in own)])
    for ending, layout in LAYOUTS.items():
        write_atomically(file_inside(folder, f"table.{ending}"), layout(made))
    curves = TensorBoardWriter(folder, searched)
    for name, slug in slugs.items():
        trials, place = records.of(name), folder_inside(folder, slug)
        if (winner := best_study(searched, records, name)) is not None:
            write_atomically(place / "best.yaml", winner)
        elif (place / "best.yaml").exists():  # of an earlier export, when there was a leader
            write_atomically(place / "best.yaml", no_best_study(searched, name))
        write_atomically(place / "trials.parquet", parquet.trials_columns(searched, name, trials))
        write_atomically(place / "reports.parquet", parquet.reports_columns(name, trials))
        for record in trials:
            curves.rebuild(record)
