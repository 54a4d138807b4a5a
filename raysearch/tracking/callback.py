"""Callback: what is told of a run's trials, to code of the user and to exporters.

It is apart because the calls are the same for a run that goes on and for one that has ended.
"""

from collections.abc import Sequence
from typing import Protocol

from ..errors import InputError, Problem
from ..results.run import Run
from ..run_folder import Record
from ..run_folder.events import ReportEvent

METHODS = ("on_trial_start", "on_report", "on_trial_end", "on_run_end")


class Callback(Protocol):
    """What `raysearch.run`, `resume` and `replay` call; derive from it to have only some methods.

    The calls of a live run come in the order of its events, from one thread of their own, so that
    lanes never wait for them. An exception in a call is noted once for each callback, with the
    traceback in `callback-errors.txt` of the run folder; the run and the other calls go on.

    `run` has the folder, the study and all trials so far: `run.best(task)`, `run.trials()`. Its
    records go on changing as the run goes on; what is kept of them is to be copied. Teachers are
    trials too, of the phase "teach". A resumed run calls for what is new: trials of earlier
    sessions are in `run.records`, and one that begins anew after a crash repeats reports, but not
    its start.
    """

    def on_trial_start(self, run: Run, record: Record) -> None:
        """A trial begins to train, or has ended without a step: its end follows then."""

    def on_report(self, run: Run, record: Record, report: ReportEvent) -> None:
        """A trial was evaluated.

        Args:
            run: the run.
            record: the trial; its last report is this one.
            report: `step` of `steps`; `scores` as fractions, such as "dev.accuracy"; `loss`, the
                mean training loss per example since the report before, and its `terms`; `rate`,
                the learning rate; `seconds` of the trial so far; `at`, Unix time.
        """

    def on_trial_end(self, run: Run, record: Record) -> None:
        """A trial has ended; `status` says how, `score` is that of the evaluation that counts."""

    def on_run_end(self, run: Run) -> None:
        """The session has ended, and tables and best.yaml are written.

        Args:
            run: as `raysearch.run` returns it; `run.interrupted` is true after Ctrl-C or an error,
                and where a replayed run has trials left and goes on nowhere.
        """


def check_callbacks(callbacks: Sequence[object]) -> None:
    """Refuse what cannot be called.

    Raises:
        InputError: all that are no callbacks.
    """
    if not isinstance(callbacks, list | tuple):
        text = f"a list of callbacks is needed, got a {type(callbacks).__name__}"
        raise InputError("run", [Problem(location="callbacks", text=text)])
    problems = []
    for number, callback in enumerate(callbacks, 1):
        lacking = [m for m in METHODS if not callable(getattr(callback, m, None))]
        if isinstance(callback, type):
            text = f"number {number} is the class {callback.__name__}, an object of it is needed"
            problems.append(Problem(location="callbacks", text=text))
        elif lacking:
            text = f"number {number}, a {type(callback).__name__}, has no {', '.join(lacking)};"
            text = f"{text} a class derived from raysearch.Callback has all"
            problems.append(Problem(location="callbacks", text=text))
    if problems:
        raise InputError("run", problems)
