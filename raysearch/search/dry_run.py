"""What a run would do first, without Ray, a run folder or any other file.

It is apart from `run_study`, whose checks it shares, because it begins nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from ..preflight import Lanes, disk_note
from ..preflight.resources import AUTO, count_lanes, describe_lane, total
from ..results.leaderboard import planned_trials
from ..run_folder import DraftJournal, Phase, Record, opening, read_journal, refuse_running
from ..storage.uris import is_remote
from ..study import Study, samplers
from ..workers.machine import local_resources
from .cluster_options import ClusterOptions
from .first_trials import first_trials
from .kept_weights import keeps_predictions
from .new_run import is_abandoned
from .run_start import RunStart, read_start

SHOWN = 5  # trials of a task that are shown
MOST = 500  # trials of a task that are looked for in other runs


@dataclass(frozen=True, kw_only=True)
class FirstTrials:
    """The trials with which a task would begin, or go on.

    Attributes:
        task: the task's name.
        ended: phase -> the number of its trials that have ended.
        planned: phase -> the number of its trials, with those that have ended.
        records: the first of them; a trial that was interrupted comes before new ones.
        interrupted: the number of trials that were interrupted.
        source: the task whose winner it starts from, if that is not known yet, or "".
        answers: trial id -> the run that answers it, of the trials that were looked for.
        looked_for: how many trials were looked for in other runs.
    """

    task: str
    ended: Mapping[Phase, int]
    planned: Mapping[Phase, int]
    records: tuple[Record, ...]
    interrupted: int = 0
    source: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    looked_for: int = 0


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run would do first.

    Attributes:
        start: what it is made of; nothing stands in its way.
        folder: where it would write, in words.
        disk: what the weights take there, and what is free, in words.
        lanes: on what it would train, in words.
        tasks: of each task the first trials.
        notes: on runs that are not reused.
    """

    start: RunStart
    folder: str
    disk: str
    lanes: str
    tasks: tuple[FirstTrials, ...]
    notes: tuple[str, ...] = ()


def dry_run(study: Study, **options: Any) -> DryRun:
    """Return what a run of a study would do first.

    Args:
        study: the study.
        options: those of `RunStart.of`.

    Raises:
        InputError: everything that stands in the way of the run.
    """
    start = RunStart.of(study, **options, dry=True)
    folder = f"{start.location.folder}, new"
    if is_abandoned(start.location.folder):
        folder = f"{start.location.folder}, of a run that began no trial: it is begun anew"
    if start.location.remote is not None:
        folder += f", kept at {start.location.remote.uri}"
    return _planned(start, DraftJournal(), folder)


def dry_resume(
    folder: str | Path, *, address: str | None, wait_for_nodes: float | None, **options: Any
) -> DryRun:
    """Return what a resumed run would do first.

    Args:
        folder: the run folder.
        address: of a cluster.
        wait_for_nodes: seconds.
        options: the others of `RunStart.again`.

    Raises:
        InputError: everything that stands in the way of the run.
    """
    if is_remote(str(folder)):
        text = "a dry run reads a folder, and this is a URI; a folder with a copy would do"
        raise InputError(str(folder), [Problem(location="--dry-run", text=text)])
    folder = Path(folder)
    study, facts = read_start(folder)
    refuse_running(folder)
    journal = DraftJournal()
    read_journal(folder, journal)
    opening.refuse_lost_journal(folder, study, journal, needed=True)
    cluster = ClusterOptions.of(address, wait_for_nodes)
    start = RunStart.again(
        folder, study, facts, journal, storage=folder.parent, cluster=cluster, dry=True, **options
    )
    return _planned(start, journal, f"{folder}, which is there")


def _planned(start: RunStart, journal: DraftJournal, folder: str) -> DryRun:
    """Return the first trials of a run; the journal gets them too."""
    study, answers = start.choice.study, start.answers
    unfinished = list(journal.unfinished.values())
    ended = {name: _ended(journal, name) for name in study.tasks}
    planned = {name: planned_trials(study.resolve(name), journal) for name in study.tasks}
    many = answers is not None and not samplers.facts(study.search.sampler).learns
    trials = first_trials(study, journal, MOST if many else SHOWN, start.content, start.choice)
    tasks = []
    for name, begun in trials:
        interrupted = [record for record in unfinished if record.task == name]
        records = [*interrupted, *begun]
        source = study.resolve(name).source
        found: dict[str, str] = {}
        for record in records if answers else ():
            answer = answers and answers.answer(
                record, predictions=keeps_predictions(study, record)
            )
            found |= {record.id: answer.run.name} if answer else {}
        tasks.append(
            FirstTrials(
                task=name,
                ended=ended[name],
                planned=planned[name],
                records=tuple(records[:SHOWN]),
                interrupted=len(interrupted),
                source="" if source is None or records else source.name,
                answers=found,
                looked_for=len(records) if answers else 0,
            )
        )
    return DryRun(
        start=start,
        folder=folder,
        disk=disk_note(study, start.location.folder),
        lanes=_lanes(start.lanes, start.cluster),
        tasks=tuple(tasks),
        notes=tuple(answers.notes) if answers else (),
    )


def _ended(journal: DraftJournal, task: str) -> dict[Phase, int]:
    phases: tuple[Phase, ...] = ("search", "confirm", "teach")
    return {phase: journal.ended(task, phase) for phase in phases}


def _lanes(lanes: Lanes, cluster: ClusterOptions) -> str:
    """Return the lanes of a run in words."""
    if not cluster.is_local:
        most = f"at most {lanes.count}" if lanes.count else "as many as it holds"
        each = describe_lane(lanes, lanes.needs({}))
        if lanes.gpus is None and lanes.per_gpu is None:
            each += ", and GPUs if nodes have any"
        return f"{most}, of {each}; the cluster at {cluster.address} was not looked at"
    here = local_resources()
    has = ", ".join(f"{amount:g} {name}" for name, amount in here.items() if amount)
    if lanes.per_gpu == AUTO:
        gpus = int(here["GPU"])
        return f"{count_lanes(gpus)} at first, one on each GPU, and more as memory allows ({has})"
    count = lanes.count or lanes.fit(here)
    each = describe_lane(lanes, lanes.needs(total([here])))
    return f"{count_lanes(count)} of {each}, on this machine ({has})"
