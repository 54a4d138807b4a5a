"""What is left of the weights at the end of a run: the winners' in their places, no others.

It is apart from `kept_weights`, which decides while trials run. It needs neither Ray nor torch,
unless adapters are merged: a run that was killed in its last moments is tidied without them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .. import tasks
from ..errors import InputError
from ..results.leaderboard import is_complete, leaderboard, weights_rank
from ..results.model_card import trial_of
from ..run_folder import Record, Records
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
    run = run_of(folder)
    for name in study.tasks:
        slug = tasks.slug_of(name)
        folder_inside(folder, slug)
        leaders = leaderboard(study.resolve(name), records)
        identities = complete_sets(folder, name)
        winners = leaders[0].trials if leaders else ()
        kept: set[str] = set()  # adapters that could not be merged
        if winners and not identities & {record.id for record in winners}:
            _note_missing_weights(folder, study.resolve(name), records, winners, note)
        available = [record for record in winners if record.id in identities]
        if study.search.keep_weights == "confirmed":
            kept = _place_seeds(folder, study.resolve(name), winners, identities, note)
        elif available:
            best = max(available, key=partial(weights_rank, study.resolve(name)))
            if not _place_best(weights_folder(folder, best), folder, study.resolve(name), note):
                kept = {best.id}
        _remove_other_seeds(folder, slug, winners, records)
        parent = inside(folder, slug, FOLDER)
        for path in folders_in(parent):
            if path.name not in kept:
                remove_owned(path, run)
        remove_unfinished(parent, records.trials)
        remove_unfinished(parent.parent, {"best"})
        remove_known(parent, ())
        from . import optuna_file  # imports SQLAlchemy

        path = file_inside(folder, slug, "study.db")
        try:
            trials = records.of(name, "search")
            optuna_file.export(path, study.name, optuna_study(name), trials)
        except OSError as error:
            note(f"{path}: not written: {error.strerror or error}")
    CheckpointFolder(folder).remove_all(records.trials)


def _place_best(source: Path, folder: Path, task: TaskStudy, note: Callable[[str], None]) -> bool:
    """Move weights to a task's best/, and return whether they are there, see `_place`."""
    return _place(source, inside(folder, task.row.slug, "best"), task, run_of(folder), note)


def _place(
    source: Path, target: Path, task: TaskStudy, run: str, note: Callable[[str], None]
) -> bool:
    """Move weights to their place; adapters become a whole model there.

    Returns:
        False if adapters cannot be merged, which is noted; they stay where they are.
    """
    if kind_of(target) is not None and (aside := clear_place(target, run)):
        note(f"{target}: not made by this run, kept as {aside.name}")
    if not is_adapter_folder(source):
        move(source, target)
        return True
    from ..models.saving import merge_model  # torch and transformers take seconds

    try:
        merge_model(source, target, task.shared, run)
    except InputError as error:
        problem = "; ".join(problem.text for problem in error.problems)
        note(f"{target}: not written, `raysearch resume` tries again: {problem}")
        return False
    return True


def _place_seeds(
    folder: Path,
    task: TaskStudy,
    winners: Sequence[Record],
    identities: set[str],
    note: Callable[[str], None],
) -> set[str]:
    """Move the weights of the winner's seeds to seeds/, those of the best of them to best/.

    Those that an earlier session has placed count too.

    Args:
        folder: the run folder.
        task: the task.
        winners: the winner's trials that count.
        identities: the trials whose weights lie where the search has written them.
        note: called with a line for the log.

    Returns:
        The trials whose adapters could not be merged.
    """
    failed: set[str] = set()
    slug, run = task.row.slug, run_of(folder)
    best, own = inside(folder, slug, "best"), {record.id: record for record in winners}
    in_best = ""
    if kind_of(best) is not None and owner(best) == run:
        in_best = trial_of(file_inside(folder, slug, "best", CONFIG))
    places = {path.name: path for path in folders_in(inside(folder, slug, SEEDS))}
    places |= {i: weights_folder(folder, own[i]) for i in own.keys() & identities}
    places |= {in_best: best} if in_best else {}
    places = {identity: path for identity, path in places.items() if identity in own}
    if not places:
        return failed
    folder_inside(folder, slug, SEEDS)
    leader = max((own[identity] for identity in places), key=partial(weights_rank, task)).id
    for identity, path in places.items():
        target = inside(folder, slug, SEEDS, identity)
        if identity != leader and path != target and not _place(path, target, task, run, note):
            failed.add(identity)
    if leader != in_best and not _place_best(places[leader], folder, task, note):
        failed.add(leader)
    if len(places) < (count := sum(has_model(record.status) for record in winners)):
        text = f"weights of {len(places)} of the winner's {count} seeds are there for an ensemble"
        note(f"{task.name}: {text}: the others were not kept when they were trained")
    return failed


def _remove_other_seeds(
    folder: Path, slug: str, winners: Sequence[Record], records: Records
) -> None:
    """Remove the weights in seeds/ that are not of the winner, and the folder if it is empty."""
    parent, own = inside(folder, slug, SEEDS), {record.id for record in winners}
    for path in folders_in(parent) if winners else ():
        if path.name not in own:
            remove_owned(path, run_of(folder))
    remove_unfinished(parent, records.trials)
    remove_known(parent, ())


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
