"""What a run folder says, read once for all its exports.

It is apart from the exports because each of them is made of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .. import study
from ..run_folder import Records, opening, trial_identity
from ..run_folder.recorded_facts import RecordedFacts, read_facts
from ..study import Study
from .duplicate_notes import duplicate_notes
from .leaderboard import RankedConfiguration
from .paper_table import leading_configurations, paper_table
from .score_intervals import RunIntervals
from .table_rows import Table


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """What was read from a run folder, and the table that was made from it.

    Attributes:
        folder: the run folder.
        study: the run's study.
        records: its trials.
        facts: its provenance.
        table: the paper's table.
        leaders: task -> its leading configuration, or None.
        intervals: the intervals of its scores.
    """

    folder: Path
    study: Study
    records: Records
    facts: RecordedFacts
    table: Table
    leaders: Mapping[str, RankedConfiguration | None]
    intervals: RunIntervals


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
    return results_of(folder, searched, records)


def results_of(folder: Path, searched: Study, records: Records) -> RunResults:
    """Return the results of records of a run folder.

    Args:
        folder: the run folder; its provenance and kept predictions are read.
        searched: its study.
        records: its trials.

    Raises:
        InputError: trials were trained with another study.
    """
    trial_notes = trial_identity.check_identity(folder, searched, records)
    unread: list[str] = []  # predictions that cannot be read
    intervals = RunIntervals(folder, unread.append)
    table = paper_table(searched, records, intervals, intervals.difference)
    facts, damaged = read_facts(folder)
    # What makes all scores worth less comes first.
    duplicates = duplicate_notes(searched, facts)
    notes = (*duplicates, *table.notes, *unread, *trial_notes, *damaged)
    return RunResults(
        folder=folder,
        study=searched,
        records=records,
        facts=facts,
        table=replace(table, notes=notes),
        leaders=leading_configurations(searched, records),
        intervals=intervals,
    )
