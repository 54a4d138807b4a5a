"""What a run was made with, so that it can be distinguished from others and repeated.

It is apart because a run folder's files are read without it. Everything is best effort: what cannot
be found out is None or "unknown".
"""

import hashlib
import json
import platform
import subprocess
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..command_line import command_line
from ..run_folder import opening
from ..run_folder.recorded_facts import MAX_TEXT
from ..run_folder.trial_identity import hyperparameters
from ..storage import file_inside, write_atomically
from ..study import Study, as_mapping
from ..workers.machine import host_facts, local_resources

_CHANGES = ("status", "--porcelain", "--", ".")


def provenance(study: Study) -> dict[str, Any]:
    """Return versions, code and machine of a run, and the study, whose file may change later."""
    packages = ("ray", "torch", "transformers", "optuna", "pyarrow", "numpy", "tokenizers")
    return {
        **code_version(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "machine": {"system": platform.platform(), **local_resources()},
        "began": _now(),
        "model": study.model,
        "study": as_mapping(study),
        "hyperparameters": hyperparameters(study),
    }


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write the provenance of a run.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    write_atomically(file_inside(folder, opening.PROVENANCE), json.dumps(facts, indent=2))


def begin_session(folder: Path) -> None:
    """Add a session to the provenance of a run, and write the packages that are installed.

    Args:
        folder: the run folder.
    """
    lock = package_list()
    write_atomically(file_inside(folder, opening.LOCK), lock)
    facts = opening.read_provenance(folder)
    sessions = facts.get("sessions")
    session = {
        "began": _now(),
        "command": _shortened(command_line()),
        **code_version(),
        "packages": hashlib.sha256(lock.encode()).hexdigest()[:12],
        "machine": host_facts(),
    }
    earlier = sessions if isinstance(sessions, list) else []
    write_facts(folder, facts | {"sessions": [*earlier, session]})


def add_facts(folder: Path, added: dict[str, dict[str, Any]]) -> None:
    """Add what a session has found out to the provenance of a run.

    Args:
        folder: the run folder.
        added: section -> name -> facts; a name that is there already is replaced.
    """
    facts = opening.read_provenance(folder)
    for section, values in added.items():
        known = facts.get(section)
        facts[section] = (known if isinstance(known, dict) else {}) | values
    write_facts(folder, facts)


def package_list() -> str:
    """Return every installed package with its version, in the form of a requirements file."""
    facts = (item.metadata for item in distributions())  # parsed at each access
    versions = {
        str(fact["Name"]).lower().replace("_", "-"): str(fact["Version"])
        for fact in facts
        if fact["Name"] and fact["Version"]
    }
    lines = [f"{name}=={number}" for name, number in sorted(versions.items())]
    return "\n".join([f"# Python {platform.python_version()}", *lines]) + "\n"


def _shortened(text: str) -> str:
    """Return a text that the run's facts can hold; where it is cut, it says so."""
    if len(text) <= MAX_TEXT:
        return text
    note = f" ... (cut: {len(text):,} characters)"
    return text[: MAX_TEXT - len(note)] + note


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@cache
def code_version() -> dict[str, str | None]:
    """Return the version of this raysearch and the commit of its code, as a provenance has them."""
    return {"raysearch": __version__, "commit": _commit()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(package: Path = Path(__file__).parents[1]) -> str | None:
    """Return the commit of the code; None if git does not track it.

    Args:
        package: the folder of the code.

    Returns:
        The commit, with "-dirty" where files of the folder differ from it. None also where the
        folder only lies in a checkout of something else, as an environment in one does.
    """
    try:
        if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
            return None
        commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, *_CHANGES)
    except OSError:  # git is not installed
        return None
    return f"{commit}-dirty" if commit and changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what a git command prints in a folder; None if it fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    process = subprocess.run(command, capture_output=True, text=True)
    return process.stdout.strip() if process.returncode == 0 else None
