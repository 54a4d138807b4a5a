"""What a run keeps of its trials' weights, and what goes at its end. It knows neither Ray nor
torch, so that a run that was killed in its last moments is tidied without either."""

from collections.abc import Callable
from pathlib import Path

from .. import tasks
from ..results.leaderboard import leaderboard
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
from ..study import Study
from . import samplers
from .samplers import OptunaStudy

FOLDER = "weights"  # of a task: a folder of weights for each trial that may win


def weights_folder(folder: Path, record: Record) -> Path:
    """Return where a trial's weights are kept. Raises InputError where a link would lead away."""
    return inside(folder, tasks.get(record.task).slug, FOLDER, record.id)


def kept(folder: Path, records: Records, task: str) -> list[Record]:
    """Return the ended trials of a task whose weights are kept."""
    return [r for r in records.of(task) if r.is_over and weights_folder(folder, r).is_dir()]


def run_of(folder: Path) -> str:
    """Return the id of a run: what it made bears it, and nothing else is ever removed."""
    return owner(folder) or mark(folder)


def untidy(folder: Path, study: Study) -> bool:
    """Return whether weights of trials are left, as after a kill between the last trial and the
    run's end."""
    slugs = [tasks.get(name).slug for name in study.tasks]
    return any(kind_of(inside(folder, slug, FOLDER)) is not None for slug in slugs)


def remove_unneeded_weights(
    folder: Path,
    study: Study,
    records: Records,
    asker: Callable[[str], OptunaStudy],
    note: Callable[[str], None],
) -> None:
    """Make the winners' weights best/, take the others away, and write Optuna's studies.

    What a run did not make stays. What cannot be written for want of room is told, and the rest is
    done: tables come after.

    Args:
        asker: gives the Optuna study of a task.
        note: called with a line for the log.
    """
    run = run_of(folder)
    for name in study.tasks:
        slug = tasks.get(name).slug
        folder_inside(folder, slug)
        leaders = leaderboard(study, records, name)
        identities = {record.id for record in kept(folder, records, name)}
        for record in leaders[0].trials if leaders else ():
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
            samplers.export(path, study.name, asker(name), records.of(name, "search"))
        except OSError as error:
            note(f"{path}: not written: {error.strerror or error}")
    checkpoints = [f"{record.id}.pt" for record in records.trials.values()]
    remove_known(inside(folder, "checkpoints"), checkpoints)
