"""One run from its study to its table: the engine under the command and the Python interface."""

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import __version__, export, preflight, readers, tasks
from .. import study as studies
from ..errors import InputError, Problem
from ..journal import Journal, Record, Records, read
from ..preflight import Lanes
from ..recipes import RECIPES
from ..standing import Standing, complete, standings
from ..storage import write_atomically
from ..study import Study
from ..study.names import scratch_shape
from .cluster import cluster, local_resources
from .mirror import Mirror, is_remote
from .provenance import provenance
from .teachers import Shelf


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

    def best(self, task: str) -> Standing | None:
        """The configuration that leads a task, None before any trial has finished."""
        return next(iter(standings(self.study, self.records, task)), None)


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
        watch: shows progress: (agenda, lanes) -> object with note, change, refresh and close.

    Raises:
        InputError: everything that stands in the way, before anything is trained; no folder stays.
    """
    place, mirror = f"{storage}/{name or study.name}", None
    data, folder, lanes = Path(data), Path(place), Lanes.of(lanes) or Lanes()
    if is_remote(place):
        mirror = Mirror(place)
        folder = mirror.folder
    text = f"'{place}' is there already; go on with `raysearch resume {place}`, or --name"
    there = Problem(place="run folder", text=text)
    taken = (folder.exists() and any(folder.iterdir())) or (mirror and mirror.exists)
    problems = [there] if taken else []
    problems += _problems(study, data, folder, lanes, address)
    if problems:
        raise InputError(study.name, problems)
    content = _content(study, data)
    folder.mkdir(parents=True, exist_ok=True)
    with mirror or nullcontext(), closing(Journal(folder)) as journal:
        if (folder / "study.yaml").exists():  # another run has begun, and ended, meanwhile
            raise InputError(study.name, [there])
        write_atomically(folder / "study.yaml", studies.dump(study))
        facts = provenance(study) | {"data": str(data.resolve()), "content": content}
        facts["lanes"] = asdict(lanes)
        write_atomically(folder / "provenance.json", json.dumps(facts, indent=2))
        try:
            return _engine(folder, study, data, journal, content, address, lanes, watch)
        except InputError:  # what only reading a model or all data can tell
            if not any(record.attempts for record in journal.trials.values()):
                _clear(folder)
            raise


def resume(
    folder: str | Path,
    *,
    data: str | Path | None = None,
    address: str | None = None,
    lanes: Lanes | int | None = None,
    watch: Callable[..., Any] | None = None,
) -> Run:
    """Finish a run that was stopped, however: see `run` for the arguments."""
    mirror = Mirror(str(folder)) if is_remote(str(folder)) else None
    folder = mirror.fetch() if mirror else Path(folder)
    study, facts = opened(folder)
    data = Path(data or facts["data"])
    lanes = Lanes.of(lanes) or Lanes(**facts["lanes"])
    problems = _problems(study, data, folder, lanes, address)
    if facts["raysearch"] != __version__:
        text = f"begun by raysearch {facts['raysearch']}, this is {__version__}: not comparable"
        problems.append(Problem(place="version", text=text))
    content = {} if problems else _content(study, data)
    if not problems and content != facts["content"]:
        text = "the data or the model has changed since the run began; trials would not compare"
        problems = [Problem(place="data", text=text)]
    if problems:
        raise InputError(str(folder), problems)
    with mirror or nullcontext(), closing(Journal(folder)) as journal:
        return _engine(folder, study, data, journal, content, address, lanes, watch)


def opened(folder: Path) -> tuple[Study, dict[str, Any]]:
    """The study and the provenance of a run folder. Raises InputError where it is none."""
    missing = [n for n in ("study.yaml", "provenance.json") if not (folder / n).is_file()]
    if missing:
        text = f"no {' and no '.join(missing)} here: not a run folder"
        raise InputError(str(folder), [Problem(place="run folder", text=text)])
    try:
        facts = json.loads((folder / "provenance.json").read_text())
        wanted = {name: facts[name] for name in ("raysearch", "data", "content", "lanes")}
    except (ValueError, KeyError, TypeError) as error:
        text = f"damaged: {error!r}; without it the run cannot go on, its journal is whole"
        problem = Problem(place="provenance.json", text=text)
        raise InputError(str(folder), [problem]) from None
    return studies.load(folder / "study.yaml"), wanted


def _problems(
    study: Study, data: Path, folder: Path, lanes: Lanes, address: str | None
) -> list[Problem]:
    """Everything that can be known without Ray and without reading weights."""
    found = [problem for model in study.models for problem in preflight.hub_problems(model)]
    found += preflight.survey(study, data).problems
    found += found or _suitability_problems(study)
    room = [(folder, study.confirm.top + 1, "storage")]
    if any(RECIPES[study.recipe].teacher(study.hyper(name, {})) for name in study.tasks):
        room.append((Shelf().folder, 1 + len(study.confirm.seeds), "RAYSEARCH_CACHE"))
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
    if all(complete(study, journal, task) for task in study.tasks):
        export.write(folder)
        return Run(folder=folder, study=study, records=journal)
    with cluster(address) as resources:
        if found := preflight.lane_problems(lanes, resources):
            raise InputError(study.name, found)
        importing.join()
        from .session import Session

        session = Session(folder, study, data, journal, lanes, content, watch)
        interrupted = session.run()
    if not interrupted:
        session.tidy()
    export.write(folder)
    return Run(folder=folder, study=study, records=read(folder), interrupted=interrupted)


def _clear(folder: Path) -> None:
    """Empty a run folder, and take it away where it is one and no link."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with suppress(OSError):
        folder.rmdir()


def _content(study: Study, data: Path) -> dict[str, str]:
    """Task -> identity of its training and dev data, of the model, and of what views are made from;
    "TASK teach" -> that of its teachers, whose views may be others."""
    models = {model: preflight.model_fingerprint(model) for model in study.models}
    recipe, found = RECIPES[study.recipe], {}
    for name in study.tasks:
        task, hyper = tasks.get(name), study.hyper(name, {})
        present = readers.present_splits(task, data)
        splits = [s for s in (*study.trainings(name), *task.dev) if s.name in present]
        prints = [readers.fingerprint(task, split, data) for split in splits]
        seen = {name: hyper}
        if first := recipe.teacher(hyper):
            seen[f"{name} teach"] = recipe.hyper.model_validate(first)
        for key, one in seen.items():
            views = preflight.view_fingerprint(task, data, one)
            found[key] = "-".join(filter(None, [models[study.model_of(name)], *prints, views]))
    return found
