"""What cannot run is refused in seconds, before anything starts, every problem named."""

import hashlib
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import readers, tasks
from .errors import InputError, Problem, shortened
from .recipes import Hyper
from .study import Study
from .study.names import model_problems, scratch_shape, source

__all__ = ["Lanes", "Survey", "disk_problems", "lane_problems", "model_fingerprint",
           "model_problems", "survey", "view_fingerprint"]  # fmt: skip

SPARE = 500 * 2**20  # bytes that a run folder, logs and prepared data may take


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """What a run asks of the cluster.

    Attributes:
        count: lanes; None for as many as the cluster holds.
        workers: worker processes of a lane.
        cpus: cores of a worker.
        gpus: devices of a worker, may be a fraction; None for one where the cluster has any.
    """

    count: int | None = None
    workers: int = 1
    cpus: float = 1
    gpus: float | None = None

    def needs(self, cluster: Mapping[str, float]) -> dict[str, float]:
        """Resources of one worker on this cluster."""
        gpus = self.gpus if self.gpus is not None else float(cluster.get("GPU", 0) > 0)
        return {"CPU": self.cpus, **({"GPU": gpus} if gpus else {})}

    def fit(self, cluster: Mapping[str, float]) -> int:
        """How many lanes a cluster holds."""
        needs = self.needs(cluster)
        shares = [cluster.get(k, 0) / (v * self.workers) for k, v in needs.items() if v]
        return int(min(shares) + 1e-9)  # ten workers of 1.1 cores fit into eleven


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a study starts from, looked at.

    Attributes:
        problems: of its models' names; missing files of all tasks, and every broken row of those
            that are there.
        sizes: task -> split -> usable examples, of what trains and selects and is there.
        notes: what views are made from: languages with dictionaries or translations, and without.
    """

    problems: list[Problem]
    sizes: dict[str, dict[str, int]]
    notes: list[str] = field(default_factory=list)


def survey(study: Study, root: Path | None) -> Survey:
    """Look at the models of a study, and read all data of its tasks once if there is a folder."""
    found, sizes, notes = _named_models(study), {}, []
    for name in study.tasks if root else ():
        sizes[name], wrong = _read(study, name, root)
        lacking, seen = _views(study, tasks.get(name), root)
        found += wrong + [problem for problem in lacking if problem not in found]
        notes += [f"{name} {note}" for note in seen]
    return Survey(problems=found, sizes=sizes, notes=notes)


def _read(study: Study, name: str, root: Path) -> tuple[dict[str, int], list[Problem]]:
    """How many examples the splits of a task have, and what is wrong with them."""
    task, train, sizes = tasks.get(name), study.trainings(name), {}
    try:
        found = [replace(problem, place=name) for problem in readers.locate(task, root, train)]
        present = readers.present_splits(task, root)
    except OSError as error:
        return {}, [_unreadable(name, error)]
    for split in (*train, *task.dev):
        if split.name in present:
            spare = study.leave_out if split in train else 0
            sizes[split.name], wrong = _size(task, split, root, spare)
            found += wrong
    return sizes, found


def _size(
    task: tasks.Task, split: tasks.Split, root: Path, spare: int
) -> tuple[int, list[Problem]]:
    """How many examples a split has, and what is wrong with it."""
    size = 0
    try:
        for _ in readers.read(task, split, root, spare=spare):
            size += 1
    except InputError as error:
        return size, _lines(task, error)
    return size, []


def _views(study: Study, task: tasks.Task, root: Path) -> tuple[list[Problem], list[str]]:
    """What is wrong with what a task's views are made from and with the folder of its teacher; the
    languages that there are."""
    hyper, spare = study.hyper(task.name, {}), study.leave_out
    needs, found = hyper.needs(), _teacher_problems(_teacher(hyper))
    if not needs:
        return found, []
    from .views import sources

    if "subwords" in needs:
        found += _tokenizer_problems(study.model_of(task.name))
    try:
        there = sources.find(task, root, needs, spare)
        for error in sources.broken(task, root, there, spare):
            found += _lines(task, error)
    except OSError as error:
        return [*found, _unreadable(task.name, error)], []
    return [*found, *there.missing], list(there.notes)


def _teacher(hyper: Hyper) -> str | None:
    """The folder of the model that teaches, where one is named."""
    named = getattr(hyper, "teacher", None)
    return named and source(named)


def _teacher_problems(teacher: str | None) -> list[Problem]:
    if teacher is None:
        return []
    if Path(teacher).is_dir():
        return [replace(problem, place="teacher") for problem in model_problems(teacher)]
    text = f"no folder '{shortened(teacher)}'; a fine-tuned transformers folder or a run would do"
    return [Problem(place="teacher", text=text)]


def _tokenizer_problems(model: str) -> list[Problem]:
    """Whether a model's words can be divided anew, as far as its files tell before it is read."""
    from .views import unigram

    kind = "no Unigram model" if scratch_shape(model) else unigram.kind(model)
    if kind in (None, unigram.KIND):
        return []
    problem = unigram.refusal(kind)
    return [replace(problem, text=f"of '{model}' {problem.text}")]


def _lines(task: tasks.Task, error: InputError) -> list[Problem]:
    """The problems of a file, in the order of its lines."""
    begin = f"{task.name} {Path(error.source).name}"
    return [replace(p, place=f"{begin} {p.place}") for p in sorted(error.problems, key=_line)]


def _unreadable(name: str, error: OSError) -> Problem:
    text = f"cannot be read: {error.strerror}: {shortened(str(error.filename))}"
    return Problem(place=name, text=text)


def _line(problem: Problem) -> float:
    """Where a problem of a file stands; readers tell of a block's bytes before its fields."""
    found = re.match(r"line (\d+)", problem.place)
    return int(found[1]) if found else math.inf


def _named_models(study: Study) -> list[Problem]:
    """What is wrong with the models that a study and its tasks name, told where they are named."""
    places: dict[str, str] = {}
    for name in study.tasks or ("",):
        own = name in study.per_task and study.per_task[name].model
        places.setdefault(study.model_of(name), f"per_task.{name}.model" if own else "model")
    found = [(place, model_problems(model)) for model, place in places.items()]
    return [replace(problem, place=place) for place, problems in found for problem in problems]


def hub_problems(model: str) -> list[Problem]:
    """Whether a hub name can be read: from the cache, or from the hub, which is asked once."""
    if Path(model).is_dir() or scratch_shape(model) or model_problems(model):
        return []
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(model, "config.json"), str):
            HfApi().model_info(model, timeout=10)
    except Exception as error:  # whatever the network or the hub may answer
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        text = f"no folder '{model}', and as a hub name it cannot be read: {reason}"
        return [Problem(place="model", text=text)]
    return []


def disk_problems(folder: Path, model: str, weights: int) -> list[Problem]:
    """Whether the disk has room for a folder that keeps so many sets of a model's weights."""
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    if not parent.is_dir():
        return [Problem(place="storage", text=f"'{parent}' is no folder; another one would do")]
    if not os.access(parent, os.W_OK | os.X_OK):
        return [Problem(place="storage", text=f"'{parent}' cannot be written; another would do")]
    size = sum(f.stat().st_size for f in _model_files(model))
    need, free = SPARE + weights * size, shutil.disk_usage(parent).free
    if free >= need:
        return []
    text = f"{free / 2**30:.1f} GiB free at {parent}, the run needs {need / 2**30:.1f} GiB"
    return [Problem(place="storage", text=text)]


def lane_problems(lanes: Lanes, cluster: Mapping[str, float]) -> list[Problem]:
    """Whether the cluster holds one lane, and as many as were asked for."""
    needs, holds = lanes.needs(cluster), lanes.fit(cluster)
    lane = ", ".join(f"{v * lanes.workers:g} {k}" for k, v in needs.items())
    have = ", ".join(f"{cluster.get(k, 0):g} {k}" for k in needs)
    if holds < 1:
        text = f"a lane needs {lane}, the cluster has {have}; fewer --workers-per-lane would do"
        return [Problem(place="lanes", text=text)]
    if lanes.count is not None and lanes.count > holds:
        text = f"{lanes.count} lanes of {lane} asked for, the cluster has {have}: at most {holds}"
        return [Problem(place="lanes", text=text)]
    return []


def model_fingerprint(model: str) -> str:
    """Identity of a model before it is read: its files' contents, or its name on a hub."""
    digest = hashlib.sha256(b"" if Path(model).is_dir() else model.encode())
    for path in _model_files(model):
        with path.open("rb") as file:
            digest.update(path.name.encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def view_fingerprint(task: tasks.Task, data: Path, hyper: Hyper) -> str:
    """Identity of the dictionaries, translations and teacher that trials of a task need besides its
    own data; empty where they need none."""
    from .views import sources

    teacher = _teacher(hyper)
    parts = [sources.fingerprint(task, data, hyper.needs()), teacher and model_fingerprint(teacher)]
    return "-".join(filter(None, parts))


def _model_files(model: str) -> list[Path]:
    folder = Path(model)
    kinds = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model")
    return sorted(f for kind in kinds for f in folder.glob(kind)) if folder.is_dir() else []
