"""The weights of trials that a run keeps, and what it removes at its end.

It is apart because it needs neither Ray nor torch: a run that was killed in its last moments is
tidied without them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from .. import tasks
from ..results.leaderboard import is_complete, leaderboard
from ..results.model_card import trial_of
from ..run_folder import Record, Records
from ..storage import (
    clear_place,
    file_inside,
    folder_inside,
    inside,
    kind_of,
    mark,
    move,
    owner,
    remove_known,
    remove_owned,
)
from ..study import Study, TaskStudy
from . import optuna_file
from .samplers import OptunaStudy

FOLDER = "weights"  # in a task's folder; it has a folder for each trial that may become the best


def weights_folder(folder: Path, record: Record) -> Path:
    """Return the folder of a trial's weights.

    Raises:
        InputError: a symbolic link leads out of the run folder.
    """
    return inside(folder, tasks.get(record.task).slug, FOLDER, record.id)


def kept_trials(folder: Path, records: Records, task: str) -> list[Record]:
    """Return the ended trials of a task whose weights are kept."""
    return [r for r in records.of(task) if r.is_over and weights_folder(folder, r).is_dir()]


def run_of(folder: Path) -> str:
    """Return the id of a run, which marks what the run has made; nothing else is removed."""
    return owner(folder) or mark(folder)


def has_leftover_weights(folder: Path, study: Study) -> bool:
    """Return whether weights of trials are left in a run folder.

    They are if the run was killed between its last trial and its end.
    """
    slugs = [tasks.get(name).slug for name in study.tasks]
    return any(kind_of(inside(folder, slug, FOLDER)) is not None for slug in slugs)


def remove_unneeded_weights(
    folder: Path,
    study: Study,
    records: Records,
    optuna_study: Callable[[str], OptunaStudy],
    note: Callable[[str], None],
) -> None:
    """Move the winners' weights to best/, remove the others, and write Optuna's studies.

    What the run did not make stays. An Optuna study that cannot be written, for example on a full
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
    run = run_of(folder)
    for name in study.tasks:
        slug = tasks.get(name).slug
        folder_inside(folder, slug)
        leaders = leaderboard(study.resolve(name), records)
        identities = {record.id for record in kept_trials(folder, records, name)}
        winners = leaders[0].trials if leaders else ()
        if winners and not identities & {record.id for record in winners}:
            _note_missing_weights(folder, study.resolve(name), records, winners, note)
        for record in winners:
            if record.id in identities:
                best = inside(folder, slug, "best")
                if kind_of(best) is not None and (aside := clear_place(best, run)):
                    note(f"{best}: not made by this run, kept as {aside.name}")
                move(weights_folder(folder, record), best)
        for record in records.of(name):
            remove_owned(weights_folder(folder, record), run)
        remove_known(inside(folder, slug, FOLDER), ())
        path = file_inside(folder, slug, "study.db")
        try:
            trials = records.of(name, "search")
            optuna_file.export(path, study.name, optuna_study(name), trials)
        except OSError as error:
            note(f"{path}: not written: {error.strerror or error}")
    checkpoints = [f"{record.id}.pt" for record in records.trials.values()]
    remove_known(inside(folder, "checkpoints"), checkpoints)


def _note_missing_weights(
    folder: Path,
    task: TaskStudy,
    records: Records,
    winners: Sequence[Record],
    note: Callable[[str], None],
) -> None:
    """Note that best/ has no weights of a winner, as of seeds that only chose it before."""
    if not is_complete(task, records):
        return
    config = file_inside(folder, task.row.slug, "best", "config.json")
    there = kind_of(config.parent) is not None
    trial = trial_of(config) if there else ""
    if there and (not trial or trial in {record.id for record in winners}):
        return
    kept = f"; {task.row.slug}/best has those of trial {trial}" if there else ""
    note(f"{task.name}: no weights of the winner were kept{kept}")
