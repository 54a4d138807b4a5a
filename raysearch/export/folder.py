"""A run folder's exports, made from its study and its journal."""

from dataclasses import replace
from pathlib import Path

from .. import identity, journal, study, tasks
from ..storage import write_atomically
from . import layouts
from .best import best, none
from .events import Curves
from .rows import Table
from .tables import table

LAYOUTS = {
    "md": layouts.markdown,
    "tex": layouts.latex,
    "csv": layouts.csv_text,
    "json": layouts.json_text,
}


def write(folder: str | Path) -> Table:
    """Write a run's tables, best.yaml, parquet and missing TensorBoard files; gives the table.

    It may be called at any time, also while the run goes on, and as often as wanted.

    Args:
        folder: the run folder; study.yaml, provenance.json and journal.jsonl are read, nothing
            else.

    Raises:
        InputError: no study.yaml, a journal that cannot be read, or trials that were trained with
            another study; then nothing is written.
        OSError: no room; what was there before is still there, whole.
    """
    from . import files  # pyarrow takes a second to import, and a table needs none of it

    folder = Path(folder)
    searched, records = study.load(folder / "study.yaml"), journal.read(folder)
    origins = identity.check(folder, searched, records)
    found = table(searched, records)
    found = replace(found, notes=(*found.notes, *origins))
    for ending, layout in LAYOUTS.items():
        write_atomically(folder / f"table.{ending}", layout(found))
    curves = Curves(folder, searched)
    for name in searched.tasks:
        trials, place = records.of(name), folder / tasks.get(name).slug
        if not trials:
            continue
        if (winner := best(searched, records, name)) is not None:
            write_atomically(place / "best.yaml", winner)
        elif (place / "best.yaml").exists():  # of an earlier export, when there was a leader
            write_atomically(place / "best.yaml", none(searched, name))
        write_atomically(place / "trials.parquet", files.trials(searched, name, trials))
        write_atomically(place / "reports.parquet", files.reports(name, trials))
        for record in trials:
            curves.rebuild(record)
    return found
