"""What a run shows while it goes: a live panel on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .. import tasks
from ..errors import printable
from ..results.leaderboard import is_complete, leaderboard, rank_trials
from ..run_folder import Record
from ..search_space import format_point
from ..study.unusual_values import unusual_value_notes

PLAIN_EVERY = 30.0  # seconds between lines of progress in a log
LIVE_EVERY = 0.25  # seconds between frames on a terminal
_STYLES = {
    "finished": "green", "stopped": "yellow", "diverged": "red", "degenerate": "red",
    "failed": "bold red", "running": "cyan",
}  # fmt: skip


class ProgressDisplay:
    """Shows a queue's progress.

    Args:
        queue: planned and journal are read from it.
        lanes: gives how many lanes there may be.
        console: where it is shown; standard output by default.
    """

    def __init__(
        self, queue: Any, lanes: Callable[[], int], console: Console | None = None
    ) -> None:
        self.queue, self.lanes = queue, lanes
        self.console = console or Console(highlight=False, markup=False, emoji=False)
        self._before = {r.id for r in queue.journal.trials.values() if r.is_over}
        self._taught: set[str] = set()  # teachers of the trials so far
        self._shown = time.monotonic()
        self._live: Live | None = None
        if self.console.is_terminal:
            # Without its thread: records change while it would read them.
            self._live = Live(console=self.console, auto_refresh=False, get_renderable=self._panel)
            self._live.start(refresh=True)
        for line in unusual_value_notes(queue.study):
            self.note(line)

    def note(self, line: str) -> None:
        """A line for the log, above the live panel."""
        self._say(Text(self._printed(line), style="dim"))

    def change(self, record: Record) -> None:
        """A line when a trial ends, or where there is something to tell of its teacher."""
        if record.is_over:
            self._say(self._ended(record))
        elif record.teacher and record.teacher not in self._taught:
            self._taught.add(record.teacher)
            trained = self.queue.journal.trials.get(record.teacher)
            if trained is None:
                self.note(f"{record.task} teacher {record.teacher} from the cache")
            elif trained.status == "degenerate":
                self.note(f"{record.task} teach {trained.number} has learned nothing to teach")

    def refresh(self) -> None:
        """A new frame, or a line of progress now and then where there is no terminal."""
        every = PLAIN_EVERY if self._live is None else LIVE_EVERY
        if time.monotonic() - self._shown < every:
            return
        self._shown = time.monotonic()
        if self._live is None:
            self._say(self._summary())
        else:
            self._live.refresh()

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()
        else:
            self._say(self._summary())

    def _printed(self, text: str) -> str:
        """Foreign text as the console can print it."""
        coding = self.console.encoding
        return printable(text).encode(coding, "backslashreplace").decode(coding)

    def _say(self, text: Text) -> None:
        if self._live is not None:
            self.console.print(text)
        else:
            self.console.file.write(f"{text.plain}\n")
            self.console.file.flush()

    def _ended(self, record: Record) -> Text:
        task = tasks.get(record.task)
        shown = record.best.get(self.queue.study.selection_metric(record.task))
        score = "-" if shown is None else f"{100 * shown:.1f}"
        step = record.reports[-1] if record.reports else {"step": 0, "steps": 0}
        line = Text(f"{record.task} {record.phase} {record.number:>3}  ")
        line.append(f"{record.status:<10}", style=_STYLES[record.status])
        line.append(f" {task.metric} {score:>5}  {record.seconds:6.1f} s  ")
        point = self._printed(format_point(self._point(record)))
        line.append(f"{step['step']}/{step['steps']} steps  {point} ")
        line.append(f"seed={record.seed}")
        return line

    def _point(self, record: Record) -> dict[str, Any]:
        """What tells a trial from others; a teacher's configuration is whole."""
        if record.phase != "teach":
            return record.configuration
        study = self.queue.study
        names = {name.removeprefix("teacher_") for name in study.space_of(record.task)}
        names -= study.hyperparameters(record.task, record.configuration).ineffective_fields()
        return {name: x for name, x in record.configuration.items() if name in names}

    def _summary(self) -> Text:
        done, planned = self._counts()
        hours = sum(r.device_hours for r in self.queue.journal.trials.values())
        text = f"{done}/{planned} trials, {self._busy()}, {hours:.3f} device hours, {self._left()}"
        for name in self.queue.study.tasks:
            if best := self._best(name, "confirm") or self._best(name, "search"):
                text += f", {name} {best}"
        live = [self.queue.journal.trials[name] for name in self.queue.live]
        if running := ", ".join(f"{r.task} {_where(r)}" for r in live if _share(r)):
            text += f"; running: {running}"
        return Text(text)

    def _panel(self) -> Group:
        grid = Table.grid(padding=(0, 2))
        for name in self.queue.study.tasks:
            counts = self.queue.planned_trials(name)
            for phase, planned in counts.items():
                if not planned:
                    continue
                records = self.queue.journal.of(name, phase)
                over = sum(record.is_over for record in records)
                bar = ProgressBar(total=planned, completed=over, width=24, finished_style="green")
                running = ", ".join(_where(r) for r in records if r.id in self.queue.live)
                best = self._best(name, phase)
                grid.add_row(name, phase, bar, f"{over}/{planned}", best, Text(running, "cyan"))
        return Group(Text(), grid, Text(self._footer(), style="dim"))

    def _footer(self) -> str:
        hours = sum(r.device_hours for r in self.queue.journal.trials.values())
        return f"{self._busy()}   {self._left()}   {hours:.3f} device hours"

    def _counts(self) -> tuple[int, int]:
        planned = sum(sum(self.queue.planned_trials(t).values()) for t in self.queue.study.tasks)
        return sum(r.is_over for r in self.queue.journal.trials.values()), planned

    def _busy(self) -> str:
        """How many lanes train; a lane that has begun no attempt of its trial is coming up."""
        live = [self.queue.journal.trials[name] for name in self.queue.live]
        coming = sum(not record.attempts for record in live)
        text = f"{len(live) - coming} of {self.lanes()} lanes busy"
        return f"{text}, {coming} coming up" if coming else text

    def _left(self) -> str:
        """Time left, from what this session's trials took on the lanes that there are."""
        trials = self.queue.journal.trials.values()
        ended = [r for r in trials if r.is_over and r.id not in self._before]
        done, planned = self._counts()
        if done >= planned:
            return "all trials done"
        whole = [r.seconds for r in ended] or [r.seconds / _share(r) for r in trials if _share(r)]
        if not whole:
            return "time left unknown"
        spent = sum(whole) / len(whole)
        running = sum(r.seconds for r in trials if not r.is_over)
        count = planned - done + self._teachers_to_come()
        left = max(0.0, spent * count - running) / max(1, self.lanes())
        return f"about {_duration(left)} left"

    def _teachers_to_come(self) -> int:
        """Teachers that confirmations will begin, where tasks have some: at least one a seed."""
        count, seeds = 0, set(self.queue.study.confirm.seeds)
        for name in self.queue.study.tasks:
            if taught := {record.seed for record in self.queue.journal.of(name, "teach")}:
                count += len(seeds - taught)
        return count

    def _best(self, name: str, phase: str) -> str:
        """The best score of a phase: of the search its best trial's, of a confirmation its leader's
        over all seeds, once they are over."""
        study, journal = self.queue.study, self.queue.journal
        score = None
        if phase == "search":
            finished = (r.score for r in rank_trials(journal, name) if r.status == "finished")
            score = next(finished, None)
        elif phase == "confirm" and study.confirm.seeds and is_complete(study, journal, name):
            score = next((leader.score for leader in leaderboard(study, journal, name)), None)
        return "" if score is None else f"best {tasks.get(name).metric} {100 * score:.1f}"


def closing(done: Any) -> int:
    """Print the table and what to do next; the exit code."""
    table, folder = done.folder / "table.md", printable(done.folder)
    if done.interrupted:
        print(f"\nstopped; nothing is lost. Go on with: raysearch resume {folder}")
        return 130
    print(f"\n{printable(table.read_text(encoding='utf-8'), lines=True)}")
    print(f"run folder  {folder}")
    for name in done.study.tasks:
        best = done.folder / tasks.get(name).slug / "best.yaml"
        shown = best if _is_study(best) else f"{name}: none, see the notes under the table"
        print(printable(f"best        {shown}"))
    print(f"curves      tensorboard --logdir {folder}")
    for record in done.failed:
        path = done.folder / tasks.get(record.task).slug / "errors" / f"{record.id}.txt"
        where = path if path.is_file() else path.parent.parent
        reason = (record.error or "it did not say why").strip().splitlines()[-1:]
        which = f"{record.task} {record.phase} {record.number} seed {record.seed}"
        print(printable(f"failed      {which}, {where}: {' '.join(reason)}"), file=sys.stderr)
    return 1 if done.failed else 0


def _is_study(path: Path) -> bool:
    """Whether a file is there that holds more than comments."""
    if not path.is_file():
        return False
    return any(line and line[0] != "#" for line in path.read_text(encoding="utf-8").splitlines())


def _where(record: Record) -> str:
    share = _share(record)
    return f"#{record.number} {100 * share:.0f} %" if share else f"#{record.number}"


def _share(record: Record) -> float:
    """How much of its schedule is done, as far as is known."""
    return record.step / record.plan["steps"] if record.plan else 0.0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
