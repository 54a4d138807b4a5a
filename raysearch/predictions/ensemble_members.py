"""The models of an ensemble: the confirmed seeds of a run's winner, or folders that are named.

It is apart from `ensemble_prediction` because it only looks at files and folders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, Problem
from ..results.leaderboard import RankedConfiguration, leaderboard
from ..results.model_card import trial_of
from ..run_folder import Record, Records, opening, read_journal
from ..storage import file_inside, inside, kind_of
from ..study import Study, TaskStudy
from ..tasks import Task
from ..tasks import get as get_task
from .prediction_jobs import find_models, predicted_tasks

_CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of the models that predict together.

    Attributes:
        name: in messages and tables: "seed 12", or the folder.
        folder: its transformers folder.
    """

    name: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class TaskMembers:
    """The models that predict a task together.

    Attributes:
        task: the task.
        members: the models, at least two.
        leader: the winner that they are seeds of; None of folders that are named.
        notes: which seeds were taken, and whether one has learned nothing.
    """

    task: Task
    members: tuple[Member, ...]
    leader: RankedConfiguration | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What an ensemble is made of.

    Attributes:
        data: the data folder.
        tasks: the models of each task.
        run: the run folder and its study; None for folders that are named.
    """

    data: Path
    tasks: tuple[TaskMembers, ...]
    run: tuple[Path, Study] | None = None


def find_members(
    sources: Sequence[Path], data: str | Path | None, names: Sequence[str] | None, count: int
) -> Sources:
    """Return the models of an ensemble.

    Args:
        sources: a run folder, or several transformers folders.
        data: the data folder; None for that of the run.
        names: only these tasks; None for all tasks of the run.
        count: how many models predict together.

    Raises:
        InputError: with all reasons why there are not so many models.
    """
    if count < 2:
        text = f"2 or more models are an ensemble, got {count}"
        raise InputError("predict", [Problem(location="--ensemble", text=text)])
    if len(sources) > 1:
        return _named_folders(sources, data, names, count)
    root, folders, searched = find_models(sources[0], data, names)
    if searched is None:
        text = f"'{sources[0]}' is one model; several folders, or a run folder, would do"
        raise InputError("predict", [Problem(location="--ensemble", text=text)])
    records = read_journal(sources[0])
    problems: list[Problem] = []
    parts: list[TaskMembers] = []
    for name in folders if names else searched.tasks:
        try:
            members, leader, notes = _seeds(sources[0], searched.resolve(name), records, count)
        except InputError as error:
            problems += error.problems
            continue
        parts += [
            TaskMembers(task=task, members=members, leader=leader, notes=notes)
            for task in predicted_tasks(name, names)
        ]
    if problems:
        raise InputError(str(sources[0]), problems)
    return Sources(data=root, tasks=tuple(parts), run=(sources[0], searched))


def _named_folders(
    sources: Sequence[Path], data: str | Path | None, names: Sequence[str] | None, count: int
) -> Sources:
    """Return the models of folders that are named; all of them predict every task."""
    problems = []
    if count != len(sources):
        text = f"{count} models of {len(sources)} folders; all of them predict: name fewer folders"
        problems.append(Problem(location="--ensemble", text=text))
    folders = [path.resolve() for path in sources]
    if repeated := [str(path) for path in sources if folders.count(path.resolve()) > 1]:
        text = f"the same folder more than once: {', '.join(repeated)}"
        problems.append(Problem(location="--ensemble", text=text))
    for path in sources:
        if not (path / _CONFIG).is_file():
            text = f"no transformers folder (no {_CONFIG}): '{path}'; a run folder stands alone"
            problems.append(Problem(location="source", text=text))
    if problems:
        raise InputError("predict", problems)
    root, models, _ = find_models(sources[0], data, names)  # refuses if tasks or data are missing
    members = tuple(Member(name=str(path), folder=path) for path in sources)
    tasks = [task for name in models for task in predicted_tasks(name, names)]
    return Sources(
        data=root, tasks=tuple(TaskMembers(task=task, members=members) for task in tasks)
    )


def _seeds(
    run: Path, task: TaskStudy, records: Records, count: int
) -> tuple[tuple[Member, ...], RankedConfiguration, tuple[str, ...]]:
    """Return the first `count` seeds of a task's winner that have weights, and notes.

    They are taken in the study's order, not by their scores: those were seen on the dev split. One
    that has learned nothing comes last.

    Raises:
        InputError: there are fewer.
    """
    leader = next(iter(leaderboard(task, records)), None)
    if leader is None or leader.trials[0].phase != "confirm":
        text = "no configuration is confirmed yet, so there are no seeds of a winner"
        raise InputError(str(run), [Problem(location=task.name, text=text)])
    order = {seed: place for place, seed in enumerate(task.study.confirm.seeds)}
    trials = sorted(
        leader.trials, key=lambda r: (r.status == "degenerate", order.get(r.seed, len(order)))
    )
    placed = [(record, _folder_of(run, get_task(task.name), record)) for record in trials]
    there = [(record, folder) for record, folder in placed if folder is not None]
    if len(there) < count:
        seeds = ", ".join(str(record.seed) for record, _ in there)
        have = f"weights of {len(there)} of its {leader.seeds} seeds are there"
        text = f"{count} models asked for, and {have}{f' (seed {seeds})' if seeds else ''}"
        if task.study.search.keep_weights != "confirmed":
            text += "; a run whose study has `search: {keep_weights: confirmed}` keeps those of all"
        elif len(there) > 1:
            text += f"; --ensemble {len(there)} would do"
        raise InputError(str(run), [Problem(location=task.name, text=text)])
    taken = there[:count]
    notes = []
    if len(there) > count:
        seeds = ", ".join(str(record.seed) for record, _ in taken)
        notes.append(f"seeds {seeds} of {len(there)}, in the order of the study")
    if dead := [str(record.seed) for record, _ in taken if record.status == "degenerate"]:
        notes.append(f"WARNING: seed {', '.join(dead)} is degenerate: it has learned nothing")
    members = tuple(Member(name=f"seed {r.seed}", folder=folder) for r, folder in taken)
    return members, leader, tuple(notes)


def _folder_of(run: Path, task: Task, record: Record) -> Path | None:
    """Return the folder of a trial's weights in a run; None if there is none.

    Raises:
        InputError: a link is in its place, or in it.
    """
    for names in ((opening.SEEDS, record.id), ("best",)):
        folder = inside(run, task.slug, *names)
        if kind_of(folder) != "a folder" or kind_of(folder / _CONFIG) is None:
            continue
        for path in sorted(folder.iterdir()):  # a run's own weights are never links
            inside(run, task.slug, *names, path.name)
        if trial_of(file_inside(run, task.slug, *names, _CONFIG)) == record.id:
            return folder
    return None
