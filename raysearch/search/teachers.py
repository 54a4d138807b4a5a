"""Teachers: the weights of first-stage trials, kept where every study and every restart finds them.

A trial of a second stage names the configuration that teaches it; which trial that is, and whether
it is still to be trained, is the agenda's matter."""

import hashlib
import json
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from ..journal import Record
from ..prepare import cache_folder
from ..storage import write_atomically

DAY = 24 * 3600.0  # seconds
FACTS, WEIGHTS = "facts.json", "weights.safetensors"


class Shelf:
    """Trained teachers on disk, each a folder of the trial's id with its weights and facts.

    Args:
        folder: where they stand; "teachers" in the cache where none is given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "teachers"
        self._sound: dict[str, dict[str, Any]] = {}  # weights are read through once

    def find(self, identity: str) -> dict[str, Any] | None:
        """What is known of a teacher; None where it is not here, or not whole."""
        if identity not in self._sound:
            place = self.folder / identity
            try:
                facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
                if facts["digest"] != _digest(place / WEIGHTS):
                    return None
            except (OSError, ValueError, TypeError, KeyError):
                return None
            self._sound[identity] = facts
        return self._sound[identity]

    def weights(self, identity: str) -> dict[str, Any]:
        """The arrays of a teacher that was found."""
        from ..models.arrays import read_arrays  # torch comes with it

        return read_arrays(self.folder / identity / WEIGHTS)

    def put(self, identity: str, weights: dict[str, Any], facts: dict[str, Any]) -> None:
        """Keep a teacher, whole or not at all; one that is here already stays.

        Args:
            facts: what `find` gives.

        Raises:
            InputError: there is no room, or no right to write.
        """
        from ..models.arrays import write_arrays

        place = self.folder / identity
        staged = self.folder / f".{identity}-{uuid.uuid4().hex}.writing"
        self._sweep()
        try:
            staged.mkdir(parents=True)
            write_arrays(staged / WEIGHTS, weights)
            facts = {**facts, "digest": _digest(staged / WEIGHTS)}
            write_atomically(staged / FACTS, json.dumps(facts, indent=2) + "\n")
            if self.find(identity) is None:
                shutil.rmtree(place, ignore_errors=True)
                os.rename(staged, place)
                self._sound[identity] = facts
        except OSError as error:
            if self.find(identity) is None:  # or another study was quicker by a moment
                raise _unwritten(self.folder, error) from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _sweep(self) -> None:
        """Take away what a killed run left half written a day ago."""
        for left in self.folder.glob(".*.writing"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > DAY:
                    shutil.rmtree(left)


def untaught(teacher: Record) -> str | None:
    """Why no trial can learn from a teacher that failed; None where it merely diverged."""
    if teacher.status != "failed":
        return None
    reason = ((teacher.error or "").strip().splitlines() or ["it did not say why"])[-1]
    return (
        f"its teacher, trial {teacher.id}, failed: {reason}; mend that, and run the study under "
        "another name of the run, where it is trained again"
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritten(folder: Path, error: OSError) -> InputError:
    text = (
        f"a trained teacher cannot be written: {error}\n"
        "RAYSEARCH_CACHE can name a folder with room; `raysearch resume` then trains it again"
    )
    return InputError(str(folder), [Problem(place="cache", text=text)])
