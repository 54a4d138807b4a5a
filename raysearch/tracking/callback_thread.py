"""The thread that makes the calls of a live run's callbacks.

It is apart from the calls because it knows what a run must not suffer from: slow callbacks, such as
a server that does not answer, and those that fail.
"""

import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import InputError, printable, shorten
from ..results.run import Run
from ..run_folder import Journal, read_journal
from ..run_folder.events import Event
from ..storage import file_inside, write_atomically
from ..study import Study
from .callback import Callback, check_callbacks
from .event_calls import FollowedRecords

CALLBACK_ERRORS = "callback-errors.txt"


class CallbackThread:
    """Calls callbacks with what is written to a journal, from its opening to the end of the block.

    It has records of its own, to which it applies the journal's events one by one: a callback sees
    the run as it was at the event, however far it has gone on.

    Args:
        callbacks: what is called; without any, nothing is done.
        folder: the run folder.
        study: what is searched.
        journal: open for writing; events that it holds already are not told.

    Attributes:
        notes: what the run is to say of failed calls.

    Raises:
        InputError: an object is no callback.
    """

    def __init__(
        self, callbacks: Sequence[Callback], folder: Path, study: Study, journal: Journal
    ) -> None:
        check_callbacks(callbacks)
        self.notes: list[str] = []
        self._callbacks, self._folder, self._journal = list(callbacks), folder, journal
        self._study, self._note = study, self.notes.append
        self._errors: list[str] = []  # the first traceback of each callback that failed
        self._failed: dict[int, int] = {}  # callback's number -> how many of its calls failed
        self._events: queue.SimpleQueue[Event | Run | None] = queue.SimpleQueue()
        self._has_events = self._has_ended = False

    def __enter__(self) -> "CallbackThread":
        if self._callbacks:
            self._records = FollowedRecords()
            read_journal(self._folder, self._records)
            self._run = Run(folder=self._folder, study=self._study, records=self._records)
            self._records.follow(self._run, self._call)
            self._thread = threading.Thread(
                target=self._make_calls, name="raysearch-callbacks", daemon=True
            )
            self._thread.start()
            self._journal.observers.append(self._observe)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell the end of a session that an error has ended, and wait for the last call."""
        if self._callbacks and not self._has_ended:
            self._finish(replace(self._run, interrupted=True) if self._has_events else None)

    def noting(self, watch: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """Return `watch`, whose display then also shows that a callback has failed."""
        if watch is None or not self._callbacks:
            return watch

        def create(*args: Any) -> Any:
            display = watch(*args)
            self._note = display.note
            return display

        return create

    def end(self, run: Run) -> Run:
        """Tell the end of a session, wait for the last call, and return the run with its notes."""
        if not self._callbacks:
            return run
        self._note = self.notes.append  # the display is closed
        self._finish(run)
        return replace(run, notes=(*run.notes, *self.notes))

    def _observe(self, event: Event) -> None:
        self._has_events = True
        self._events.put(event)

    def _finish(self, run: Run | None) -> None:
        """Wait for the last call, which tells the end of the session; None for a run not begun."""
        self._has_ended = True
        self._journal.observers.remove(self._observe)
        self._events.put(run)
        self._thread.join()
        for number, count in self._failed.items():
            if count > 1:
                self._note(f"{self._name(number)} failed in {count:,} calls")

    def _make_calls(self) -> None:
        while (told := self._events.get()) is not None:
            if isinstance(told, Run):
                self._call("on_run_end", (told,))
                return
            self._records.apply(told)

    def _call(self, method: str, arguments: tuple[object, ...]) -> None:
        """Call a method of each callback; the first failure of each is told and kept."""
        for number, callback in enumerate(self._callbacks):
            try:
                getattr(callback, method)(*arguments)
            except Exception as error:  # whatever its author wrote
                self._failed[number] = self._failed.get(number, 0) + 1
                if self._failed[number] == 1:
                    self._tell(number, method, error)

    def _tell(self, number: int, method: str, error: Exception) -> None:
        """Note the first failure of a callback, and write its traceback to the run folder."""
        text = "".join(traceback.format_exception(error))
        self._errors.append(f"{self._name(number)} {method}:\n\n{text}")
        content = "\n".join(self._errors)
        where = "its traceback cannot be written"
        with suppress(OSError, InputError):
            path = file_inside(self._folder, CALLBACK_ERRORS)
            write_atomically(path, content.encode("utf-8", "backslashreplace"))
            where = f"see {path}"
        reason = f"{type(error).__name__}: {shorten(str(error))}"
        said = f"{self._name(number)} failed in {method}, the run goes on: {reason}; {where}"
        self._note(printable(said))

    def _name(self, number: int) -> str:
        return f"callback {number + 1}, {type(self._callbacks[number]).__name__},"
