"""Finds kept dev predictions: one trial's file, or those of a run's task; and what the run knows.

It is apart from `kept_scores` because it opens no file of predictions.
"""

from dataclasses import dataclass
from pathlib import Path

from .. import run_folder, study
from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..run_folder import Record, opening, trial_identity
from ..storage import file_inside, inside, kind_of
from ..study import Study
from ..tasks import Task
from ..tasks.example_ids import format_ids

EXTENSION = ".parquet"


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """A file of kept predictions.

    Attributes:
        path: the file.
        record: its trial in the run's journal; None if there is no run around it, or no such trial.
        searched: the study of the run; None if there is no run.
    """

    path: Path
    record: Record | None = None
    searched: Study | None = None

    @property
    def trial(self) -> str:
        """The id of the trial, by which the file is named."""
        return self.path.stem

    @property
    def hyper(self) -> Hyperparameters | None:
        """The trial's hyperparameters; None if they are unknown."""
        if self.record is None or self.searched is None:
            return None
        return self.searched.resolve(self.record.task).hyperparameters(self.record.configuration)

    @property
    def known_scores(self) -> dict[str, float]:
        """The scores that the journal has of the examples that are kept; empty if it has none.

        With `hold_out` those of the part on which trials are compared are not among them.
        """
        if self.record is None or self.searched is None:
            return {}
        scores = self.record.scores_at(self.searched.search.select)
        return {name: value for name, value in scores.items() if name.startswith("dev.")}

    @property
    def hold_out(self) -> float | None:
        """The share of each dev split that is kept, and printed; None if it is all of it."""
        return self.searched.search.hold_out if self.searched else None


def holds_kept(task: Task, path: Path) -> bool:
    """Return whether a path is of kept predictions.

    It may be a file, the folder of a task's files, the task's folder, or a run folder. A file that
    the task's benchmark takes is none, such as embeddings.parquet.
    """
    taken = {Path(split.submission or "").name for split in task.test}
    if path.is_dir():
        if is_run(path) or (path.name == task.slug and is_run(path.parent)):
            return True
        return any(file.name not in taken for file in path.glob(f"*{EXTENSION}"))
    return path.suffix == EXTENSION and path.name not in taken


def is_run(path: Path) -> bool:
    """Return whether a path is a run folder."""
    return (path / run_folder.JOURNAL_NAME).is_file()


def count_kept(run: Path, task: Task) -> int:
    """Return how many trials of a task have kept predictions in a run folder."""
    folder = inside(run, task.slug, opening.PREDICTIONS)
    return len([*folder.glob(f"*{EXTENSION}")]) if folder.is_dir() else 0


def find_kept(task: Task, path: Path) -> tuple[list[KeptFile], list[str]]:
    """Return the files of kept predictions of a task, in the order of their trials, and notes.

    Args:
        task: the task.
        path: see `holds_kept`.

    Raises:
        InputError: there are none; or the run is damaged, or is of other tasks.
    """
    folder = path if path.is_dir() else path.parent
    if is_run(path):
        folder = inside(path, task.slug, opening.PREDICTIONS)
        if not folder.is_dir():
            raise _no_files(task, path)
    elif path.is_dir() and path.name == task.slug and is_run(path.parent):  # the task's folder
        if not (path / opening.PREDICTIONS).is_dir():
            raise _no_files(task, path.parent)
        return find_kept(task, path / opening.PREDICTIONS)
    run = folder.parent.parent
    if folder.name != opening.PREDICTIONS or not is_run(run):
        paths = sorted(folder.glob(f"*{EXTENSION}")) if path.is_dir() else [path]
        return [KeptFile(path=file) for file in paths], []
    searched, records = study.load(opening.study_file(run)), run_folder.read_journal(run)
    opening.refuse_misfits(run, searched, records)
    if folder.parent.name != task.slug:
        text = f"'{folder}' is of another task than {task.name}"
        raise InputError(f"score {task.name}", [Problem(location="--predictions", text=text)])
    notes = [*records.notes, *trial_identity.check_identity(run, searched, records)]
    trials = {record.id: record for record in records.of(task.name)}
    if not path.is_dir():
        return [KeptFile(path=path, record=trials.get(path.stem), searched=searched)], notes
    files = [
        KeptFile(
            path=file_inside(run, task.slug, opening.PREDICTIONS, f"{name}{EXTENSION}"),
            record=record,
            searched=searched,
        )
        for name, record in trials.items()
        if kind_of(folder / f"{name}{EXTENSION}") is not None
    ]  # fmt: skip
    if not files:
        raise _no_files(task, run)
    return files, [*notes, *_folder_notes(folder, trials)]


def _folder_notes(folder: Path, trials: dict[str, Record]) -> list[str]:
    """Return notes on files of no trial, and on trials that have scores and no file."""
    names = {path.stem for path in folder.glob(f"*{EXTENSION}")}
    alien = sorted(names - {*trials})
    without = [i for i, r in trials.items() if r.is_over and r.best and i not in names]
    notes = []
    if alien:
        notes.append(f"files of no trial in the journal, not scored: {format_ids(alien)}")
    if without:
        text = f"{len(without)} of {len(trials)} trials have scores and no kept predictions"
        notes.append(f"{text}; `search: {{keep_predictions: all}}` keeps those of all that finish")
    return notes


def _no_files(task: Task, run: Path) -> InputError:
    text = f"no kept predictions of {task.name} in '{run}'"
    text += "; runs before 0.2.0 keep none, and `search.keep_predictions` says whose are kept"
    return InputError(f"score {task.name}", [Problem(location="--predictions", text=text)])
