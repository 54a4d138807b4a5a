"""What a run was made with, so that it can be distinguished from others and repeated.

It is apart because a run folder's files are read without it.
"""

import platform
import subprocess
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..run_folder.trial_identity import hyperparameters
from ..study import Study, as_mapping
from .ray_cluster import local_resources


def provenance(study: Study) -> dict[str, Any]:
    """Return versions, code and machine of a run, and the study, whose file may change later."""
    packages = ("ray", "torch", "transformers", "optuna", "pyarrow", "numpy", "tokenizers")
    return {
        "raysearch": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "machine": {"system": platform.platform(), **local_resources()},
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "model": study.model,
        "study": as_mapping(study),
        "hyperparameters": hyperparameters(study),
    }


@cache
def code_version() -> dict[str, str | None]:
    """Return the version of this raysearch and the commit of its code, as a provenance has them."""
    return {"raysearch": __version__, "commit": _commit()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the code; None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        process = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # git is not installed
        return None
    return process.stdout.strip() or None
