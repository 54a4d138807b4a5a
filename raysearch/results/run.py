"""Run: a run folder in Python, with its trials, table, charts and Optuna studies.

It is apart from `search` because reading a run needs neither Ray nor torch. pandas, Optuna and
pyarrow are imported by the methods that need them.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import study as studies
from ..errors import InputError, Problem, unknown_name
from ..run_folder import Record, Records, opening
from ..storage.uris import is_remote
from ..study import Study
from .leaderboard import (
    RankedConfiguration,
    is_complete,
    lacks_start,
    leaderboard,
    planned_trials,
)
from .run_results import RunResults, results_of
from .start_notes import start_text
from .table_rows import Table

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy

    from .html_report.figures import Figures

State = Literal["complete", "running", "not finished"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run and its trials, as far as they had ended when it was read.

    `raysearch.run` and `raysearch.resume` return it at their end, `raysearch.open_run` at any time.

    Attributes:
        folder: the run folder.
        study: what was searched.
        records: the trials.
        interrupted: whether the run was stopped before its end.
        notes: what its last export has to say, such as model cards that were not written.
        uri: where the run folder is kept beside `folder`; None if nowhere.
    """

    folder: Path
    study: Study
    records: Records
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    uri: str | None = None

    @property
    def failed(self) -> list[Record]:
        """The trials that could not be run."""
        return [r for r in self.records.trials.values() if r.status == "failed"]

    @property
    def state(self) -> State:
        """Whether all trials have ended, or a process on this machine still runs them."""
        from .html_report import is_running

        if all(is_complete(self.study.resolve(name), self.records) for name in self.study.tasks):
            return "complete"
        return "running" if is_running(self.folder) else "not finished"

    @property
    def untrained(self) -> dict[str, str]:
        """The tasks that no winner's weights were there for, with the reason in words."""
        chained = map(self.study.resolve, self.study.tasks)
        lacking = [task for task in chained if lacks_start(task, self.records)]
        return {task.name: start_text(task, self.records) for task in lacking}

    def best(self, task: str) -> RankedConfiguration | None:
        """Return the best configuration of a task; None before any trial has finished."""
        return next(iter(leaderboard(self.study.resolve(task), self.records)), None)

    def trials(self, task: str | None = None) -> Any:
        """Return the trials as a pandas data frame, one row each.

        Args:
            task: one task; all by default.

        Returns:
            The columns of trials.parquet: `id`, `task`, `phase` (search, confirm or teach),
            `number`, `status`, `seed`; `hp.NAME` for each setting; `score`, by which trials are
            compared, `best.METRIC` and `last.METRIC`, fractions; `step` and `steps`; `seconds`,
            `host`, `device`, `devices`, `device_hours`; `teacher`, `attempts`, `repeats`, `began`
            and `ended` in UTC, `error`. Whole numbers and truth values that may be missing have
            pandas' types with NA.

        Raises:
            InputError: the study has no such task.
        """
        from .frames import trials_frame

        return trials_frame(self.study, self.records, self._tasks(task))

    def reports(self, task: str | None = None) -> Any:
        """Return the evaluations of the trials as a pandas data frame, one row each.

        Args:
            task: one task; all by default.

        Returns:
            `task`, and the columns of reports.parquet: `trial`, `phase`, `number`, `attempt`,
            `stage`, `step` and `steps`, `status`, `loss` (mean per example since the report
            before), `rate` (learning rate), `seconds` of the trial so far, `tokens`,
            `micro_batches`, `switched`; `loss.TERM` for each term of the loss; `at` in UTC; each
            score, such as `dev.accuracy`, a fraction.

        Raises:
            InputError: the study has no such task.
        """
        from .frames import reports_frame

        return reports_frame(self.study, self.records, self._tasks(task))

    def table(self) -> Table:
        """Return the paper's table, with intervals, verdicts and notes.

        `print` shows it as Markdown, a notebook as HTML; `table().to_frame()` is a data frame.

        Raises:
            InputError: the run folder is gone, or kept predictions are not those of its trials.
        """
        return self._results.table

    def optuna_study(self, task: str | None = None) -> "OptunaStudy":
        """Return a task's search as an Optuna study in memory, for Optuna's own tools.

        It holds what study.db holds: the ended trials of the search with their settings, values
        (the score that selects, a fraction; device hours as the second objective of a study that
        minimizes them), intermediate values at percents of the schedule, and `trial`, `status` and
        `phase` as user attributes. Trials that diverged or learned nothing have the worst value, as
        the sampler was told; stopped ones are pruned.

        Args:
            task: the task; it may be left out where the study has one.

        Raises:
            InputError: the study has no such task, or several.
        """
        from .optuna_trials import optuna_study

        return optuna_study(self.study.resolve(self._one(task)), self.records)

    def figures(self, task: str | None = None) -> "Figures":
        """Return the charts of the report of a task by their names.

        Names are seeds, languages, front, history, curves (scores at the evaluations), loss,
        parallel, importance, expected-trials and expected-hours, as far as the run has data for
        them. A notebook shows one of them, or all; `svg` of a figure is a whole SVG file as text,
        `to_frame()` its data.

        Args:
            task: the task; it may be left out where the study has one.

        Raises:
            InputError: the study has no such task, or several.
        """
        from .html_report.figures import figures
        from .html_report.task_charts import task_charts

        resolved = self.study.resolve(self._one(task))
        if not self.records.of(resolved.name):
            return figures(resolved.row.slug, [], ["No trial has begun yet."])
        charts, missing = task_charts(resolved, self.records, self._results.intervals)
        return figures(resolved.row.slug, charts, missing)

    def _repr_html_(self) -> str:
        from .html_report.elements import element, write_elements

        counts = [
            planned_trials(self.study.resolve(name), self.records) for name in self.study.tasks
        ]
        planned = sum(sum(phases.values()) for phases in counts)
        over = sum(record.is_over for record in self.records.trials.values())
        hours = f"{self.records.device_hours:.4g} device hours"
        words = f"{self.state}, {over} of {planned} trials, {hours}, {self.folder}"
        head = [element("h4", self.study.name), element("p", words)]
        return f"{write_elements(head)}\n{self.table()._repr_html_()}"

    @cached_property
    def _results(self) -> RunResults:
        return results_of(self.folder, self.study, self.records)

    def _tasks(self, task: str | None) -> list[str]:
        """Return the names of all tasks, or of one.

        Raises:
            InputError: the study has no such task.
        """
        names = list(self.study.tasks)
        if task is None:
            return names
        if task not in names:
            text = unknown_name("task", task, names)
            raise InputError(str(self.folder), [Problem(location="task", text=text)])
        return [task]

    def _one(self, task: str | None) -> str:
        """Return the name of a task.

        Raises:
            InputError: see `_tasks`; or none is named, and the study has several.
        """
        names = self._tasks(task)
        if len(names) > 1:
            text = f"the study has {len(names)} tasks, one of them is needed: {', '.join(names)}"
            raise InputError(str(self.folder), [Problem(location="task", text=text)])
        return names[0]


def open_run(folder: str | Path) -> Run:
    """Return the run of a folder, which may have ended or go on; nothing in it is changed.

    It is read once: to see what has ended since, open it again.

    Args:
        folder: the run folder, or its URI; of that a local copy is read.

    Raises:
        InputError: it is no run folder, its files are damaged or do not belong together, or the URI
            cannot be reached.
    """
    uri = None
    if is_remote(str(folder)):
        from ..run_folder.remote_files import local_copy  # imports pyarrow

        uri, folder = str(folder), local_copy(folder)
    folder = Path(folder)
    study = read_study(folder)
    run = Run(folder=folder, study=study, records=opening.read_records(folder, study), uri=uri)
    return replace(run, interrupted=run.state == "not finished")


def read_study(folder: Path) -> Study:
    """Return the study of a run folder.

    Raises:
        InputError: it is no run folder, or its files are damaged.
    """
    opening.refuse_other_folders(folder, opening.STUDY)
    return studies.load(opening.study_file(folder))
