"""The weights of trials that a run keeps, and what it removes of them.

It is apart because it needs neither Ray nor torch: a run that was killed in its last moments is
tidied without them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import tasks
from ..results.confirmation import configuration_key
from ..results.leaderboard import (
    contenders,
    counted_score,
    is_complete,
    leaderboard,
    trial_rank,
)
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
    is_id,
    kind_of,
    mark,
    move,
    owner,
    remove_known,
    remove_owned,
    remove_unfinished,
)
from ..study import Study, TaskStudy
from .copied_files import CONFIG
from .samplers import OptunaStudy

FOLDER = "weights"  # in a task's folder; it has a folder for each trial that may become the best


class KeptWeights:
    """The weights of a run's trials on the disk: of those that may become the best, of no others.

    Without confirmation seeds that is one trial of each task, with them one of each configuration
    that is confirmed, or with `search.keep_weights: confirmed` every one. All follows from the
    records of ended trials. Weights are written before the end of their trial is recorded, and
    others are removed after it: there is one folder more in between, and a process that is killed
    at any time loses none that are needed.

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
        self._kept = {task: over & _complete_sets(folder, task) for task in study.tasks}

    def may_win(self, record: Record) -> bool:
        """Return whether a trial may become its task's best, judged by the ended trials.

        Args:
            record: the trial as it is once its end is recorded.
        """
        return record.id in self._needed(record.task, record)

    def place(self, record: Record) -> Path:
        """Return where to write a trial's weights; its parent exists."""
        folder_inside(self.folder, tasks.get(record.task).slug, FOLDER)
        return weights_folder(self.folder, record)

    def has(self, record: Record) -> bool:
        """Return whether a trial's weights are here: kept, or the winner's of an earlier end."""
        slug = tasks.get(record.task).slug
        places = ((slug, "best"), (slug, SEEDS, record.id))
        left = (trial_of(inside(self.folder, *names, "config.json")) for names in places)
        return record.id in self._kept[record.task] or record.id in left

    def add(self, record: Record) -> None:
        """Count a trial's weights as kept, after they were written; its end follows at once."""
        self._kept[record.task].add(record.id)

    def remove_losers(self, task: str) -> None:
        """Remove the weights that are not needed any more, after the end of a trial.

        Raises:
            OSError: they cannot be removed.
        """
        kept = self._kept[task]
        if not kept:
            return
        for identity in kept - self._needed(task):
            kept.discard(identity)
            remove_owned(inside(self.folder, *_names(task), identity), run_of(self.folder))

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
            parent = inside(self.folder, *_names(task))
            remove_unfinished(parent, self.records.trials)
            kept &= self._needed(task)
            for path in _folders(parent):
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
        facts = self.study.resolve(task)
        if not self.study.confirm.seeds:
            rivals = [r for r in (self._leader(task), new) if r is not None and r.phase == "search"]
            return {min(rivals, key=lambda r: trial_rank(facts, r)).id} if rivals else set()
        kept = [self.records.trials[identity] for identity in self._kept[task]]
        groups: dict[str, list[Record]] = {}
        for record in kept if new is None else [*kept, new]:
            if record.phase == "confirm" and record.seed in self.study.confirm.seeds:
                groups.setdefault(configuration_key(record.configuration), []).append(record)
        competing = contenders(facts, self.records, set(groups), settled=new is None)
        if self.study.search.keep_weights == "best":
            groups = {key: [max(group, key=partial(_rank, facts))] for key, group in groups.items()}
        return {record.id for key in groups.keys() & competing for record in groups[key]}

    def _leader(self, task: str) -> Record | None:
        """Return the best trial of a task's search, by `trial_rank`."""
        facts, ranked = self.study.resolve(task), self.records.ranked(task)
        if learned := next((r for r in ranked if r.status != "degenerate"), None):
            return learned
        return min(ranked, key=lambda record: trial_rank(facts, record), default=None)


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
    return inside(folder, *_names(record.task), record.id)


def run_of(folder: Path) -> str:
    """Return the id of a run, which marks what the run has made; nothing else is removed."""
    return owner(folder) or mark(folder)


def has_leftover_weights(folder: Path, study: Study) -> bool:
    """Return whether weights of trials are left in a run folder.

    They are if the run was killed between its last trial and its end.
    """
    return any(kind_of(inside(folder, *_names(task))) is not None for task in study.tasks)


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
        slug = tasks.get(name).slug
        folder_inside(folder, slug)
        leaders = leaderboard(study.resolve(name), records)
        identities = _complete_sets(folder, name)
        winners = leaders[0].trials if leaders else ()
        if winners and not identities & {record.id for record in winners}:
            _note_missing_weights(folder, study.resolve(name), records, winners, note)
        if study.search.keep_weights == "confirmed":
            _place_seeds(folder, study.resolve(name), winners, identities, note)
        else:
            for record in winners:
                if record.id in identities:
                    _place_best(weights_folder(folder, record), folder, slug, note)
        _remove_other_seeds(folder, slug, winners, records)
        parent = inside(folder, slug, FOLDER)
        for path in _folders(parent):
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


def _place_best(source: Path, folder: Path, slug: str, note: Callable[[str], None]) -> None:
    """Move a folder of weights to a task's best/."""
    best = inside(folder, slug, "best")
    if kind_of(best) is not None and (aside := clear_place(best, run_of(folder))):
        note(f"{best}: not made by this run, kept as {aside.name}")
    move(source, best)


def _place_seeds(
    folder: Path,
    task: TaskStudy,
    winners: Sequence[Record],
    identities: set[str],
    note: Callable[[str], None],
) -> None:
    """Move the weights of the winner's seeds to seeds/, those of the best of them to best/.

    Those that an earlier session has placed count too.

    Args:
        folder: the run folder.
        task: the task.
        winners: the winner's trials that count.
        identities: the trials whose weights lie where the search has written them.
        note: called with a line for the log.
    """
    slug, run = task.row.slug, run_of(folder)
    best, own = inside(folder, slug, "best"), {record.id: record for record in winners}
    in_best = ""
    if kind_of(best) is not None and owner(best) == run:
        in_best = trial_of(file_inside(folder, slug, "best", CONFIG))
    places = {path.name: path for path in _folders(inside(folder, slug, SEEDS))}
    places |= {i: weights_folder(folder, own[i]) for i in own.keys() & identities}
    places |= {in_best: best} if in_best else {}
    places = {identity: path for identity, path in places.items() if identity in own}
    if not places:
        return
    folder_inside(folder, slug, SEEDS)
    leader = max((own[identity] for identity in places), key=partial(_rank, task)).id
    for identity, path in places.items():
        target = inside(folder, slug, SEEDS, identity)
        if identity != leader and path != target:
            if kind_of(target) is not None and (aside := clear_place(target, run)):
                note(f"{target}: not made by this run, kept as {aside.name}")
            move(path, target)
    if leader != in_best:
        _place_best(places[leader], folder, slug, note)
    if len(places) < (count := sum(has_model(record.status) for record in winners)):
        text = f"weights of {len(places)} of the winner's {count} seeds are there for an ensemble"
        note(f"{task.name}: {text}: the others were not kept when they were trained")


def _remove_other_seeds(
    folder: Path, slug: str, winners: Sequence[Record], records: Records
) -> None:
    """Remove the weights in seeds/ that are not of the winner, and the folder if it is empty."""
    parent, own = inside(folder, slug, SEEDS), {record.id for record in winners}
    for path in _folders(parent) if winners else ():
        if path.name not in own:
            remove_owned(path, run_of(folder))
    remove_unfinished(parent, records.trials)
    remove_known(parent, ())


def _names(task: str) -> tuple[str, str]:
    """Return the names of the folders that lead to a task's weights, in a run folder."""
    return tasks.get(task).slug, FOLDER


def _folders(parent: Path) -> Sequence[Path]:
    """Return the folders of trials in a task's folder of weights."""
    if kind_of(parent) != "a folder":
        return ()
    return [path for path in parent.iterdir() if is_id(path.name) and kind_of(path) == "a folder"]


def _complete_sets(folder: Path, task: str) -> set[str]:
    """Return the ids of the trials whose weights are whole: config.json is copied last."""
    folders = _folders(inside(folder, *_names(task)))
    return {path.name for path in folders if kind_of(path / "config.json") == "a file"}


def _rank(task: TaskStudy, record: Record) -> tuple[float, int]:
    """Return the key by which the best trial of one configuration is the highest.

    Of equal scores the trial that began first wins, whichever ends first: a rerun keeps the same.
    """
    score = counted_score(task, record)
    assert score is not None, "weights of a trial without scores"
    return score, -record.number


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
