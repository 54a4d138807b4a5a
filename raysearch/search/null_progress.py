"""The progress display of a run that nobody watches.

It is apart because it tells what every display must have: the command's own, and those of others.
"""

from collections.abc import Callable

from ..run_folder import Record
from .trial_queue import TrialQueue


class NullProgress:
    """A progress display that shows nothing; it has what every `watch` must have."""

    def __init__(self, queue: TrialQueue, lanes: Callable[[], int]) -> None: ...

    def note(self, line: str) -> None:
        """Show a line that belongs in a log."""

    def change(self, record: Record) -> None:
        """Show that a record has changed."""

    def refresh(self) -> None:
        """Show that time has passed."""

    def close(self) -> None:
        """Show that nothing more comes."""
