"""The journal of a run: one line of JSON for everything that happened, on disk before it counts.

It is the only thing that a run needs to go on after a crash: trials, reports and costs are read
back from it, and every table is made from it. It knows no sampler and no Ray."""

from .file import NAME, TORN, Journal, read, refuse_running
from .records import Outcome, Phase, Record, Records
from .schema import FORMAT

__all__ = ["FORMAT", "NAME", "TORN", "Journal", "Outcome", "Phase", "Record", "Records", "read",
           "refuse_running"]  # fmt: skip
