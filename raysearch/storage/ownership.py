"""Markers that say which run created a folder.

A run removes only folders that carry its own marker, so that no folder of a user is removed.
"""

import json
import re
import uuid
from contextlib import suppress
from pathlib import Path

from ..errors import InputError
from .atomic import unfinished_name, write_atomically
from .paths import kind_of
from .removal import keep_aside, move, remove_tree
from .untrusted_files import open_regular, parse_json

MARKER = ".raysearch"
MAX_MARKER = 4096  # bytes of a marker file
_RUN_ID = re.compile(r"[0-9a-f]{32}")


def mark(folder: Path, run: str | None = None) -> str:
    """Write into a folder which run it belongs to.

    Args:
        folder: the folder.
        run: the run's id; None for a new one.

    Returns:
        The run's id.
    """
    run = run or uuid.uuid4().hex
    write_atomically(folder / MARKER, json.dumps({"run": run}) + "\n")
    return run


def owner(folder: Path) -> str | None:
    """Return the id of the run that created a folder; None without a readable marker."""
    with suppress(OSError, InputError), open_regular(folder / MARKER) as file:
        return run_named_in(file.read(MAX_MARKER))
    return None


def run_named_in(content: bytes) -> str | None:
    """Return the run's id in the content of a marker; None if it is no marker."""
    with suppress(ValueError):
        marker = parse_json(content)
        run = marker.get("run") if isinstance(marker, dict) else None
        if isinstance(run, str) and _RUN_ID.fullmatch(run):
            return run
    return None


def remove_owned(folder: Path, run: str) -> bool:
    """Remove a folder if it has the run's marker.

    It is renamed first: after a crash it is whole, or `remove_unfinished` removes the rest.

    Returns:
        True if nothing exists at the path any more.
    """
    if kind_of(folder) == "a folder" and owner(folder) == run:
        aside = unfinished_name(folder)
        move(folder, aside)
        remove_tree(aside)
    return kind_of(folder) is None


def clear_place(folder: Path, run: str) -> Path | None:
    """Free a path: remove a folder of the run, move anything else to a free name beside it.

    Returns:
        The path that it was moved to; None if nothing was moved.
    """
    return None if remove_owned(folder, run) else keep_aside(folder)
