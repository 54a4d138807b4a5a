"""What is left of the weights at the end of a run: the winners' in their places, no others.

It is apart from `kept_weights`, which decides while trials run. It needs neither Ray nor torch,
unless adapters are merged: a run that was killed in its last moments is tidied without them.
"""

from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from ..results.leaderboard import is_complete, leaderboard, weights_order
from ..results.model_card import trial_of
from ..run_folder import Records
from ..run_folder.checkpoint_folder import CheckpointFolder
from ..run_folder.opening import SEEDS
from ..run_folder.outcomes import has_model
from ..storage import (
    clear_place,
    file_inside,
    folder_inside,
    inside,
    kind_of,
    move,
    owner,
    remove_known,
    remove_owned,
    remove_unfinished,
)
from ..study import Study, TaskStudy
from .copied_files import CONFIG
from .kept_weights import (
    FOLDER,
    complete_sets,
    find_weights,
    folders_in,
    is_adapter_folder,
    run_of,
    task_places,
    weights_folder,
)
from .samplers import OptunaStudy


def has_leftover_weights(folder: Path, study: Study) -> bool:
    """Return whether weights of trials are left in a run folder.

    They are if the run was killed between its last trial and its end.
    """
    return any(kind_of(inside(folder, *task_places(task))) is not None for task in study.tasks)


def remove_unneeded_weights(
    folder: Path,
    study: Study,
    records: Records,
    optuna_study: Callable[[str], OptunaStudy],
    note: Callable[[str], None],
) -> None:
    """Move the winners' weights to best/, remove the others, and write Optuna's studies.

    With `search.keep_weights: confirmed` those of the winners' further seeds go to seeds/. What the
    run did not make stays. An Optuna study that cannot be written, for example on a full
    disk, is noted, and the rest is done: tables are written later.

    Args:
        folder: the run folder.
        study: the study of the run.
        records: its trials.
        optuna_study: returns the Optuna study of a task.
        note: called with a line for the log.

    Raises:
        InputError: a symbolic link leads out of the run folder.
    """
    # A task comes before the one whose winner it starts from: its adapters are merged into that.
    chained = sorted(map(study.resolve, study.tasks), key=lambda task: -len(task.chain))
    for task in chained:
        WinnerFolders(folder, task, records, note).place()
        from . import optuna_file  # imports SQLAlchemy

        path = file_inside(folder, task.row.slug, "study.db")
        try:
            trials = records.of(task.name, "search")
            optuna_file.export(path, study.name, optuna_study(task.name), trials)
        except OSError as error:
            note(f"{path}: not written: {error.strerror or error}")
    CheckpointFolder(folder).remove_all(records.trials)


def make_whole(folder: Path, path: Path, task: TaskStudy, records: Records, target: Path) -> None:
    """Merge a trial's adapters into the model that it started from.

    Args:
        folder: the run folder.
        path: of the adapters, named by the trial.
        task: the trial's task.
        records: the trials of the run.
        target: where the whole model is written; it may be `path`.

    Raises:
        InputError: the model is another one now, or cannot be read.
    """
    from ..models.saving import merge_model  # torch and transformers take seconds

    start = records.trials[path.name].start
    base = None if start is None else find_weights(folder, records.trials[start])
    merge_model(path, target, task.shared, run_of(folder), base)


class WinnerFolders:
    """The folders of a task's winner: best/, and seeds/ where the weights of all seeds are kept.

    Args:
        folder: the run folder.
        task: the task.
        records: the trials of the run.
        note: called with a line for the log.
    """

    def __init__(
        self, folder: Path, task: TaskStudy, records: Records, note: Callable[[str], None]
    ) -> None:
        self.folder, self.task, self.records, self.note = folder, task, records, note
        self.slug, self.run = task.row.slug, run_of(folder)
        folder_inside(folder, self.slug)
        leaders = leaderboard(task, records)
        self.winners = leaders[0].trials if leaders else ()

    def place(self) -> None:
        """Move the winner's weights to their places and remove all others that the run made."""
        identities = complete_sets(self.folder, self.task.name)
        available = [record for record in self.winners if record.id in identities]
        if self.winners and not available:
            self._note_missing_weights()
        kept: set[str] = set()  # adapters that could not be merged
        if self.task.study.search.keep_weights == "confirmed":
            kept = self._place_seeds({record.id for record in available})
        elif available:
            best = max(available, key=weights_order)
            if not self._place(weights_folder(self.folder, best), "best"):
                kept = {best.id}
        self._remove_other_seeds()
        parent = inside(self.folder, self.slug, FOLDER)
        for path in folders_in(parent):
            if path.name not in kept:
                remove_owned(path, self.run)
        remove_unfinished(parent, self.records.trials)
        remove_unfinished(parent.parent, {"best"})
        remove_known(parent, ())

    def _place(self, source: Path, *names: str) -> bool:
        """Move weights to their place; adapters become a whole model there.

        Args:
            source: the folder of the weights.
            names: of the place, in the task's folder.

        Returns:
            False if adapters cannot be merged, which is noted; they stay where they are.
        """
        target = inside(self.folder, self.slug, *names)
        if kind_of(target) is not None and (aside := clear_place(target, self.run)):
            self.note(f"{target}: not made by this run, kept as {aside.name}")
        if not is_adapter_folder(source):
            move(source, target)
            return True
        try:
            make_whole(self.folder, source, self.task, self.records, target)
        except InputError as error:
            problem = "; ".join(problem.text for problem in error.problems)
            self.note(f"{target}: not written, `raysearch resume` tries again: {problem}")
            return False
        return True

    def _place_seeds(self, identities: set[str]) -> set[str]:
        """Move the weights of the winner's seeds to seeds/, those of the best of them to best/.

        Those that an earlier session has placed count too.

        Args:
            identities: the winner's trials whose weights lie where the search has written them.

        Returns:
            The trials whose adapters could not be merged.
        """
        best, own = inside(self.folder, self.slug, "best"), {r.id: r for r in self.winners}
        in_best = ""
        if kind_of(best) is not None and owner(best) == self.run:
            in_best = trial_of(file_inside(self.folder, self.slug, "best", CONFIG))
        places = {path.name: path for path in folders_in(inside(self.folder, self.slug, SEEDS))}
        places |= {i: weights_folder(self.folder, own[i]) for i in own.keys() & identities}
        places |= {in_best: best} if in_best else {}
        places = {identity: path for identity, path in places.items() if identity in own}
        if not places:
            return set()
        folder_inside(self.folder, self.slug, SEEDS)
        leader = max((own[i] for i in places), key=weights_order).id
        moved = {
            identity: path
            for identity, path in places.items()
            if identity != leader and path != inside(self.folder, self.slug, SEEDS, identity)
        }
        failed = {i for i, path in moved.items() if not self._place(path, SEEDS, i)}
        if leader != in_best and not self._place(places[leader], "best"):
            failed.add(leader)
        if len(places) < (count := sum(has_model(record.status) for record in self.winners)):
            text = f"weights of {len(places)} of the winner's {count} seeds are there"
            text = f"{text} for an ensemble: the others were not kept when they were trained"
            self.note(f"{self.task.name}: {text}")
        return failed

    def _remove_other_seeds(self) -> None:
        """Remove the weights in seeds/ that are not of the winner, and the folder if empty."""
        parent, own = inside(self.folder, self.slug, SEEDS), {r.id for r in self.winners}
        for path in folders_in(parent) if self.winners else ():
            if path.name not in own:
                remove_owned(path, self.run)
        remove_unfinished(parent, self.records.trials)
        remove_known(parent, ())

    def _note_missing_weights(self) -> None:
        """Note that best/ has no weights of a winner, as of seeds that only chose it before."""
        if not is_complete(self.task, self.records):
            return
        config = file_inside(self.folder, self.slug, "best", "config.json")
        there = kind_of(config.parent) is not None
        trial = trial_of(config) if there else ""
        if there and (not trial or trial in {record.id for record in self.winners}):
            return
        kept = f"; {self.slug}/best has those of trial {trial}" if there else ""
        self.note(f"{self.task.name}: no weights of the winner were kept{kept}")
