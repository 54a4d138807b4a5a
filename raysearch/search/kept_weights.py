"""The weights of trials that a run keeps, and what it removes of them.

It is apart because it needs neither Ray nor torch: a run that was killed in its last moments is
tidied without them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .. import tasks
from ..errors import InputError
from ..results.confirmation import configuration_key
from ..results.leaderboard import (
    contenders,
    is_complete,
    leaderboard,
    starts_of,
    trial_rank,
    weights_rank,
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
        self._kept = {task: over & _complete_sets(folder, task) for task in study.tasks}

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
                remove_owned(inside(self.folder, *_names(name), identity), run_of(self.folder))

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
        facts, starts = self.study.resolve(task), self._starts(task)
        if not self.study.confirm.seeds:
            rivals = [r for r in (self._leader(task), new) if r is not None and r.phase == "search"]
            return starts | {r.id for r in sorted(rivals, key=lambda r: trial_rank(facts, r))[:1]}
        kept = [self.records.trials[identity] for identity in self._kept[task]]
        groups: dict[str, list[Record]] = {}
        for record in kept if new is None else [*kept, new]:
            if record.phase == "confirm" and record.seed in self.study.confirm.seeds:
                groups.setdefault(configuration_key(record.configuration), []).append(record)
        competing = contenders(facts, self.records, set(groups), settled=new is None)
        if self.study.search.keep_weights == "best" and not self._keeps_each_seed(facts):
            rank = partial(weights_rank, facts)
            groups = {key: [max(group, key=rank)] for key, group in groups.items()}
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

    def _leader(self, task: str) -> Record | None:
        """Return the best trial of a task's search, by `trial_rank`."""
        facts, ranked = self.study.resolve(task), self.records.ranked(task)
        if learned := next((r for r in ranked if r.status != "degenerate"), None):
            return learned
        return min(ranked, key=lambda record: trial_rank(facts, record), default=None)


def weights_folder(folder: Path, record: Record) -> Path:
    """Return the folder of a trial's weights.

    Raises:
        InputError: a symbolic link leads out of the run folder.
    """
    return inside(folder, *_names(record.task), record.id)


def find_weights(folder: Path, record: Record) -> Path | None:
    """Return the folder with a trial's weights: a kept one, or of seeds/ or best/; None if none."""
    slug = tasks.slug_of(record.task)
    best = inside(folder, slug, "best")
    for kept in (weights_folder(folder, record), inside(folder, slug, SEEDS, record.id)):
        if kind_of(inside(kept, CONFIG)) == "a file":
            return kept
    if kind_of(best) is None or trial_of(file_inside(best, CONFIG)) != record.id:
        return None
    return best


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
        slug = tasks.slug_of(name)
        folder_inside(folder, slug)
        leaders = leaderboard(study.resolve(name), records)
        identities = _complete_sets(folder, name)
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
        for path in _folders(parent):
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


def is_adapter_folder(path: Path) -> bool:
    """Return whether a folder holds adapters and no whole model."""
    return kind_of(path / "adapter_config.json") is not None


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
    places = {path.name: path for path in _folders(inside(folder, slug, SEEDS))}
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
    for path in _folders(parent) if winners else ():
        if path.name not in own:
            remove_owned(path, run_of(folder))
    remove_unfinished(parent, records.trials)
    remove_known(parent, ())


def _names(task: str) -> tuple[str, str]:
    """Return the names of the folders that lead to a task's weights, in a run folder."""
    return tasks.slug_of(task), FOLDER


def _folders(parent: Path) -> Sequence[Path]:
    """Return the folders of trials in a task's folder of weights."""
    if kind_of(parent) != "a folder":
        return ()
    return [path for path in parent.iterdir() if is_id(path.name) and kind_of(path) == "a folder"]


def _complete_sets(folder: Path, task: str) -> set[str]:
    """Return the ids of the trials whose weights are whole: config.json is copied last."""
    folders = _folders(inside(folder, *_names(task)))
    return {path.name for path in folders if kind_of(path / "config.json") == "a file"}


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
