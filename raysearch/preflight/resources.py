"""Checks that a cluster has resources for the lanes of a run, and a disk space for its files."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from ..errors import Problem
from ..storage import existing_part
from ..study import Study
from .model_files import model_size

RESERVED_BYTES = 500 * 2**20  # for a run folder, logs and prepared data
AUTO: Literal["auto"] = "auto"
AUTO_LANES = 8  # the most lanes that `auto` starts on one device
MOST_PER_GPU = 48  # processes that NVIDIA's MPS serves on one device
SHARE_UNITS = 10_000  # Ray counts in such parts of a device


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """The resources that a run requests from the cluster.

    Attributes:
        count: number of lanes; None for as many as the cluster holds.
        workers: worker processes per lane.
        cpus: cores per worker.
        gpus: devices per worker, may be a fraction; None for one device if the cluster has any.
        per_gpu: lanes that share a device: a number, or AUTO for as many as measured memory and
            speed allow; None for what `gpus` says.
        mps: whether NVIDIA's MPS is started for lanes that share a device.
    """

    count: int | None = None
    workers: int = 1
    cpus: float = 1
    gpus: float | None = None
    per_gpu: int | Literal["auto"] | None = None
    mps: bool = False

    @classmethod
    def coerce(cls, lanes: Self | int | None) -> Self | None:
        """Return lanes of a number, which means that many default lanes, or as they are given."""
        return cls(count=lanes) if isinstance(lanes, int) else lanes

    def needs(self, cluster: Mapping[str, float]) -> dict[str, float]:
        """Return the resources of one worker on a cluster, by Ray's names.

        With AUTO it is the smallest part of a device that a worker may get.
        """
        gpus = self.gpus if self.gpus is not None else float(cluster.get("GPU", 0) > 0)
        if self.per_gpu is not None:
            lanes = AUTO_LANES if self.per_gpu == AUTO else self.per_gpu
            gpus = SHARE_UNITS // lanes / SHARE_UNITS  # rounded up, N of them would not fit
        return {"CPU": self.cpus, **({"GPU": gpus} if gpus else {})}

    def fit(self, *nodes: Mapping[str, float]) -> int:
        """Return the number of lanes that nodes hold; a lane's workers may lie on several.

        Args:
            nodes: the resources of each, by Ray's names.
        """
        needs = self.needs(total(nodes))
        return sum(workers_on(node, needs) for node in nodes) // self.workers


def total(nodes: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the resources of several nodes together."""
    amounts: Counter[str] = Counter()
    for node in nodes:
        amounts.update(node)
    return dict(amounts)


def workers_on(node: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """Return the number of workers that a node holds.

    A fraction of a GPU is taken from one device: two devices hold two workers of 0.6, not three.
    """
    counts = []
    for name, amount in needs.items():
        has = node.get(name, 0)
        if name == "GPU" and 0 < amount < 1:
            counts.append(int(has) * int(1 / amount + 1e-9))
        elif amount:
            counts.append(int(has / amount + 1e-9))  # ten workers of 1.1 cores fit into eleven
    return min(counts, default=0)


def disk_problems(
    folder: Path, model: str, weights: int, location: str = "storage"
) -> list[Problem]:
    """Return a problem if a folder cannot be written or its disk has too little space.

    Args:
        folder: may not exist yet.
        model: the model whose weights are stored.
        weights: the number of copies of its weights.
        location: of the folder's name, for the problem.
    """
    if problems := folder_problems(folder, location):
        return problems
    parent = existing_part(folder)
    needed, free = RESERVED_BYTES + weights * model_size(model), shutil.disk_usage(parent).free
    if free >= needed:
        return []
    text = f"{free / 2**30:.1f} GiB free at {parent}, the run needs {needed / 2**30:.1f} GiB"
    return [Problem(location=location, text=text)]


def folder_problems(folder: Path, location: str) -> list[Problem]:
    """Return a problem if a folder, which may not exist yet, cannot be written.

    Args:
        folder: is to be written.
        location: of its name, for the problem.
    """
    parent = existing_part(folder)
    text = ""
    if not parent.is_dir():
        text = f"'{parent}' is no folder; another one would do"
    elif not os.access(parent, os.W_OK | os.X_OK):
        text = f"'{parent}' cannot be written; another would do"
    return [Problem(location=location, text=text)] if text else []


def lane_problems(lanes: Lanes, cluster: Mapping[str, float] | None) -> list[Problem]:
    """Return what is wrong with lanes, or that a cluster does not hold as many as requested.

    Args:
        lanes: what is requested.
        cluster: the resources of a machine; None for a cluster whose nodes come and go.
    """
    if problems := [*_impossible(lanes), *_sharing_problems(lanes, cluster)]:
        return [Problem(location="lanes", text=text) for text in problems]
    if cluster is None:
        return []
    needs, capacity = lanes.needs(cluster), lanes.fit(cluster)
    lane = describe_lane(lanes, needs)
    available = ", ".join(f"{cluster.get(name, 0):g} {name}" for name in needs)
    text = ""
    if capacity < 1:
        text = f"a lane needs {lane}, the cluster has {available}; {hint(lanes, cluster)} would do"
    elif lanes.count is not None and lanes.count > capacity:
        text = f"{lanes.count} lanes of {lane} asked for, the cluster has {available}: "
        text += f"at most {capacity}"
    return [Problem(location="lanes", text=text)] if text else []


def precision_notes(study: Study, lanes: Lanes, cluster: Mapping[str, float] | None) -> list[str]:
    """Return a line if trials would compute in fp16 on a CPU, else nothing.

    Args:
        study: to run.
        lanes: on which it would run.
        cluster: the resources there, by Ray's names; None if they are not known, then only lanes
            that ask for no GPU are on a CPU.
    """
    if "GPU" in lanes.needs(cluster or {}) or (cluster is None and lanes.gpus is None):
        return []
    names = [name for name in study.tasks if "fp16" in _precisions(study, name)]
    if not names:
        return []
    which = "" if len(names) == len(study.tasks) else f"{', '.join(names)}: "
    text = (
        "precision fp16 without a GPU: most CPUs have no arithmetic in float16, a step takes many"
    )
    return [f"{which}{text} times as long as with --set precision=fp32"]


def _precisions(study: Study, name: str) -> Sequence[str]:
    """Return the precisions that trials of a task may have."""
    task = study.resolve(name)
    searched = task.space.get("precision")
    return (searched.values if searched else None) or (task.shared.precision,)


def count_lanes(count: int) -> str:
    """Return a number of lanes as text, such as "1 lane"."""
    return f"{count} lane{'' if count == 1 else 's'}"


def describe_lane(lanes: Lanes, needs: Mapping[str, float]) -> str:
    """Return the resources of a lane as text, such as "4 CPU, 4 GPU"."""
    return ", ".join(f"{amount * lanes.workers:g} {name}" for name, amount in needs.items())


def _impossible(lanes: Lanes) -> list[str]:
    """Return which numbers of lanes no cluster can fulfil."""
    texts = []
    if lanes.count is not None and lanes.count < 1:
        texts.append(f"{lanes.count} asked for, at least 1 would do")
    if lanes.workers < 1:
        texts.append(f"{lanes.workers} workers in a lane, at least 1 would do")
    if not lanes.cpus > 0:
        texts.append(f"{lanes.cpus:g} cores for a worker, a number above 0 would do")
    gpus = lanes.gpus or 0
    if gpus < 0 or (gpus > 1 and gpus % 1):
        texts.append(
            f"{gpus:g} GPUs for a worker; a whole number, or a fraction of one GPU, would do"
        )
    return texts


def _sharing_problems(lanes: Lanes, cluster: Mapping[str, float] | None) -> list[str]:
    """Return why lanes cannot share devices as they are asked to.

    Args:
        lanes: what is requested.
        cluster: the resources of a machine; None for a cluster whose nodes come and go.
    """
    texts, per_gpu = [], lanes.per_gpu
    shared = (per_gpu or 1) != 1 or 0 < (lanes.gpus or 0) <= 0.5
    if per_gpu is not None:
        if per_gpu != AUTO and not 1 <= per_gpu <= MOST_PER_GPU:
            texts.append(f"{per_gpu} lanes on a GPU; 1 to {MOST_PER_GPU}, or auto, would do")
        if lanes.gpus is not None:
            text = "--lanes-per-gpu and --gpus-per-worker both say which part of a GPU a worker has"
            texts.append(f"{text}; one of them would do")
        if cluster is not None and not cluster.get("GPU"):
            text = "--lanes-per-gpu: there is no GPU here; lanes share the cores, for which"
            texts.append(f"{text} --lanes and --cpus-per-worker would do")
    if per_gpu == AUTO and cluster is None:
        text = "--lanes-per-gpu auto measures the GPUs of this machine alone"
        texts.append(f"{text}; with --address a number would do")
    if shared and lanes.workers > 1:
        text = f"{lanes.workers} workers of a lane may come to share a GPU, which NCCL refuses"
        texts.append(f"{text}; 1 lane on a GPU, or 1 worker in a lane, would do")
    if lanes.mps and not shared:
        texts.append("--mps is for lanes that share a GPU; --lanes-per-gpu would do")
    if lanes.mps and cluster is None:
        text = "--mps starts NVIDIA's MPS on this machine alone"
        texts.append(f"{text}; with --address a daemon on each node, started before Ray, would do")
    return texts


def hint(lanes: Lanes, cluster: Mapping[str, float]) -> str:
    """Return what would make a lane fit: fewer workers if one of them fits, else smaller ones."""
    needs = lanes.needs(cluster)
    lacking = [name for name, amount in needs.items() if cluster.get(name, 0) + 1e-9 < amount]
    if not lacking:
        return "fewer workers in a lane (--workers-per-lane)"
    if lanes.per_gpu and lacking == ["GPU"]:
        return "a node with a GPU, or no --lanes-per-gpu"
    options = {"GPU": "GPUs for a worker (--gpus-per-worker)", "CPU": "cores (--cpus-per-worker)"}
    names = " and ".join(options[name] for name in lacking)
    no_gpus = "GPU" in lacking and not cluster.get("GPU")
    return f"fewer {names}{', 0 where there is none,' if no_gpus else ''}"
