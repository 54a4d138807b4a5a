"""Show the progress of a run: a live panel on a terminal, plain lines in a log.

It is apart from the search, which only calls the methods of a display.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .. import tasks
from ..error_pages import FAILED_TRIALS, explained_in
from ..errors import printable
from ..results.html_report import REPORT
from ..results.leaderboard import best_of_search, counted_score, is_complete, leaderboard
from ..run_folder import Record
from ..run_folder.outcomes import TrialStatus
from ..run_folder.remote_files import resume_command
from ..search_space import format_point
from ..study.unusual_values import unusual_value_notes
from .app import print_note

if TYPE_CHECKING:  # the search imports Ray
    from ..results.run import Run
    from ..search.trial_queue import TrialQueue

LOG_INTERVAL = 30.0  # seconds between lines of progress in a log
FRAME_INTERVAL = 0.25  # seconds between frames on a terminal
_STYLES: dict[TrialStatus, str] = {
    "finished": "green",
    "stopped": "yellow",
    "diverged": "red",
    "degenerate": "red",
    "failed": "bold red",
    "running": "cyan",
}


class ProgressDisplay:
    """A display of the progress of a run's trials.

    Args:
        queue: the run's trials; it is only read.
        lanes: returns how many lanes there may be.
        console: the console to print to; standard output by default.
    """

    def __init__(
        self, queue: "TrialQueue", lanes: Callable[[], int], console: Console | None = None
    ) -> None:
        self.queue, self.lanes = queue, lanes
        self.console = console or Console(highlight=False, markup=False, emoji=False)
        self._durations: list[float] = []  # seconds of trials that have ended in this session
        self._announced_teachers: set[str] = set()
        self._last_shown = time.monotonic()
        self._live: Live | None = None
        if self.console.is_terminal:
            # Without rich's refresh thread, which would read records while they change.
            self._live = Live(console=self.console, auto_refresh=False, get_renderable=self._panel)
            self._live.start(refresh=True)
        for line in unusual_value_notes(queue.study):
            self.note(line)

    def note(self, line: str) -> None:
        """Show a line in the log, or above the live panel."""
        self._print(Text(self._escape(line), style="dim"))

    def change(self, record: Record) -> None:
        """Show a line if a trial has ended, or has a teacher that was not shown yet."""
        if record.is_over:
            if not record.reused_from:
                self._durations.append(record.seconds)
            self._print(self._end_line(record))
        elif record.teacher and record.teacher not in self._announced_teachers:
            self._announced_teachers.add(record.teacher)
            teacher = self.queue.journal.trials.get(record.teacher)
            if teacher is None:
                self.note(f"{record.task} teacher {record.teacher} from the cache")
            elif teacher.status == "degenerate":
                self.note(f"{record.task} teach {teacher.number} has learned nothing to teach")

    def refresh(self) -> None:
        """Show a new frame or, without a terminal, a line of progress, if the last one is old."""
        interval = LOG_INTERVAL if self._live is None else FRAME_INTERVAL
        if time.monotonic() - self._last_shown < interval:
            return
        self._last_shown = time.monotonic()
        if self._live is None:
            self._print(self._summary())
        else:
            self._live.refresh()

    def close(self) -> None:
        """Show the last state, which stays on the screen."""
        if self._live is not None:
            self._live.stop()
        else:
            self._print(self._summary())

    def _escape(self, text: str) -> str:
        """Return a text with everything escaped that the console cannot or should not print."""
        encoding = self.console.encoding
        return printable(text).encode(encoding, "backslashreplace").decode(encoding)

    def _print(self, text: Text) -> None:
        if self._live is not None:
            self.console.print(text)
        else:
            self.console.file.write(f"{text.plain}\n")
            self.console.file.flush()

    def _end_line(self, record: Record) -> Text:
        """Return the line of a trial that has ended."""
        task = self.queue.study.resolve(record.task)
        counted = None if record.status == "diverged" else counted_score(task, record)
        score = "-" if counted is None else f"{100 * counted:.1f}"
        report = record.reports[-1] if record.reports else None
        steps = f"{report.step}/{report.steps}" if report else "0/0"
        line = Text(f"{record.task} {record.phase:<7} {record.number:>3}  ")
        line.append(f"{record.status:<10}", style=_STYLES[record.status])
        line.append(f" {task.row.metric} {score:>5}  {record.seconds:6.1f} s  ")
        point = self._escape(format_point(self._shown_values(record)))
        line.append(f"{steps:>9} steps  {point} ")
        line.append(f"seed={record.seed}")
        if record.reused_from:
            line.append(f"  from {self._escape(record.reused_from)}")
        return line

    def _shown_values(self, record: Record) -> dict[str, Any]:
        """Return the searched values of a trial; the configuration of a teacher has others too."""
        if record.phase != "teach":
            return record.configuration
        task = self.queue.study.resolve(record.task)
        names = {name.removeprefix("teacher_") for name in task.space}
        names -= task.hyperparameters(record.configuration).ineffective_fields()
        return {name: value for name, value in record.configuration.items() if name in names}

    def _summary(self) -> Text:
        """Return the line of progress in a log."""
        ended, planned = self._counts()
        text = (
            f"{ended}/{planned} trials, {self._busy_lanes()}, {self._device_hours()},"
            f" {self._time_left()}"
        )
        for name in self.queue.study.tasks:
            if best := self._best(name, "confirm") or self._best(name, "search"):
                text += f", {name} {best}"
        live = [r for r in self._live_records() if _progress(r)]
        if running := ", ".join(f"{r.task} {_position(r)}" for r in live):
            text += f"; running: {running}"
        return Text(text)

    def _panel(self) -> Group:
        """Return the live panel: one row for every task and phase, and a footer."""
        grid = Table.grid(padding=(0, 2))
        live = sorted(self._live_records(), key=lambda record: record.number)
        for name in self.queue.study.tasks:
            counts = self.queue.planned_trials(name)
            for phase, planned in counts.items():
                if not planned:
                    continue
                ended = self.queue.journal.ended(name, phase)
                bar = ProgressBar(total=planned, completed=ended, width=24, finished_style="green")
                running = ", ".join(
                    _position(r) for r in live if (r.task, r.phase) == (name, phase)
                )
                best = self._best(name, phase)
                grid.add_row(name, phase, bar, f"{ended}/{planned}", best, Text(running, "cyan"))
        return Group(Text(), grid, Text(self._footer(), style="dim"))

    def _footer(self) -> str:
        return f"{self._busy_lanes()}   {self._time_left()}   {self._device_hours()}"

    def _device_hours(self) -> str:
        return f"{self.queue.journal.device_hours:.3f} device hours"

    def _live_records(self) -> list[Record]:
        return [self.queue.journal.trials[trial] for trial in self.queue.live]

    def _counts(self) -> tuple[int, int]:
        """Return how many trials have ended, and how many are planned."""
        planned = sum(sum(self.queue.planned_trials(t).values()) for t in self.queue.study.tasks)
        journal = self.queue.journal
        return len(journal.trials) - len(journal.unfinished), planned

    def _busy_lanes(self) -> str:
        """Return how many lanes train; a lane is starting until its trial has an attempt."""
        live = self._live_records()
        starting = sum(not record.attempts for record in live)
        text = f"{len(live) - starting} of {self.lanes()} lanes busy"
        return f"{text}, {starting} starting" if starting else text

    def _time_left(self) -> str:
        """Return the time left, from the mean time of this session's trials and the lanes."""
        unfinished = self.queue.journal.unfinished.values()
        ended, planned = self._counts()
        if ended >= planned:
            return "all trials done"
        durations = self._durations
        if not durations:  # those of running trials, from the part of the schedule that is done
            durations = [r.seconds / _progress(r) for r in unfinished if _progress(r)]
        if not durations:
            return "time left unknown"
        mean = sum(durations) / len(durations)
        running = sum(r.seconds for r in unfinished)
        count = planned - ended + self._unplanned_teachers()
        seconds = max(0.0, mean * count - running) / max(1, self.lanes())
        return f"about {_duration(seconds)} left"

    def _unplanned_teachers(self) -> int:
        """Return how many teachers the confirmations will train at least: one for each seed.

        Only tasks that have had a teacher are counted.
        """
        confirm = self.queue.study.confirm
        count, seeds = 0, {*confirm.choose, *confirm.seeds}
        for name in self.queue.study.tasks:
            if trained_seeds := {record.seed for record in self.queue.journal.of(name, "teach")}:
                count += len(seeds - trained_seeds)
        return count

    def _best(self, name: str, phase: str) -> str:
        """Return the best score of a task in a phase; "" if there is none yet.

        In the search it is the score of the best trial, in the confirmation that of the best
        configuration over all seeds, once these have ended; with it stands whether that learned
        nothing, as then none has learned. With `hold_out` both are of the part on which trials are
        compared.
        """
        task, journal = self.queue.study.resolve(name), self.queue.journal
        score, end = None, ""
        if phase == "search" and (best := best_of_search(task, journal)):
            score, end = counted_score(task, best), " (degenerate)" * (best.status == "degenerate")
        elif phase == "confirm" and task.study.confirm.seeds and is_complete(task, journal):
            for ranked in leaderboard(task, journal)[:1]:
                score, end = ranked.selection_score, " (degenerate)" * ranked.learned_nothing
        return "" if score is None else f"best {task.row.metric} {100 * score:.1f}{end}"


def closing(run: "Run") -> int:
    """Print a run's notes, its table, its files and its failed trials.

    Args:
        run: a run that has ended or was interrupted.

    Returns:
        The exit code: 130 after an interrupt, 1 if trials have failed or a task had no weights to
        start from, else 0.
    """
    for note in run.notes:
        print_note(note)
    table, folder = run.folder / "table.md", printable(run.folder)
    if run.interrupted:
        command = printable(resume_command(run.uri or run.folder))
        print(f"\nstopped; nothing is lost. Go on with: {command}")
        return 130
    print(f"\n{printable(table.read_text(encoding='utf-8'), lines=True)}")
    print(f"run folder  {folder}")
    if run.uri:
        print(printable(f"kept at     {run.uri}"))
    for name in run.study.tasks:
        best = run.folder / tasks.slug_of(name) / "best.yaml"
        shown = best if _has_content(best) else f"{name}: none, see the notes under the table"
        print(printable(f"best        {shown}"))
    if (run.folder / REPORT).is_file():
        print(printable(f"report      {run.folder / REPORT}"))
    print(f"curves      tensorboard --logdir {folder}")
    for record in run.failed:
        error_file = run.folder / tasks.slug_of(record.task) / "errors" / f"{record.id}.txt"
        path = error_file if error_file.is_file() else error_file.parent.parent
        reason = (record.error or "it did not say why").strip().splitlines()[-1:]
        trial = f"{record.task} {record.phase} {record.number} seed {record.seed}"
        print(printable(f"failed      {trial}, {path}: {' '.join(reason)}"), file=sys.stderr)
    for name, why in run.untrained.items():
        print(printable(f"no start    {name}: {why}"), file=sys.stderr)
    if run.failed or run.untrained:
        print(explained_in([FAILED_TRIALS]), file=sys.stderr)
        return 1
    return 0


def _has_content(path: Path) -> bool:
    """Return whether a file exists that has more than comments."""
    if not path.is_file():
        return False
    return any(line and line[0] != "#" for line in path.read_text(encoding="utf-8").splitlines())


def _position(record: Record) -> str:
    """Return a trial's number and how much of its schedule is done: "#2 50 %"."""
    progress = _progress(record)
    return f"#{record.number} {100 * progress:.0f} %" if progress else f"#{record.number}"


def _progress(record: Record) -> float:
    """Return which part of a trial's schedule is known to be done, from 0 to 1."""
    return record.step / record.plan.steps if record.plan else 0.0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
