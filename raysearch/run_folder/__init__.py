"""A run folder: its journal, the identity of its trials, and the checks when it is opened.

A run needs nothing but its journal to continue after a crash: trials, reports and costs are read
back from it, and every table is computed from it.
"""

from .events import FORMAT, Phase
from .journal import (
    JOURNAL_NAME,
    TORN_NAME,
    DraftJournal,
    Journal,
    read_journal,
    refuse_running,
)
from .outcomes import Outcome
from .trial_records import Record, Records

__all__ = [
    "FORMAT",
    "JOURNAL_NAME",
    "TORN_NAME",
    "DraftJournal",
    "Journal",
    "Outcome",
    "Phase",
    "Record",
    "Records",
    "read_journal",
    "refuse_running",
]
