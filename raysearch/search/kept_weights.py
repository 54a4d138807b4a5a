"""The weights of trials that a run keeps, and what it removes of them.

It is apart because it needs neither Ray nor torch: a run that was killed in its last moments is
tidied without them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import tasks
from ..results.confirmation import configuration_key
from ..results.leaderboard import (
    best_of_search,
    contenders,
    is_complete,
    starts_of,
    trial_rank,
    weights_order,
)
from ..results.model_card import trial_of
from ..run_folder import Record, Records
from ..run_folder.checkpoint_folder import CheckpointFolder
from ..run_folder.opening import SEEDS
from ..storage import (
    folder_inside,
    inside,
    is_id,
    kind_of,
    mark,
    owner,
    remove_owned,
    remove_unfinished,
)
from ..study import Study, TaskStudy
from .copied_files import CONFIG

FOLDER = "weights"  # in a task's folder; it has a folder for each trial that may become the best


class KeptWeights:
    """The weights of a run's trials on the disk: of those that may become the best, of no others.

    Without confirmation seeds that is one trial of each task, with them one of each configuration
    that is confirmed, or with `search.keep_weights: confirmed` every one. Where another task starts
    from the winner, weights that it starts from are kept too, until it is complete. All follows
    from the records of ended trials. Weights are written before the end of their trial is recorded,
    and others are removed after it: there is one folder more in between, and a process that is
    killed at any time loses none that are needed.

    Args:
        folder: the run folder.
        study: what is searched.
        records: its trials, which change as they run.

    Raises:
        InputError: a symbolic link leads out of the run folder.
    """

    def __init__(self, folder: Path, study: Study, records: Records) -> None:
        self.folder, self.study, self.records = folder, study, records
        # Task -> ids of the trials whose weights are kept. The disk is read once.
        over = {record.id for record in records.trials.values() if record.is_over}
        self._kept = {task: over & complete_sets(folder, task) for task in study.tasks}

    def may_win(self, record: Record) -> bool:
        """Return whether a trial may become its task's best, judged by the ended trials.

        Args:
            record: the trial as it is once its end is recorded.
        """
        return record.id in self._needed(record.task, record)

    def place(self, record: Record) -> Path:
        """Return where to write a trial's weights; its parent exists."""
        folder_inside(self.folder, tasks.slug_of(record.task), FOLDER)
        return weights_folder(self.folder, record)

    def add(self, record: Record) -> None:
        """Count a trial's weights as kept, after they were written; its end follows at once."""
        self._kept[record.task].add(record.id)

    def remove_losers(self, task: str) -> None:
        """Remove the weights that are not needed any more, after the end of a trial.

        Raises:
            OSError: they cannot be removed.
        """
        for name in (task.name for task in self.study.resolve(task).chain):
            kept = self._kept[name]
            for identity in kept - self._needed(name) if kept else ():
                kept.discard(identity)
                remove_owned(inside(self.folder, *task_places(name), identity), run_of(self.folder))

    def tidy(self) -> int:
        """Remove what a session has left that was killed, or that kept every trial's weights.

        That is weights that are not needed, those of trials without an end, which run again, what
        is half written or half removed, and checkpoints of ended trials.

        Returns:
            The number of folders of weights that were removed.

        Raises:
            OSError: they cannot be removed.
        """
        count = 0
        for task, kept in self._kept.items():
            parent = inside(self.folder, *task_places(task))
            remove_unfinished(parent, self.records.trials)
            kept &= self._needed(task)
            for path in folders_in(parent):
                if path.name not in kept and remove_owned(path, run_of(self.folder)):
                    count += 1
        checkpoints = CheckpointFolder(self.folder)
        for record in self.records.trials.values():
            if record.is_over:
                checkpoints.remove(record.id)
        return count

    def _needed(self, task: str, new: Record | None = None) -> set[str]:
        """Return the ids of the trials whose weights are needed, of those that are kept.

        Args:
            task: the task.
            new: a trial whose weights can be kept too, as it is once its end is recorded.
        """
        facts, starts = self.study.resolve(task), self._starts(task)
        if not self.study.confirm.seeds:
            rivals = [
                r
                for r in (best_of_search(facts, self.records), new)
                if r is not None and r.phase == "search"
            ]
            return starts | {r.id for r in sorted(rivals, key=lambda r: trial_rank(facts, r))[:1]}
        kept = [self.records.trials[identity] for identity in self._kept[task]]
        groups: dict[str, list[Record]] = {}
        for record in kept if new is None else [*kept, new]:
            if record.phase == "confirm" and record.seed in self.study.confirm.seeds:
                groups.setdefault(configuration_key(record.configuration), []).append(record)
        competing = contenders(facts, self.records, set(groups), settled=new is None)
        if self.study.search.keep_weights == "best" and not self._keeps_each_seed(facts):
            groups = {key: [max(group, key=weights_order)] for key, group in groups.items()}
        return starts | {record.id for key in groups.keys() & competing for record in groups[key]}

    def _followers(self, task: str) -> list[TaskStudy]:
        """Return the tasks that start from a task's winner and are not complete."""
        tasks_of_study = map(self.study.resolve, self.study.tasks)
        followers = [t for t in tasks_of_study if t.start is not None and t.start.task == task]
        return [follower for follower in followers if not is_complete(follower, self.records)]

    def _starts(self, task: str) -> set[str]:
        """Return the ids of a task's trials from which trials of other tasks are to start."""
        followers = self._followers(task)
        return {start.id for f in followers for start in starts_of(f, self.records)}

    def _keeps_each_seed(self, task: TaskStudy) -> bool:
        """Return whether each seed of a winner is needed, and the winner is not known yet."""
        if is_complete(task, self.records):
            return False
        return any(f.start and f.start.seed == "same" for f in self._followers(task.name))


def may_be_printed(study: Study, record: Record) -> bool:
    """Return whether a trial may have the printed scores, so that its weights may win.

    One that only chooses the winner never has them, and of a search none where seeds confirm it.
    """
    confirm = study.confirm
    return not (record.seed in confirm.choose if record.phase == "confirm" else confirm.seeds)


def keeps_predictions(study: Study, record: Record) -> bool:
    """Return whether a run keeps a trial's dev predictions."""
    keep = study.search.keep_predictions
    if record.phase == "teach" or keep == "none":
        return False
    return keep == "all" or may_be_printed(study, record)


def trial_facts(study: Study, record: Record) -> dict[str, Any]:
    """Return what a folder of weights says about its trial, see models' TrainingRecord."""
    task, confirm = study.resolve(record.task), study.confirm
    counted = record.evaluation(study.search.select, task.selection_metric)
    assert counted is not None, "weights of a trial without scores"
    return {
        "id": record.id,
        "phase": record.phase,
        "seed": record.seed,
        "score": counted.scores[task.printed_metric],
        "metric": task.printed_metric,
        "report": confirm.report,
        "seeds": list(confirm.seeds),
        "status": record.reports[-1].status,
        "hold_out": study.search.hold_out,
        # Which seed is the best is not known when the weights of all of them are written.
        **({"keep_weights": keep} if (keep := study.search.keep_weights) != "best" else {}),
    }


def weights_folder(folder: Path, record: Record) -> Path:
    """Return the folder of a trial's weights.

    Raises:
        InputError: a symbolic link leads out of the run folder.
    """
    return inside(folder, *task_places(record.task), record.id)


def find_weights(folder: Path, record: Record) -> Path | None:
    """Return the folder with a trial's weights: a kept one, or of seeds/ or best/; None if none.

    Raises:
        InputError: a symbolic link leads out of the run folder.
    """
    slug = tasks.slug_of(record.task)
    for names in ((slug, FOLDER, record.id), (slug, SEEDS, record.id), (slug, "best")):
        path = inside(folder, *names)
        if kind_of(path) == "a folder" and trial_of(inside(path, CONFIG)) == record.id:
            return path
    return None


def run_of(folder: Path) -> str:
    """Return the id of a run, which marks what the run has made; nothing else is removed."""
    return owner(folder) or mark(folder)


def is_adapter_folder(path: Path) -> bool:
    """Return whether a folder holds adapters and no whole model."""
    return kind_of(path / "adapter_config.json") is not None


def task_places(task: str) -> tuple[str, str]:
    """Return the names of the folders that lead to a task's weights, in a run folder."""
    return tasks.slug_of(task), FOLDER


def folders_in(parent: Path) -> Sequence[Path]:
    """Return the folders of trials in a task's folder of weights."""
    if kind_of(parent) != "a folder":
        return ()
    return [path for path in parent.iterdir() if is_id(path.name) and kind_of(path) == "a folder"]


def complete_sets(folder: Path, task: str) -> set[str]:
    """Return the ids of the trials whose weights are whole: config.json is copied last."""
    folders = folders_in(inside(folder, *task_places(task)))
    return {path.name for path in folders if kind_of(path / "config.json") == "a file"}
