"""Trained teachers on disk, where every study and every restart finds them.

It is apart from the queue, which decides which trial teaches another, and whether that is still to
be trained.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from ..run_folder import Record
from ..run_folder.outcomes import OUTCOMES
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
from ..storage.uris import cache_folder
from .background_import import import_models

_USABLE = [status for status, meaning in OUTCOMES.items() if meaning.has_model]
FACTS, WEIGHTS = "facts.json", "weights.safetensors"


class TeacherStore:
    """Trained teachers, each in a folder with its trial's id that holds its weights and facts.

    Args:
        folder: of the store; "teachers" in the cache by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "teachers"
        self._verified: dict[str, dict[str, Any]] = {}  # id -> facts; weights are hashed once

    def find(self, identity: str) -> dict[str, Any] | None:
        """Return the facts of a teacher; None if it is not in the store, or damaged.

        Returns:
            `status`, `seconds`, `score`, `best` and `last`, see `TrialQueue.outcome`, and what else
            `put` was given.
        """
        if identity not in self._verified:
            if not is_id(identity):
                return None
            try:
                facts = read_json(inside(self.folder, identity, FACTS))
                weights = inside(self.folder, identity, WEIGHTS)
                if not _is_complete(facts) or facts["digest"] != _digest(weights):
                    return None
            except (OSError, InputError):
                return None
            self._verified[identity] = facts
        return self._verified[identity]

    def weights(self, identity: str) -> dict[str, Any]:
        """Return the weights of a teacher that was found, by parameter name."""
        import_models()
        from ..models.weight_arrays import read_arrays

        return read_arrays(inside(self.folder, identity, WEIGHTS))

    def put(self, identity: str, weights: dict[str, Any], facts: dict[str, Any]) -> None:
        """Write a teacher, completely or not at all; one that is in the store already stays.

        Args:
            identity: id of its trial.
            weights: its arrays by parameter name.
            facts: what `find` returns.

        Raises:
            InputError: the disk is full, or the store cannot be written.
        """
        import_models()
        from ..models.weight_arrays import write_arrays

        if self.find(identity) is not None:
            return
        teacher_folder = inside(self.folder, identity)
        remove_stale(self.folder, ".*.writing")  # left a day ago by a run that was killed
        try:
            remove_tree(teacher_folder)  # it is damaged
            with staged_folder(teacher_folder) as staged:
                write_arrays(staged / WEIGHTS, weights)
                facts = {**facts, "digest": _digest(staged / WEIGHTS)}
                write_atomically(staged / FACTS, json.dumps(facts, indent=2) + "\n")
            self._verified[identity] = facts
        except OSError as error:
            if self.find(identity) is None:  # if it is there, another study was faster
                raise _write_error(self.folder, error) from error


def _is_complete(facts: object) -> bool:
    """Return whether a teacher's facts have the fields that a run reads, with their types."""
    if not isinstance(facts, dict) or not isinstance(facts.get("digest"), str):
        return False
    if facts.get("status") not in _USABLE or not _is_real(facts.get("seconds")):
        return False
    scores = [facts.get("best"), facts.get("last")]
    if not all(isinstance(s, dict) and all(map(_is_real, s.values())) for s in scores):
        return False
    return _is_real(facts.get("score")) and facts["seconds"] >= 0


def _is_real(value: object) -> bool:
    """Return whether a value is a finite number of a plausible size."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and abs(value) < 1e10


def teacher_failure(teacher: Record) -> str | None:
    """Return why no trial can learn from a teacher; None if it did not fail, but diverged."""
    if teacher.status != "failed":
        return None
    reason = ((teacher.error or "").strip().splitlines() or ["it did not say why"])[-1]
    return (
        f"its teacher, trial {teacher.id}, failed: {reason}; repair that, and run the study with "
        "another --name: there the teacher is trained again"
    )


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_error(folder: Path, error: OSError) -> InputError:
    text = (
        f"a trained teacher cannot be written: {error}\n"
        "RAYSEARCH_CACHE can name a folder with room; `raysearch resume` then trains it again"
    )
    return InputError(str(folder), [Problem(location="cache", text=text)])
