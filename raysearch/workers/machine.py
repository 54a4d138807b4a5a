"""What a machine is: processor, memory, system, and its accelerators with their software.

It is apart because the driver describes its own machine without torch, and each worker the node
that it runs on. Whatever cannot be found out is "unknown".
"""

import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cpu_quota import usable_cores

UNKNOWN = "unknown"
GIB = 2**30

Facts = dict[str, str | int | float | list[str]]


def host_facts() -> Facts:
    """Return the processor, cores, memory, system and Python of this machine, without torch."""
    return {
        "cpu": _known(_cpu_model),
        "cores": os.cpu_count() or 0,
        "memory_gib": _known(_memory),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def worker_facts() -> Facts:
    """Return the facts of a worker's node, with those of its accelerators as torch sees them."""
    import torch

    # As plain text: torch's own class of versions would load torch in the broker.
    facts = host_facts() | {"torch": str(torch.__version__)}
    if not torch.cuda.is_available():
        return facts | {"gpus": []}
    return facts | {
        "gpus": [
            _gpu(torch.cuda.get_device_properties(i)) for i in range(torch.cuda.device_count())
        ],
        "gpus_on_node": gpu_count(),
        "driver": _known(_driver),
        "cuda": _known(lambda: str(torch.version.cuda)),
        "cudnn": _known(lambda: _dotted(_untyped(torch.backends.cudnn).version())),
        "nccl": _known(lambda: ".".join(map(str, _untyped(torch.cuda.nccl).version()))),
    }


def worker_device() -> Any:
    """Return the torch device that Ray Train gives this worker, and make it the current one.

    Where Ray counts a GPU that torch cannot use, each trial fails with torch's own reason.
    """
    import torch
    from ray.train.torch import get_device

    device = get_device()
    if device.type == "cuda" and torch.cuda.is_available():
        torch.cuda.set_device(device)
    return device


def device_name(device: Any) -> str:
    """Return the name of a torch device: "cpu", or a GPU's index on its node and its model."""
    if device.type != "cuda":
        return str(device.type)
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    index = device.index or 0
    name = visible[index] if index < len(visible) and visible[index] else str(index)
    return f"{name}: {torch.cuda.get_device_name(device)}"


def gpu_count() -> int:
    """Return the number of NVIDIA GPUs of this machine, visible to this process or not."""
    return sum(re.fullmatch(r"nvidia\d+", name) is not None for name in os.listdir("/dev"))


def local_resources() -> dict[str, float]:
    """Return the resources that a cluster of this machine would have, without starting it.

    Returns:
        "CPU" and "GPU" -> their number.
    """
    return {"CPU": float(usable_cores()), "GPU": float(gpu_count())}


def _gpu(properties: Any) -> str:
    return f"{properties.name}, {properties.total_memory / GIB:.0f} GiB"


def _untyped(module: Any) -> Any:
    """Return a module of torch whose functions have no types."""
    return module


def _dotted(version: int | None) -> str:
    """Return cuDNN's number as a version: 91002 is 9.10.2, and 8902, of older ones, 8.9.2."""
    if version is None:
        return UNKNOWN
    major, rest = divmod(version, 10_000 if version >= 90_000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _known(find: Callable[[], Any]) -> Any:
    """Return what a function finds; UNKNOWN if it fails in any way or finds nothing."""
    try:
        return find() or UNKNOWN
    except Exception:  # of torch's builds and of files that other systems lack
        return UNKNOWN


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()


def _memory() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1)


def _driver() -> str:
    text = Path("/proc/driver/nvidia/version").read_text()
    match = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", text)
    return match[1] if match else UNKNOWN
