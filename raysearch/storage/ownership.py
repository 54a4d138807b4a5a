"""Which run made a folder: a small file in it. Only what a run has marked is ever removed by it."""

import json
import re
import uuid
from contextlib import suppress
from pathlib import Path

from ..errors import InputError
from .atomic import write_atomically
from .paths import kind_of
from .removal import keep_aside, remove_tree
from .untrusted_files import open_regular, parse_json

MARKER = ".raysearch"
LARGEST = 4096  # bytes of one
_RUN = re.compile(r"[0-9a-f]{32}")


def mark(folder: Path, run: str | None = None) -> str:
    """Say in a folder which run it belongs to, and return that.

    Args:
        run: the run's id; None makes a new one.
    """
    run = run or uuid.uuid4().hex
    write_atomically(folder / MARKER, json.dumps({"run": run}) + "\n")
    return run


def owner(folder: Path) -> str | None:
    """Return the id of the run that made a folder; None where no readable marker says so."""
    with suppress(OSError, InputError), open_regular(folder / MARKER) as file:
        return run_named_in(file.read(LARGEST))
    return None


def run_named_in(content: bytes) -> str | None:
    """Return the run that a marker's content names; None where it is none."""
    with suppress(ValueError):
        facts = parse_json(content)
        run = facts.get("run") if isinstance(facts, dict) else None
        if isinstance(run, str) and _RUN.fullmatch(run):
            return run
    return None


def remove_owned(folder: Path, run: str) -> bool:
    """Remove a folder that a run has marked; one that it has not stays.

    Returns:
        Whether nothing is at that path any more.
    """
    if kind_of(folder) == "a folder" and owner(folder) == run:
        remove_tree(folder)
    return kind_of(folder) is None


def clear_place(folder: Path, run: str) -> Path | None:
    """Make a place free: what the run made goes away, anything else is kept beside it.

    Returns:
        Where it was moved to; None where nothing had to be.
    """
    return None if remove_owned(folder, run) else keep_aside(folder)
