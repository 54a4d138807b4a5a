"""What every exporter of trials does, whatever service it writes to.

It is apart from the services because it knows a run, and they know their packages.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import MAX_NAME_LENGTH, printable
from ..results.html_report import REPORT
from ..results.leaderboard import counted_score
from ..results.paper_table import PAPER_SETTINGS, hyperparameter_values
from ..results.run import Run, open_run
from ..run_folder import Record, opening
from ..run_folder.events import ReportEvent
from ..storage import file_inside, kind_of
from .callback import Callback

MAX_ERROR = 2000  # the last characters of a failed trial's message that are exported
_FILES = (*opening.TABLES, "reproducibility.md", REPORT, opening.STUDY)


class Exporter(Callback, ABC):
    """A callback that brings each trial to a service once.

    Whatever the service has already is left as it is: an exporter may be given to a run, to its
    resumption, and to `replay` afterwards, and the service holds the same as if one had written
    all. At the end of a session it exports what an earlier one has not.
    """

    def __init__(self) -> None:
        self._key = ""  # of the run that is exported
        self._steps: dict[str, int] = {}  # trial that is not whole -> step of its last report
        self._whole: set[str] = set()

    def export(self, folder: str | Path) -> Run:
        """Export a run that has ended, or goes on, as far as it is.

        The service then holds what it would hold if the run had called this exporter, with fewer
        requests.

        Args:
            folder: the run folder, or its URI.

        Returns:
            The run.

        Raises:
            InputError: see `open_run`.
        """
        run = open_run(folder)
        self.on_run_end(run)
        return run

    @abstractmethod
    def begin_run(self, run: Run, key: str) -> None:
        """Find or begin what stands for a run; its trials follow."""

    @abstractmethod
    def begin_trial(self, run: Run, record: Record) -> int | None:
        """Find or begin what stands for a trial.

        Returns:
            The step of the last report that the service has, -1 without any; None if it has the
            whole trial.
        """

    @abstractmethod
    def log(self, record: Record, reports: Sequence[ReportEvent]) -> None:
        """Add reports of a trial, in their order."""

    @abstractmethod
    def end_trial(self, run: Run, record: Record) -> None:
        """Add the end of a trial, or mark one that has not ended as it is left."""

    @abstractmethod
    def end_run(self, run: Run) -> None:
        """Add the results of a run: its table, its files, how it ended."""

    def on_trial_start(self, run: Run, record: Record) -> None:
        """Begin the trial at the service."""
        self._export(run, record)

    def on_report(self, run: Run, record: Record, report: ReportEvent) -> None:
        """Add the report."""
        self._export(run, record)

    def on_trial_end(self, run: Run, record: Record) -> None:
        """Add the trial's result."""
        self._export(run, record)

    def on_run_end(self, run: Run) -> None:
        """Add what is missing, and the run's results."""
        for record in run.records.trials.values():
            self._export(run, record)
        self._begin(run)
        for trial in list(self._steps):
            self.end_trial(run, run.records.trials[trial])
        self.end_run(run)
        self._key, self._steps, self._whole = "", {}, set()

    def _begin(self, run: Run) -> None:
        if not self._key:
            key = run_key(run)
            self.begin_run(run, key)
            self._key = key

    def _export(self, run: Run, record: Record) -> None:
        """Bring a trial up to date at the service; one that has not begun is left out."""
        if record.id in self._whole or not (record.attempts or record.is_over):
            return
        self._begin(run)
        if record.id not in self._steps:
            step = self.begin_trial(run, record)
            if step is None:
                self._whole.add(record.id)
                return
            self._steps[record.id] = step
        if reports := [r for r in record.reports if r.step > self._steps[record.id]]:
            self.log(record, reports)
            self._steps[record.id] = reports[-1].step
        if record.is_over:
            self.end_trial(run, record)
            self._whole.add(record.id)
            del self._steps[record.id]


def run_key(run: Run) -> str:
    """Return what tells a run from all others, also in a copy of its folder: 16 hex digits."""
    began = [session.at for session in run.records.sessions[:1]]
    return hashlib.sha256(repr((run.study.name, began)).encode()).hexdigest()[:16]


def plain_name(text: str) -> str:
    """Return a name of a study or a folder as every service takes it, at most 100 characters.

    W&B refuses some marks, and MLflow's files a name with a quotation mark when they look for it.
    """
    shown = "".join(" " if mark in "/\\#?%:'\"`" else mark for mark in printable(text))
    return " ".join(shown.split())[:100] or "run"


def trial_name(record: Record) -> str:
    """Return the name of a trial for people."""
    return f"{record.task} {record.phase} {record.number} seed {record.seed}"


def settings(run: Run, record: Record) -> dict[str, Any]:
    """Return a trial's hyperparameters: the papers' four, the searched and the fixed ones."""
    task = run.study.resolve(record.task)
    values = hyperparameter_values(task, record)
    names = dict.fromkeys((*PAPER_SETTINGS, *task.space, *task.fixed, *record.configuration))
    return {name: values[name] for name in names if values.get(name) is not None}


def tags(run: Run, record: Record, key: str) -> dict[str, str]:
    """Return what a trial is, as texts by names that begin with "raysearch."."""
    facts = {
        "run": key,
        "trial": record.id,
        "task": record.task,
        "phase": record.phase,
        "number": str(record.number),
        "seed": str(record.seed),
        "status": record.status,
        "study": printable(run.study.name)[:MAX_NAME_LENGTH],
        "version": __version__,
        "teacher": record.teacher,
        "start": record.start or "",
        "reused_from": printable(record.reused_from)[:MAX_NAME_LENGTH],
        "error": printable((record.error or "")[-MAX_ERROR:], lines=True),
    }
    return {f"raysearch.{name}": text for name, text in facts.items() if text}


def report_values(report: ReportEvent) -> dict[str, float]:
    """Return the numbers of a report by the names that TensorBoard's files have, and progress."""
    values: dict[str, float | None] = {
        "progress": report.step / report.steps,
        "seconds": report.seconds,
        "train/loss": report.loss,
        "train/learning_rate": report.rate,
        "train/words_switched": report.switched,
        **{f"train/{name}": value for name, value in report.terms.items()},
        **{name.replace(".", "/", 1): score for name, score in report.scores.items()},
    }
    return {_metric_name(name): value for name, value in values.items() if value is not None}


def result_values(run: Run, record: Record) -> dict[str, float]:
    """Return the numbers of an ended trial: its score, all scores that count, its cost."""
    score = counted_score(run.study.resolve(record.task), record)
    values: dict[str, float | None] = {
        "score": score,
        **{f"best/{n.removeprefix('dev.')}": x for n, x in record.best.items()},
        **{f"last/{n.removeprefix('dev.')}": x for n, x in record.last.items()},
        "total_seconds": record.seconds,
        "device_hours": record.device_hours,
    }
    return {_metric_name(name): value for name, value in values.items() if value is not None}


def run_values(run: Run) -> dict[str, float]:
    """Return the numbers of a run: the result of each task that has one, and its cost."""
    best = {name: run.best(name) for name in run.study.tasks}
    results = {
        _metric_name(f"result/{run.study.resolve(name).row.slug}"): leader.score
        for name, leader in best.items()
        if leader is not None
    }
    return {**results, "device_hours": run.records.device_hours}


def run_settings(run: Run) -> dict[str, str]:
    """Return what a run has searched, in texts."""
    study = run.study
    facts = {
        "study": study.name,
        "tasks": ", ".join(study.tasks),
        "model": study.model,
        "recipe": study.recipe,
        "sampler": study.search.sampler,
    }
    return {name: printable(text)[:500] for name, text in facts.items()}


def result_files(run: Run) -> list[tuple[str, Path]]:
    """Return the files of a run's results that exist: the name of the task's folder or "", path."""
    names = [("", name) for name in _FILES]
    names += [(run.study.resolve(name).row.slug, "best.yaml") for name in run.study.tasks]
    paths = [
        (folder, file_inside(run.folder, *filter(None, (folder, name)))) for folder, name in names
    ]
    return [(folder, path) for folder, path in paths if kind_of(path) is not None]


def _metric_name(name: str) -> str:
    """Return the name of a number with what a service refuses replaced: a journal is foreign."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-./ ") else "_" for c in name)
    return "/".join(part for part in kept.split("/") if part.strip(".")) or "_"
