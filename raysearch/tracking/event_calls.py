"""From the events of a journal to the calls of callbacks.

It is apart from the thread that makes the calls of a live run, because an ended run is replayed
with the same code.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..results.run import Run, open_run
from ..run_folder import Record, Records, read_journal
from ..run_folder.events import Event
from .callback import Callback, check_callbacks

Call = Callable[[str, tuple[object, ...]], None]  # name of a method, and its arguments


class FollowedRecords(Records):
    """Records that make the calls that follow from every event that is applied to them.

    The calls are made from what an event has changed, whatever its kind.
    """

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None

    def follow(self, run: Run, call: Call) -> None:
        """Make the calls of every further event.

        Args:
            run: it has these records.
            call: called with the name of a callback's method and its arguments.
        """
        self._run, self._call = run, call
        self._started = {name for name, r in self.trials.items() if _has_begun(r)}
        self._over = {name for name, r in self.trials.items() if r.is_over}
        # Trial -> how many of its reports were told; an attempt may take some back.
        self._told = {name: len(record.reports) for name, record in self.trials.items()}

    def apply(self, event: Event) -> None:
        """Change the records by one event, and make the calls that follow from it."""
        super().apply(event)
        record = self.trials.get(getattr(event, "trial", ""))
        if self._run is not None and record is not None:
            self._look(self._run, record)

    def _look(self, run: Run, record: Record) -> None:
        """Make the calls that follow from what is new of a trial."""
        name, is_over = record.id, record.is_over
        if name in self._over and not is_over:  # its weights are lost: it begins anew
            self._over.discard(name)
            self._started.discard(name)
        if name not in self._started and _has_begun(record):
            self._started.add(name)
            self._call("on_trial_start", (run, record))
        told = min(self._told.get(name, 0), len(record.reports))
        self._told[name] = len(record.reports)
        for report in record.reports[told:]:
            self._call("on_report", (run, record, report))
        if is_over and name not in self._over:
            self._over.add(name)
            self._call("on_trial_end", (run, record))


def _has_begun(record: Record) -> bool:
    """Return whether a trial has begun to train, here or in the run that answers it, or ended."""
    return bool(record.attempts or record.reused_from or record.is_over)


def replay(folder: str | Path, *callbacks: Callback) -> Run:
    """Call callbacks as a run has called them, or would have, from its journal.

    The calls are those of a live run, in their order, `on_run_end` at last. An exception in a
    callback is raised.

    Args:
        folder: the run folder, or its URI; the run may go on.
        callbacks: what is called.

    Returns:
        The run.

    Raises:
        InputError: see `open_run`; or a callback lacks a method.
    """
    check_callbacks(callbacks)
    ended = open_run(folder)

    def call(method: str, arguments: tuple[object, ...]) -> None:
        for callback in callbacks:
            getattr(callback, method)(*arguments)

    records = FollowedRecords()
    records.follow(replace(ended, records=records, interrupted=False), call)
    read_journal(ended.folder, records)
    call("on_run_end", (ended,))
    return ended
