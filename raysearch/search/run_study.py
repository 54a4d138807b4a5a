"""One run from its study to its table, for the command and for Python.

It is apart from `session` because most of it needs neither torch nor a cluster.
"""

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from .. import preflight
from .. import study as studies
from ..errors import InputError
from ..preflight import Lanes
from ..results.export import write_exports
from ..results.leaderboard import is_complete
from ..results.run import Run
from ..run_folder import Journal, opening, read_journal
from ..storage import kind_of
from ..storage.uris import is_remote
from ..study import Study
from ..tracking.callback import Callback, check_callbacks
from ..tracking.callback_thread import CallbackThread
from .background_import import import_in_background
from .cluster_options import ClusterOptions
from .lengthening import write_length
from .new_run import RAY_ERROR, has_begun, remove_abandoned, remove_start, write_new_run
from .provenance import begin_session, write_facts
from .remote_sync import RemoteSync
from .run_start import RunStart, read_start


def run(
    study: Study,
    *,
    data: str | Path = "data",
    storage: str | Path = "runs",
    name: str | None = None,
    address: str | None = None,
    lanes: Lanes | int | None = None,
    wait_for_nodes: float | None = None,
    watch: Callable[..., Any] | None = None,
    reuse: str | Path | Sequence[str | Path] = (),
    sampler: Any = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Run a study: search, confirm, export.

    Args:
        study: from `raysearch.load`.
        data: the folder that holds the benchmark's folders.
        storage: where the run folder goes: a folder, or a URI that pyarrow supports (S3, GCS).
        name: of the run folder; the study's name by default.
        address: of a Ray cluster; "local" starts one on this machine; None is the one that the
            environment variable RAY_ADDRESS names, else "local".
        lanes: how many, or how many and how large.
        wait_for_nodes: seconds to wait until a cluster holds one lane; by default 600 at an
            address and none on this machine.
        watch: shows progress: (queue, lanes) -> object with note, change, refresh and close.
        reuse: run folders or URIs whose trials answer equal ones of this run; "all" for every run
            in the storage.
        sampler: in place of the study's: its name, one of Optuna's samplers, of which every task
            gets a copy, or the name of a class, package.module:Class.
        callbacks: are told of trials and their evaluations, see `raysearch.Callback`.

    Raises:
        InputError: everything that stands in the way, before anything is trained; no folder is
            left then.
        RaysearchError: Ray failed.
    """
    check_callbacks(callbacks)
    start = RunStart.of(
        study,
        data=data,
        storage=storage,
        name=name,
        address=address,
        lanes=lanes,
        wait_for_nodes=wait_for_nodes,
        reuse=reuse,
        sampler=sampler,
    )
    study, folder, remote = start.choice.study, start.location.folder, start.location.remote
    remove_abandoned(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        remote or nullcontext(),
        closing(Journal(folder)) as journal,
        CallbackThread(callbacks, folder, study, journal) as calls,
    ):
        if kind_of(folder / opening.STUDY):  # another run has begun and ended in the meantime
            raise InputError(study.name, [start.location.taken])
        run_id = write_new_run(
            folder, study, start.text, start.data, start.content, start.lanes, start.reused,
            start.survey.duplicates,
        )  # fmt: skip
        try:
            watch = calls.noting(watch)
            return calls.end(_engine(folder, start, journal, watch, remote))
        except BaseException:  # an error that only the model, the data or Ray can show, or Ctrl-C
            if not has_begun(journal) and kind_of(folder / RAY_ERROR) is None:
                remove_start(folder, run_id)
                if remote:
                    remote.withdraw()
            raise


def resume(
    folder: str | Path,
    *,
    data: str | Path | None = None,
    address: str | None = None,
    lanes: Lanes | int | None = None,
    wait_for_nodes: float | None = None,
    watch: Callable[..., Any] | None = None,
    trials: int | None = None,
    reuse: str | Path | Sequence[str | Path] | None = None,
    sampler: Any = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Finish a run that was stopped, or lengthen one.

    Args:
        folder: the run folder, or its URI.
        data: the data folder; by default the one of the run's start.
        address: see `run`.
        lanes: see `run`; by default those of the run's start.
        wait_for_nodes: see `run`.
        watch: see `run`.
        trials: the number of configurations per task, instead of the study's. The search goes on
            as if so many had been planned at first.
        reuse: see `run`; by default the runs of the run's start.
        sampler: see `run`; a sampler that was given to `run` is given here again.
        callbacks: see `run`.

    Raises:
        InputError: everything that stands in the way; and every difference between the study, the
            data, the model or raysearch now and when the trials were trained.
        RaysearchError: Ray failed.
    """
    check_callbacks(callbacks)
    cluster = ClusterOptions.of(address, wait_for_nodes)
    remote = RemoteSync(str(folder)) if is_remote(str(folder)) else None
    folder = remote.fetch() if remote else Path(folder)
    study, facts = read_start(folder)
    opening.refuse_lost_journal(folder, study, read_journal(folder), needed=True)
    with closing(Journal(folder)) as journal:  # first, as it refuses a run that still runs
        opening.refuse_lost_journal(folder, study, journal)
        start = RunStart.again(
            folder,
            study,
            facts,
            journal,
            data=data,
            storage=remote.uri if remote else folder.parent,
            cluster=cluster,
            lanes=lanes,
            trials=trials,
            reuse=reuse,
            sampler=sampler,
        )
        study = start.choice.study
        _write_changes(folder, journal, facts, start)
        with remote or nullcontext(), CallbackThread(callbacks, folder, study, journal) as calls:
            watch = calls.noting(watch)
            return calls.end(_engine(folder, start, journal, watch, remote))


def _write_changes(folder: Path, journal: Journal, facts: dict[str, Any], start: RunStart) -> None:
    """Write what a resumed run has otherwise than before.

    That is its length, the runs it reuses, and the duplicates of a run that did not record them.
    """
    study = start.choice.study
    write_length(folder, study, journal, facts)
    now = {"reuse": start.reused, "study": studies.as_mapping(study)}
    now = {name: value for name, value in now.items() if name in facts}
    now |= {"duplicates": start.survey.duplicates} if start.survey.duplicates else {}
    if any(facts.get(name) != value for name, value in now.items()):
        write_facts(folder, facts | now)


def _engine(
    folder: Path,
    start: RunStart,
    journal: Journal,
    watch: Callable[..., Any] | None,
    remote: RemoteSync | None = None,
) -> Run:
    """Run what is left of a study and export its results."""
    notes: list[str] = []
    study, cluster = start.choice.study, start.cluster
    watch, uri = (remote.noting(watch), remote.uri) if remote else (watch, None)
    if all(is_complete(study.resolve(task), journal) for task in study.tasks):
        _finish(folder, study, journal, start.content, notes.append)
        write_exports(folder, note=notes.append, report=True)
        return Run(folder=folder, study=study, records=journal, notes=tuple(notes), uri=uri)
    # Ray is imported here, as a run that is refused or over needs none. Tune takes about as long to
    # import as Ray to start.
    from .ray_cluster import connect
    from .ray_watch import watched

    importing = import_in_background(f"{__package__}.session")
    begin_session(folder)
    with watched(folder) as ray_watch, connect(cluster.address) as resources:
        here = resources if cluster.is_local else None
        if problems := preflight.lane_problems(start.lanes, here):
            raise InputError(study.name, problems)
        importing.join()
        from .session import Session

        session = Session(
            folder, start.choice, start.data, journal, start.lanes, start.content, watch, ray_watch,
            cluster.wait, start.answers,
        )  # fmt: skip
        for line in [*cluster.notes, *preflight.precision_notes(study, start.lanes, here)]:
            session.view.note(line)
        interrupted = session.run()
    if not interrupted:
        session.tidy()
    write_exports(folder, note=notes.append, report=True)
    return Run(
        folder=folder,
        study=study,
        records=read_journal(folder),
        interrupted=interrupted,
        notes=tuple(notes),
        uri=uri,
    )


def _finish(
    folder: Path,
    study: Study,
    journal: Journal,
    content: dict[str, str],
    note: Callable[[str], None],
) -> None:
    """Tidy a run that was killed after its last trial."""
    from . import winner_folders  # imports Optuna
    from .proposals import Proposals

    if winner_folders.has_leftover_weights(folder, study):
        points = Proposals(study, journal, content, 1)
        winner_folders.remove_unneeded_weights(folder, study, journal, points.optuna_study, note)
