"""One run from its study to its table, for the command and for Python.

It is apart from `session` because most of it needs neither torch nor a cluster.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import preflight
from .. import study as studies
from ..errors import InputError, Problem
from ..preflight import Lanes
from ..recipes import RECIPES
from ..results.export import write_exports
from ..results.leaderboard import is_complete
from ..results.run import Run
from ..run_folder import Journal, opening, read_journal
from ..run_folder.remote_files import fetch_models
from ..storage import file_inside, kind_of
from ..storage.uris import cache_folder, is_remote, join
from ..study import Study
from ..study.model_names import scratch_shape
from ..tracking.callback import Callback, check_callbacks
from ..tracking.callback_thread import CallbackThread
from .background_import import import_in_background
from .lengthening import trials_problems, with_trials, write_length
from .new_run import (
    RAY_ERROR,
    RunLocation,
    has_begun,
    location_problems,
    remove_abandoned,
    remove_start,
    write_new_run,
)
from .provenance import begin_session, write_facts
from .ray_cluster import ClusterOptions, connect, local_resources
from .ray_watch import watched
from .remote_sync import RemoteSync
from .reuse import OtherRuns, Reuse
from .run_changes import changes_since
from .sampler_choice import SamplerChoice
from .teacher_store import TeacherStore


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
    data, lanes = Path(data), Lanes.coerce(lanes) or Lanes()
    cluster = ClusterOptions.of(address, wait_for_nodes)
    fetch_models(study)
    study, _ = preflight.with_labels(study, data)  # its problems are found again below
    choice, others = SamplerChoice.of(study, sampler), OtherRuns(reuse, storage)
    study, name = choice.study, study.name if name is None else name
    location = _locate(choice, storage, name, data, lanes, cluster, others.problems)
    folder, remote = location.folder, location.remote
    study_text, content = studies.checked_dump(study), _content(study, data)
    trials = others.answering(study, content)
    remove_abandoned(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        remote or nullcontext(),
        closing(Journal(folder)) as journal,
        CallbackThread(callbacks, folder, study, journal) as calls,
    ):
        if kind_of(folder / opening.STUDY):  # another run has begun and ended in the meantime
            raise InputError(study.name, [location.taken])
        run_id = write_new_run(folder, study, study_text, data, content, lanes, others.names)
        try:
            watch = calls.noting(watch)
            return calls.end(
                _engine(
                    folder, choice, data, journal, content, cluster, lanes, watch, remote, trials
                )
            )
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
    fetch_models(study)
    choice = SamplerChoice.of(study, sampler)
    study = choice.study
    opening.refuse_lost_journal(folder, study, read_journal(folder), needed=True)
    with closing(Journal(folder)) as journal:  # first, as it refuses a run that still runs
        opening.refuse_lost_journal(folder, study, journal)
        data = Path(data or facts["data"])
        lanes = Lanes.coerce(lanes) or Lanes(**facts["lanes"])
        named, storage = facts["reuse"] if reuse is None else reuse, folder.parent
        others = OtherRuns(named, remote.uri if remote else storage, folder)
        problems = _problems(choice, data, folder, lanes, cluster)
        problems += others.problems if reuse is not None else []  # a run of the start may be gone
        problems += [] if trials is None else trials_problems(study, journal, trials)
        content = {} if problems else _content(study, data)
        problems += changes_since(folder, study, journal, facts, content)
        if problems:
            raise InputError(str(folder), problems)
        _refuse_misfits(folder, study, journal)
        answers = others.answering(study, content, needed=reuse is not None)
        study = study if trials is None else with_trials(study, trials)
        choice = replace(choice, study=study)
        _write_changes(folder, study, journal, facts, others.names)
        with remote or nullcontext(), CallbackThread(callbacks, folder, study, journal) as calls:
            watch = calls.noting(watch)
            return calls.end(
                _engine(
                    folder, choice, data, journal, content, cluster, lanes, watch, remote, answers
                )
            )


def _refuse_misfits(folder: Path, study: Study, journal: Journal) -> None:
    """Refuse trials that do not fit the study, and chains whose weights are lost."""
    from .chain_starts import lost_starts  # imports Optuna

    opening.refuse_misfits(folder, study, journal, resumed=True)
    if problems := lost_starts(folder, study, journal):
        raise InputError(str(folder), problems)


def _write_changes(
    folder: Path, study: Study, journal: Journal, facts: dict[str, Any], reused: Sequence[str]
) -> None:
    """Write what a resumed run has otherwise than before: its length, and the runs it reuses."""
    write_length(folder, study, journal, facts)
    now = {"reuse": reused, "study": studies.as_mapping(study)}
    if any(facts.get(name, value) != value for name, value in now.items()):
        write_facts(folder, facts | {n: v for n, v in now.items() if n in facts})


def read_start(folder: Path) -> tuple[Study, dict[str, Any]]:
    """Return the study and the provenance of a run folder.

    Raises:
        InputError: it is not a run folder, or its files are damaged.
    """
    names = (opening.STUDY, opening.PROVENANCE)
    missing = [name for name in names if kind_of(file_inside(folder, name)) is None]
    if missing:
        text = f"no {' and no '.join(missing)} here: not a run folder"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])
    facts = opening.read_provenance(folder)
    return studies.load(opening.study_file(folder)), facts


def _locate(
    choice: SamplerChoice,
    storage: str | Path,
    name: str,
    data: Path,
    lanes: Lanes,
    cluster: ClusterOptions,
    further: list[Problem],
) -> RunLocation:
    """Return where a new run goes; what is wrong is reported together with further problems.

    Raises:
        InputError: everything that stands in the way of the run.
    """
    if problems := location_problems(str(storage), name):
        run_problems = _problems(choice, data, None, lanes, cluster)
        raise InputError(choice.study.name, [*problems, *run_problems, *further])
    location = RunLocation.of(join(str(storage), name))
    run_problems = _problems(choice, data, location.folder, lanes, cluster)
    if problems := [*location.problems(), *run_problems, *further]:
        raise InputError(choice.study.name, problems)
    return location


def _problems(
    choice: SamplerChoice, data: Path, folder: Path | None, lanes: Lanes, cluster: ClusterOptions
) -> list[Problem]:
    """Return every problem that can be found without Ray and without reading weights.

    Args:
        choice: the study, and the sampler that was given.
        data: the data folder.
        folder: the run folder; None if it is not known.
        lanes: how many, and how large.
        cluster: the resources of this machine are checked; nodes of others come and go.
    """
    study = choice.study
    by_model = {model: preflight.hub_problems(model) for model in study.models}
    problems = [problem for several in by_model.values() for problem in several]
    problems += choice.problems
    problems += preflight.survey(study, data).problems
    unread = {m for m, several in by_model.items() if several or preflight.model_problems(m)}
    problems += _suitability_problems(study, unread)
    problems = list(dict.fromkeys(problems))
    problems += _disk_problems(study, folder)
    problems += cluster.problems()
    problems += preflight.lane_problems(lanes, local_resources() if cluster.is_local else None)
    return problems


def _disk_problems(study: Study, folder: Path | None) -> Iterator[Problem]:
    """Yield the first problem of each folder that is to hold weights, and that of the cache."""
    confirm = study.confirm
    needs = [(folder, preflight.weight_folders(study), "storage")] if folder else []
    if any(study.resolve(name).teacher_configuration({}) for name in study.tasks):
        teachers = 1 + len(confirm.choose) + len(confirm.seeds)
        needs.append((TeacherStore().folder, teachers, "RAYSEARCH_CACHE"))
    for parent, weights, location in needs:
        by_model = (preflight.disk_problems(parent, m, weights, location) for m in study.models)
        yield from next(filter(None, by_model), [])
    if all(location != "RAYSEARCH_CACHE" for _, _, location in needs):
        yield from preflight.folder_problems(cache_folder(), "RAYSEARCH_CACHE")


def _suitability_problems(study: Study, unread: Collection[str] = ()) -> list[Problem]:
    """Return what the pretrained models cannot read or answer.

    Of a model from scratch the survey checks what can be wrong.

    Args:
        study: the study.
        unread: its models that have problems of their own.
    """
    models = {name: study.resolve(name).model for name in study.tasks}
    pretrained = [n for n, model in models.items() if not scratch_shape(model)]
    pretrained = [name for name in pretrained if models[name] not in unread]
    if not pretrained:
        return []
    from ..models.suitability import suitability_problems

    return suitability_problems(study, pretrained)


def _engine(
    folder: Path,
    choice: SamplerChoice,
    data: Path,
    journal: Journal,
    content: dict[str, str],
    cluster: ClusterOptions,
    lanes: Lanes,
    watch: Callable[..., Any] | None,
    remote: RemoteSync | None = None,
    reuse: Reuse | None = None,
) -> Run:
    """Run what is left of a study and export its results."""
    notes: list[str] = []
    study = choice.study
    watch, uri = (remote.noting(watch), remote.uri) if remote else (watch, None)
    # Tune takes about as long to import as Ray to start.
    importing = import_in_background(f"{__package__}.session")
    if all(is_complete(study.resolve(task), journal) for task in study.tasks):
        _finish(folder, study, journal, content, notes.append)
        write_exports(folder, note=notes.append, report=True)
        return Run(folder=folder, study=study, records=journal, notes=tuple(notes), uri=uri)
    begin_session(folder)
    with watched(folder) as ray_watch, connect(cluster.address) as resources:
        if problems := preflight.lane_problems(lanes, resources if cluster.is_local else None):
            raise InputError(study.name, problems)
        importing.join()
        from .session import Session

        session = Session(
            folder, choice, data, journal, lanes, content, watch, ray_watch, cluster.wait, reuse
        )
        for line in cluster.notes:
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


def _content(study: Study, data: Path) -> dict[str, str]:
    """Return the identities of what the trials of a study are trained with.

    Returns:
        Task -> identity of its model, of its training and dev data, and of what views are made
        from; "TASK teach" -> that of its teachers, whose views may be others.
    """
    models = {model: preflight.model_fingerprint(model) for model in study.models}
    recipe, content = RECIPES[study.recipe], {}
    for name in study.tasks:
        hyper = study.resolve(name).shared
        trained = {name: hyper}
        if configuration := recipe.teacher_configuration(hyper):
            trained[f"{name} teach"] = recipe.hyper.model_validate(configuration)
        fingerprints = preflight.data_fingerprints(study.resolve(name), data).values()
        for key, trial_hyper in trained.items():
            views = preflight.view_fingerprint(study.task(name), data, trial_hyper)
            parts = filter(None, [models[study.resolve(name).model], *fingerprints, views])
            content[key] = "-".join(parts)
    return content
