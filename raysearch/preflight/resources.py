"""Whether lanes find room on a cluster, and files on a disk."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..errors import Problem
from .model_files import model_files

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

    @classmethod
    def from_mapping(cls, lanes: Self | int | None) -> Self | None:
        """A count alone is one of ordinary lanes."""
        return cls(count=lanes) if isinstance(lanes, int) else lanes

    def needs(self, cluster: Mapping[str, float]) -> dict[str, float]:
        """Resources of one worker on this cluster."""
        gpus = self.gpus if self.gpus is not None else float(cluster.get("GPU", 0) > 0)
        return {"CPU": self.cpus, **({"GPU": gpus} if gpus else {})}

    def fit(self, cluster: Mapping[str, float]) -> int:
        """How many lanes a cluster holds."""
        needs = self.needs(cluster)
        shares = [cluster.get(k, 0) / (v * self.workers) for k, v in needs.items() if v]
        return int(min(shares) + 1e-9)  # ten workers of 1.1 cores fit into eleven


def disk_problems(folder: Path, model: str, weights: int, place: str = "storage") -> list[Problem]:
    """Whether the disk has room for a folder that keeps so many sets of a model's weights.

    Args:
        place: what names the folder.
    """
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    if not parent.is_dir():
        return [Problem(location=place, text=f"'{parent}' is no folder; another one would do")]
    if not os.access(parent, os.W_OK | os.X_OK):
        return [Problem(location=place, text=f"'{parent}' cannot be written; another would do")]
    size = sum(f.stat().st_size for f in model_files(model))
    need, free = SPARE + weights * size, shutil.disk_usage(parent).free
    if free >= need:
        return []
    text = f"{free / 2**30:.1f} GiB free at {parent}, the run needs {need / 2**30:.1f} GiB"
    return [Problem(location=place, text=text)]


def lane_problems(lanes: Lanes, cluster: Mapping[str, float]) -> list[Problem]:
    """Whether the cluster holds one lane, and as many as were asked for."""
    needs, holds = lanes.needs(cluster), lanes.fit(cluster)
    lane = ", ".join(f"{v * lanes.workers:g} {k}" for k, v in needs.items())
    have = ", ".join(f"{cluster.get(k, 0):g} {k}" for k in needs)
    if holds < 1:
        text = f"a lane needs {lane}, the cluster has {have}; {_advice(lanes, cluster)} would do"
        return [Problem(location="lanes", text=text)]
    if lanes.count is not None and lanes.count < 1:
        return [Problem(location="lanes", text=f"{lanes.count} asked for, at least 1 would do")]
    if lanes.count is not None and lanes.count > holds:
        text = f"{lanes.count} lanes of {lane} asked for, the cluster has {have}: at most {holds}"
        return [Problem(location="lanes", text=text)]
    return []


def _advice(lanes: Lanes, cluster: Mapping[str, float]) -> str:
    """What would make a lane fit: fewer workers where one of them fits, else smaller ones."""
    needs = lanes.needs(cluster)
    short = [name for name, each in needs.items() if cluster.get(name, 0) + 1e-9 < each]
    if not short:
        return "fewer workers in a lane (--workers-per-lane)"
    options = {"GPU": "GPUs for a worker (--gpus-per-worker)", "CPU": "cores (--cpus-per-worker)"}
    wanted = " and ".join(options[name] for name in short)
    none = "GPU" in short and not cluster.get("GPU")
    return f"fewer {wanted}{', 0 where there is none,' if none else ''}"
