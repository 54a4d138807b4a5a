"""What a run was made with, so that it can be told apart and repeated."""

import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..run_folder.trial_identity import hyperparameters
from ..study import Study, as_mapping
from .ray_cluster import local_resources


def provenance(study: Study) -> dict[str, Any]:
    """Versions, code and machine of a run, and the study as it is run: its file may change."""
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


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(__file__).parent
    try:
        command = ["git", "-C", str(here), "rev-parse", "HEAD"]
        out = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return out.stdout.strip() or None
