"""What this machine has for a run, what would not work, and what would mend it.

It is apart from the checks of a run because it knows no study: it looks at everything at once.
"""

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from . import __version__
from .errors import RaysearchError
from .preflight.model_files import hub_cache
from .storage import existing_part
from .storage.uris import cache_folder
from .workers.cpu_quota import usable_cores
from .workers.machine import gpu_count, host_facts, worker_facts

GIB = 2**30
LITTLE_MEMORY = 4 * GIB  # available; a small lane with its share of Ray takes about 2
LITTLE_DISK = 10 * GIB  # where runs, prepared data or Ray's files go
LITTLE_SHARED = GIB  # /dev/shm; a container has 64 MiB unless it is told otherwise
FEW_FILES = 4096  # that one process may open
MIN_PYTHON = (3, 11)
_FOR_DEVELOPERS = ("", "test", "bench", "docs")  # extras that no run needs

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is, in a word or two.
        state: "problem" if runs fail because of it, "note" if some do or go slowly.
        text: what was seen.
        mend: what would mend it; "" if nothing is to be mended.
    """

    subject: str
    state: State
    text: str
    mend: str = ""


def examine(*, start_ray: bool = True) -> Iterator[Finding]:
    """Look at this machine; yield each finding as soon as it is known.

    Args:
        start_ray: whether Ray is started here once, which takes some seconds.
    """
    yield _python()
    yield from _packages()
    yield _cores()
    yield _memory()
    yield _shared_memory()
    yield from _disks()
    yield _open_files()
    yield from _accelerators()
    yield _models()
    if start_ray:
        yield _ray()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    is_old = sys.version_info < MIN_PYTHON
    needed = ".".join(map(str, MIN_PYTHON))
    return Finding(
        subject="Python",
        state="problem" if is_old else "ok",
        text=f"{version}, {sys.executable}",
        mend=f"Python {needed} or later is needed" if is_old else "",
    )


def _packages() -> Iterator[Finding]:
    """Yield the packages that are missing or of another version, and what extras would bring."""
    wrong: list[str] = []
    extras: dict[str, dict[str, None]] = {}  # names in their order
    for line in metadata.requires("raysearch") or ():
        requirement = Requirement(line)
        found = _version(requirement.name)
        fits = found is not None and requirement.specifier.contains(found, prereleases=True)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            if not fits:
                wrong.append(
                    f"{requirement.name} {found or 'missing'}, needed{_shown(requirement)}"
                )
        elif found is None and (extra := _extra_of(requirement)) not in _FOR_DEVELOPERS:
            extras.setdefault(extra, {})[requirement.name] = None
    yield Finding(
        subject="packages",
        state="problem" if wrong else "ok",
        text="; ".join(wrong) or f"raysearch {__version__} and all that it needs",
        mend="pip install raysearch in a new virtual environment" if wrong else "",
    )
    for extra, names in extras.items():
        yield Finding(
            subject=f"extra {extra}",
            state="note",
            text=f"not installed: {', '.join(names)}",
            mend=f'pip install "raysearch[{extra}]", where it is wanted',
        )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _shown(requirement: Requirement) -> str:
    return f" {requirement.specifier}" if str(requirement.specifier) else " in any version"


def _extra_of(requirement: Requirement) -> str:
    """Return the extra that brings a requirement; "" if none does."""
    extras = metadata.metadata("raysearch").get_all("Provides-Extra") or []
    marker = requirement.marker
    return next((e for e in extras if marker and marker.evaluate({"extra": e})), "")


def _cores() -> Finding:
    usable, present = usable_cores(), os.cpu_count() or 1
    limited = f" of {present}, by an affinity or a quota" if usable < present else ""
    processor = host_facts()["cpu"]
    lanes = f"{usable} lane{'s' * (usable > 1)} of one core without options"
    return Finding(subject="cores", state="ok", text=f"{usable}{limited} ({processor}): {lanes}")


def _memory() -> Finding:
    available, total = _memory_bytes()
    is_little = available < LITTLE_MEMORY
    return Finding(
        subject="memory",
        state="note" if is_little else "ok",
        text=f"{available / GIB:.1f} of {total / GIB:.1f} GiB available",
        mend="fewer lanes (--lanes 1), a smaller model" if is_little else "",
    )


def _memory_bytes() -> tuple[int, int]:
    """Return the memory that is available and all memory, within the limit of a control group."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    parts = (line.partition(":") for line in lines)
    sizes = {name: 1024 * int(rest.split()[0]) for name, _, rest in parts}
    available, total = sizes["MemAvailable"], sizes["MemTotal"]
    for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            try:
                most = int(Path(folder, limit).read_text())
                taken = int(Path(folder, used).read_text())
            except (OSError, ValueError):  # no such group, or "max"
                continue
            total = min(total, most)
            available = min(available, max(0, most - taken))
    return available, total


def _shared_memory() -> Finding:
    """Return the size of /dev/shm, where Ray keeps what processes share."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return Finding(subject="/dev/shm", state="note", text="not there; Ray uses /tmp, slowly")
    is_little = free < LITTLE_SHARED
    return Finding(
        subject="/dev/shm",
        state="note" if is_little else "ok",
        text=f"{free / GIB:.1f} GiB free for what processes share",
        mend="docker run --shm-size=8g; else Ray uses /tmp, slowly" if is_little else "",
    )


def _disks() -> Iterator[Finding]:
    places = {
        "runs": (Path("runs"), "--storage names another folder"),
        "cache": (cache_folder(), "RAYSEARCH_CACHE names another folder"),
        "Ray's files": (Path(os.environ.get("RAY_TMPDIR", "/tmp")), "RAY_TMPDIR names another"),
    }
    for subject, (folder, mend) in places.items():
        parent = existing_part(folder)
        free = shutil.disk_usage(parent).free
        state: State = "note" if free < LITTLE_DISK else "ok"
        text = f"{free / GIB:.0f} GiB free at {parent.resolve()}"
        if not os.access(parent, os.W_OK | os.X_OK):
            state, text = "problem", f"{parent.resolve()} cannot be written"
        yield Finding(subject=subject, state=state, text=text, mend=mend if state != "ok" else "")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_low = 0 <= soft < FEW_FILES
    return Finding(
        subject="open files",
        state="note" if is_low else "ok",
        text=f"{soft} at most in one process",
        mend=f"ulimit -n {min(hard, 65_536) if hard > 0 else 65_536}" if is_low else "",
    )


def _accelerators() -> Iterator[Finding]:
    """Yield torch, and the GPUs as it sees them."""
    present = gpu_count()
    try:
        facts = worker_facts()
    except Exception as error:  # a build of torch for other hardware fails in many ways
        text = f"cannot be imported: {_first_line(error)}"
        yield Finding(subject="torch", state="problem", text=text, mend="pip install torch again")
        return
    gpus, version = facts["gpus"], facts["torch"]
    yield Finding(subject="torch", state="ok", text=str(version))
    if gpus:
        shown = "; ".join(map(str, gpus if isinstance(gpus, list) else [gpus]))
        text = f"{shown}; driver {facts['driver']}, CUDA {facts['cuda']}, NCCL {facts['nccl']}"
        yield Finding(subject="GPUs", state="ok", text=f"{text}; try --set precision=bf16")
    elif present:
        text = f"{present} on this machine, none that torch {version} can use"
        mend = "a build of torch for the driver's CUDA, see pytorch.org; CUDA_VISIBLE_DEVICES"
        yield Finding(subject="GPUs", state="problem", text=text, mend=mend)
    else:
        text = "none: trials train on the cores; small encoders and small tasks are for that"
        yield Finding(subject="GPUs", state="ok", text=text)


def _models() -> Finding:
    """Return where models of the hub are kept, and whether others are fetched."""
    folder, offline = hub_cache()
    count = sum(1 for _ in folder.glob("models--*"))
    text = f"{count} models of the hub at {folder}"
    if offline:
        text = f"{text}; HF_HUB_OFFLINE is set, so others are not fetched"
    return Finding(subject="models", state="ok", text=text)


def _ray() -> Finding:
    """Start Ray here once, or connect to the cluster of RAY_ADDRESS."""
    address = os.environ.get("RAY_ADDRESS")
    try:
        resources = _resources()
    except RaysearchError as error:
        here = "free room at RAY_TMPDIR; ray stop, if no other program of yours uses Ray"
        mend = "unset RAY_ADDRESS" if address else here
        return Finding(subject="Ray", state="problem", text=_first_line(error), mend=mend)
    held = ", ".join(f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if name in resources)
    where = f"the cluster at {address}" if address else "starts here"
    return Finding(subject="Ray", state="ok", text=f"{_version('ray')} {where}: {held}")


def _resources() -> dict[str, float]:
    from .search.ray_cluster import connect  # imports Ray

    with connect(None) as resources:
        return dict(resources)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
