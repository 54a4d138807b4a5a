"""Teachers: the weights of first-stage trials, kept where every study and every restart finds them.

A trial of a second stage names the configuration that teaches it; which trial that is, and whether
it is still to be trained, is the queue's matter."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from ..data.encoding_cache import cache_folder
from ..errors import InputError, Problem
from ..run_folder import Record
from ..storage import (
    inside,
    is_id,
    open_regular,
    read_json,
    remove_stale,
    remove_tree,
    staged_folder,
    write_atomically,
)

FACTS, WEIGHTS = "facts.json", "weights.safetensors"


class TeacherStore:
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
            if not is_id(identity):
                return None
            try:
                facts = read_json(inside(self.folder, identity, FACTS))
                weights = inside(self.folder, identity, WEIGHTS)
                if not _whole(facts) or facts["digest"] != _digest(weights):
                    return None
            except (OSError, InputError):
                return None
            self._sound[identity] = facts
        return self._sound[identity]

    def weights(self, identity: str) -> dict[str, Any]:
        """The arrays of a teacher that was found."""
        from ..models.weight_arrays import read_arrays  # torch comes with it

        return read_arrays(inside(self.folder, identity, WEIGHTS))

    def put(self, identity: str, weights: dict[str, Any], facts: dict[str, Any]) -> None:
        """Keep a teacher, whole or not at all; one that is here already stays.

        Args:
            facts: what `find` gives.

        Raises:
            InputError: there is no room, or no right to write.
        """
        from ..models.weight_arrays import write_arrays

        if self.find(identity) is not None:
            return
        place = inside(self.folder, identity)
        remove_stale(self.folder, ".*.writing")  # what a killed run left half written a day ago
        try:
            remove_tree(place)  # damaged
            with staged_folder(place) as staged:
                write_arrays(staged / WEIGHTS, weights)
                facts = {**facts, "digest": _digest(staged / WEIGHTS)}
                write_atomically(staged / FACTS, json.dumps(facts, indent=2) + "\n")
            self._sound[identity] = facts
        except OSError as error:
            if self.find(identity) is None:  # or another study was quicker by a moment
                raise _unwritten(self.folder, error) from error


def _whole(facts: object) -> bool:
    """Whether what a teacher's file says has the fields that a run reads, of their types."""
    if not isinstance(facts, dict) or not isinstance(facts.get("digest"), str):
        return False
    if facts.get("status") not in ("finished", "degenerate") or not _real(facts.get("seconds")):
        return False
    scores = [facts.get("best"), facts.get("last")]
    if not all(isinstance(s, dict) and all(map(_real, s.values())) for s in scores):
        return False
    return _real(facts.get("score")) and facts["seconds"] >= 0


def _real(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) < 1e10


def teacher_failure(teacher: Record) -> str | None:
    """Why no trial can learn from a teacher that failed; None where it merely diverged."""
    if teacher.status != "failed":
        return None
    reason = ((teacher.error or "").strip().splitlines() or ["it did not say why"])[-1]
    return (
        f"its teacher, trial {teacher.id}, failed: {reason}; mend that, and run the study under "
        "another name of the run, where it is trained again"
    )


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritten(folder: Path, error: OSError) -> InputError:
    text = (
        f"a trained teacher cannot be written: {error}\n"
        "RAYSEARCH_CACHE can name a folder with room; `raysearch resume` then trains it again"
    )
    return InputError(str(folder), [Problem(location="cache", text=text)])
