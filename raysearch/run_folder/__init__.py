"""A run folder: its journal, the identity of its trials, and how a stranger's is opened.

The journal is the only thing that a run needs to go on after a crash: trials, reports and costs are
read back from it, and every table is made from it."""

from .events import FORMAT
from .journal import NAME, TORN, Journal, read, refuse_running
from .trial_records import Outcome, Phase, Record, Records

__all__ = ["FORMAT", "NAME", "TORN", "Journal", "Outcome", "Phase", "Record", "Records", "read",
           "refuse_running"]  # fmt: skip
