"""One run from its study to its table: the engine under the command and the Python interface."""

import json
import threading
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import __version__, preflight, results, tasks
from .. import study as studies
from ..data import readers
from ..errors import InputError, Problem, printable, shorten
from ..preflight import Lanes
from ..recipes import RECIPES
from ..results.leaderboard import RankedConfiguration, is_complete, leaderboard
from ..run_folder import (
    JOURNAL_NAME,
    TORN_NAME,
    Journal,
    Record,
    Records,
    opening,
    read_journal,
    trial_identity,
)
from ..storage import (
    MARKER,
    file_inside,
    kind_of,
    mark,
    name_problem,
    owner,
    remove_known,
    write_atomically,
)
from ..study import Study
from ..study.model_names import scratch_shape
from .provenance import provenance
from .ray_cluster import connect, local_resources
from .remote_sync import RemoteSync, is_remote
from .teacher_store import TeacherStore

RAY_ERROR = "ray-error.txt"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it stands.

    Attributes:
        folder: the run folder.
        study: what was searched.
        records: its trials.
        interrupted: whether it was stopped before its end.
    """

    folder: Path
    study: Study
    records: Records
    interrupted: bool = False

    @property
    def failed(self) -> list[Record]:
        """Trials that could not be run."""
        return [r for r in self.records.trials.values() if r.status == "failed"]

    def best(self, task: str) -> RankedConfiguration | None:
        """The configuration that leads a task, None before any trial has finished."""
        return next(iter(leaderboard(self.study, self.records, task)), None)


def run(
    study: Study,
    *,
    data: str | Path = "data",
    storage: str | Path = "runs",
    name: str | None = None,
    address: str | None = None,
    lanes: Lanes | int | None = None,
    watch: Callable[..., Any] | None = None,
) -> Run:
    """Run a study: search, confirm, export.

    Args:
        study: from `raysearch.load`.
        data: the folder that holds the benchmark's folders.
        storage: where the run folder goes: a folder, or a URI that pyarrow reaches (S3, GCS).
        name: of the run folder; the study's name where none is given.
        address: of a Ray cluster; None starts one on this machine.
        lanes: how many, or how many and how large.
        watch: shows progress: (queue, lanes) -> object with note, change, refresh and close.

    Raises:
        InputError: everything that stands in the way, before anything is trained; no folder stays.
    """
    data, lanes = Path(data), Lanes.from_mapping(lanes) or Lanes()
    folder, remote, there = run_place(study, storage, name, data, lanes, address)
    written, content = studies.checked_dump(study), _content(study, data)
    _clear_abandoned(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with remote or nullcontext(), closing(Journal(folder)) as journal:
        if kind_of(folder / opening.STUDY):  # another run has begun, and ended, meanwhile
            raise InputError(study.name, [there])
        made = _write_new_run(folder, study, written, data, content, lanes)
        try:
            return _engine(folder, study, data, journal, content, address, lanes, watch)
        except BaseException:  # what only a model, all data or Ray can tell; Ctrl-C
            if not _begun(journal) and kind_of(folder / RAY_ERROR) is None:
                _clear(folder, made)
                if remote:
                    remote.withdraw()
            raise


def resume(
    folder: str | Path,
    *,
    data: str | Path | None = None,
    address: str | None = None,
    lanes: Lanes | int | None = None,
    watch: Callable[..., Any] | None = None,
) -> Run:
    """Finish a run that was stopped, however: see `run` for the arguments.

    Raises:
        InputError: what stands in the way, and what of the study, the data, the model or this
            program is not what its trials were trained with.
    """
    remote = RemoteSync(str(folder)) if is_remote(str(folder)) else None
    folder = remote.fetch() if remote else Path(folder)
    study, facts = open_run(folder)
    opening.refuse_lost_journal(folder, study, read_journal(folder), needed=True)
    with closing(Journal(folder)) as journal:  # first: a run that is going on is told at once
        opening.refuse_lost_journal(folder, study, journal)
        data = Path(data or facts["data"])
        lanes = Lanes.from_mapping(lanes) or Lanes(**facts["lanes"])
        problems = _problems(study, data, folder, lanes, address)
        content = {} if problems else _content(study, data)
        problems += _changes(folder, study, journal, facts, content)
        if problems:
            raise InputError(str(folder), problems)
        opening.refuse_misfits(folder, study, journal, resumed=True)
        if facts.get("study", now := studies.as_mapping(study)) != now:
            _write_facts(folder, facts | {"study": now})
        with remote or nullcontext():
            return _engine(folder, study, data, journal, content, address, lanes, watch)


def open_run(folder: Path) -> tuple[Study, dict[str, Any]]:
    """The study and the provenance of a run folder. Raises InputError where it is none."""
    names = (opening.STUDY, opening.PROVENANCE)
    missing = [name for name in names if kind_of(file_inside(folder, name)) is None]
    if missing:
        text = f"no {' and no '.join(missing)} here: not a run folder"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])
    facts = opening.read_provenance(folder)
    return studies.load(opening.study_file(folder)), facts


def run_place(
    study: Study, storage: str | Path, name: str | None, data: Path, lanes: Lanes,
    address: str | None,
) -> tuple[Path, RemoteSync | None, Problem]:  # fmt: skip
    """Where a run goes: its folder here, the remote one, and what to say where it is taken.

    Raises:
        InputError: everything that stands in the way.
    """
    name = study.name if name is None else name
    if problems := _place_problems(str(storage), name):
        raise InputError(study.name, [*problems, *_problems(study, data, None, lanes, address)])
    place = f"{storage}/{name}"
    remote = RemoteSync(place) if is_remote(place) else None
    folder = remote.folder if remote else Path(place)
    text = f"'{place}' is there already; go on with `raysearch resume {place}`, or"
    text += " give the run another name"
    there = Problem(location="run folder", text=text)
    taken = _taken(folder) or (remote is not None and remote.exists)
    problems = [*([there] if taken else []), *_problems(study, data, folder, lanes, address)]
    if problems:
        raise InputError(study.name, problems)
    return folder, remote, there


def _place_problems(storage: str, name: str) -> list[Problem]:
    """What is wrong with where a run folder is to go."""
    problems = []
    if not storage.strip() or printable(storage) != storage:
        text = f"a folder or a URI is needed, without control characters, got {storage!r}"
        problems.append(Problem(location="storage", text=text))
    if problem := name_problem(name):
        text = f"{shorten(repr(name))} cannot name a run folder: {problem}; --name gives another"
        problems.append(Problem(location="name", text=text))
    return problems


def _write_facts(folder: Path, facts: dict[str, Any]) -> None:
    write_atomically(file_inside(folder, opening.PROVENANCE), json.dumps(facts, indent=2))


def _changes(
    folder: Path, study: Study, records: Records, facts: dict[str, Any], content: dict[str, str]
) -> list[Problem]:
    """What is not as it was when the trials of a run were trained: code, data, model and study.

    Args:
        content: of the study as it is now; empty where that is not known. Where it is the same, a
            model of another name was merely moved.
    """
    problems = []
    if facts["raysearch"] != __version__:
        text = f"begun by raysearch {facts['raysearch']}, this is {__version__}: not comparable"
        problems.append(Problem(location="version", text=text))
    before, moved = facts["content"], bool(content)
    for key, now in content.items():
        if (then := before.get(key, now)) == now:
            continue
        name, kind = key.partition(" ")[0], " of its teachers" if " " in key else ""
        (model, data), (model_now, data_now) = (c.partition("-")[::2] for c in (then, now))
        changed = [f"model '{study.model_of(name)}'"] if model != model_now else []
        moved = moved and not changed
        changed += ["data"] if data != data_now else []
        text = f"the {' and the '.join(changed)}{kind} changed since the run began"
        text += "; its trials would not compare: put back what was there, or begin another run"
        problems.append(Problem(location=name, text=text))
    try:
        origin = trial_identity.read_origin(folder, facts)
        trial_identity.refuse_others(str(folder), study, records, origin, places=not moved)
    except InputError as error:
        problems += error.problems
    return problems


def _problems(
    study: Study, data: Path, folder: Path | None, lanes: Lanes, address: str | None
) -> list[Problem]:
    """Everything that can be known without Ray and without reading weights."""
    found = [problem for model in study.models for problem in preflight.hub_problems(model)]
    found += preflight.survey(study, data).problems
    found += found or _suitability_problems(study)
    room = [(folder, study.confirm.top + 1, "storage")] if folder else []
    if any(
        RECIPES[study.recipe].teacher_configuration(study.hyperparameters(name, {}))
        for name in study.tasks
    ):
        room.append((TeacherStore().folder, 1 + len(study.confirm.seeds), "RAYSEARCH_CACHE"))
    for place, weights, named in room:
        rooms = (preflight.disk_problems(place, m, weights, named) for m in study.models)
        found += next(filter(None, rooms), [])
    if address is None:
        found += preflight.lane_problems(lanes, local_resources())
    return found


def _suitability_problems(study: Study) -> list[Problem]:
    """What the models cannot read or answer; what one from scratch cannot, its lengths, a survey
    tells."""
    named = [name for name in study.tasks if not scratch_shape(study.model_of(name))]
    if not named:
        return []
    from ..models.suitability import suitability_problems

    return suitability_problems(study, named)


def _engine(
    folder: Path,
    study: Study,
    data: Path,
    journal: Journal,
    content: dict[str, str],
    address: str | None,
    lanes: Lanes,
    watch: Callable[..., Any] | None,
) -> Run:
    importing = threading.Thread(target=import_module, args=(".session", __package__), daemon=True)
    importing.start()  # torch and Tune take as long to import as Ray to start
    if all(is_complete(study, journal, task) for task in study.tasks):
        _finish(folder, study, journal, content)
        results.write_exports(folder)
        return Run(folder=folder, study=study, records=journal)
    with connect(address) as resources:
        if found := preflight.lane_problems(lanes, resources):
            raise InputError(study.name, found)
        importing.join()
        from .session import Session

        session = Session(folder, study, data, journal, lanes, content, watch)
        interrupted = session.run()
    if not interrupted:
        session.tidy()
    results.write_exports(folder)
    return Run(folder=folder, study=study, records=read_journal(folder), interrupted=interrupted)


def _finish(folder: Path, study: Study, journal: Journal, content: dict[str, str]) -> None:
    """Do what a run that was killed after its last trial had left to do."""
    from . import kept_weights  # Optuna comes with it
    from .proposals import Proposals

    if kept_weights.untidy(folder, study):
        points = Proposals(study, journal, content, 1)
        kept_weights.remove_unneeded_weights(
            folder, study, journal, points.optuna_study, lambda text: None
        )


def _write_new_run(
    folder: Path, study: Study, written: str, data: Path, content: dict[str, str], lanes: Lanes
) -> str:  # fmt: skip
    """Write what a run folder begins with; gives the run's id."""
    made = mark(folder)
    write_atomically(file_inside(folder, opening.STUDY), written)
    facts = {"data": str(data.resolve()), "content": content, "lanes": asdict(lanes)}
    _write_facts(folder, provenance(study) | facts)
    return made


def _begun(records: Records) -> bool:
    """Whether anything was trained, or has ended."""
    return any(record.attempts or record.is_over for record in records.trials.values())


def _taken(folder: Path) -> bool:
    """Whether a folder holds anything but a run that never began a trial."""
    return folder.exists() and any(folder.iterdir()) and not _abandoned(folder)


def _abandoned(folder: Path) -> bool:
    """Whether a start was killed here: a folder that a run has marked, in which none began, or one
    that had no time for more than an empty journal."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    if names == {JOURNAL_NAME}:
        return (
            kind_of(folder / JOURNAL_NAME) == "a file"
            and not (folder / JOURNAL_NAME).stat().st_size
        )
    if owner(folder) is None or names - set(_beginning(folder)):
        return False
    with suppress(InputError):
        return not _begun(read_journal(folder))
    return False


def _clear_abandoned(folder: Path) -> None:
    """Take a killed start away. Raises InputError where its process still runs."""
    if _abandoned(folder):
        with closing(Journal(folder)):
            _clear(folder, owner(folder))


def _clear(folder: Path, run: str | None) -> None:
    """Take away what a run's start has written, and the folder where it is empty and no link."""
    if run is not None and owner(folder) == run:
        remove_known(folder, _beginning(folder))


def _beginning(folder: Path) -> list[str]:
    """Names of what a start leaves in its folder, the marker last: it allows that."""
    staged = [path.name for path in folder.glob(".*.writing")]
    return [
        *staged,
        opening.STUDY,
        opening.PROVENANCE,
        RAY_ERROR,
        JOURNAL_NAME,
        TORN_NAME,
        "checkpoints",
        MARKER,
    ]


def _content(study: Study, data: Path) -> dict[str, str]:
    """Task -> identity of its training and dev data, of the model, and of what views are made from;
    "TASK teach" -> that of its teachers, whose views may be others."""
    models = {model: preflight.model_fingerprint(model) for model in study.models}
    recipe, found = RECIPES[study.recipe], {}
    for name in study.tasks:
        task, hyper = tasks.get(name), study.hyperparameters(name, {})
        present = readers.present_splits(task, data)
        splits = [s for s in (*study.training_splits(name), *task.dev) if s.name in present]
        prints = [readers.fingerprint(task, split, data) for split in splits]
        seen = {name: hyper}
        if first := recipe.teacher_configuration(hyper):
            seen[f"{name} teach"] = recipe.hyper.model_validate(first)
        for key, one in seen.items():
            views = preflight.view_fingerprint(task, data, one)
            found[key] = "-".join(filter(None, [models[study.model_of(name)], *prints, views]))
    return found
