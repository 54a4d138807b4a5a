"""Checks that the data and the models on this machine are those of a run.

They are apart because they read files outside of the run folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import preflight
from ..data import hub_datasets, readers
from ..errors import InputError, Problem
from ..study import Study, TaskStudy
from ..study.model_names import resolve_model_folder, scratch_shape
from .checks import Check


class Inputs:
    """What the winners of a run are trained from again.

    Args:
        study: the study of the run.
        facts: its provenance.
        data: the data folder here.
        models: folders of models that the user gave.
        other_code: which other code wrote the hashes, in words; empty if it was this one.
        required: refuse missing files of the data; else their tasks are not checked.

    Attributes:
        checks: whether data and models are those of the run.
        models: task -> its model here; without tasks whose data or model is another.
        missing: the models that are not here, as problems.

    Raises:
        InputError: files of the data are missing and required, or a given model.
    """

    def __init__(
        self,
        study: Study,
        facts: Mapping[str, Any],
        data: Path,
        models: Sequence[str],
        other_code: str,
        required: bool,
    ) -> None:
        self.checks: list[Check] = []
        self.models: dict[str, str] = {}
        self.missing: list[Problem] = []
        self._given = [resolve_model_folder(model) for model in models]
        self._hashes: dict[str, str] = {}
        self._used: set[str] = set()  # models that a check names
        if problems := [
            Problem(location="--model", text=f"no folder '{model}'")
            for model in self._given
            if not Path(model).is_dir()
        ]:
            raise InputError("verify", problems)
        unfetched = hub_datasets.fetch(study.own_files)
        if unfetched and required:
            raise InputError("verify", unfetched)
        tasks_of_run = [study.resolve(name) for name in study.tasks]
        lacking = [readers.locate(task.row, data, task.training_splits) for task in tasks_of_run]
        problems = [problem for missing in lacking for problem in missing]
        if problems and required:
            raise InputError(str(data), problems)
        for task, missing in zip(tasks_of_run, lacking, strict=True):
            recorded = facts["content"].get(task.name, "")
            self._look(task, recorded, data, other_code, missing)
        for model in dict.fromkeys(self._given):
            if model not in self._used:
                note = "not used: its hash is that of no model of the run"
                check = Check(what="model", place=f"--model {model}", verdict="not checked",
                              note=note)  # fmt: skip
                self.checks.append(check)

    def _look(
        self,
        task: TaskStudy,
        recorded: str,
        data: Path,
        other_code: str,
        missing: Sequence[Problem],
    ) -> None:
        """Compare one task's model and data with the identity that the provenance has."""
        first, *rest = recorded.split("-")
        model = self._model(task, first)
        if missing:
            note = f"{missing[0].text}; --data names the folder of the data"
            self.checks.append(
                Check(what="data", place=task.name, verdict="not checked", note=note)
            )
            return
        checks = _data_checks(task, rest, data)
        if other_code:
            note = f"{other_code}; a hash covers how files are read, too"
            checks = [replace(c, note=note) if c.verdict == "fails" else c for c in checks]
        self.checks += checks
        if model is not None and all(check.verdict == "holds" for check in checks):
            self.models[task.name] = model

    def _model(self, task: TaskStudy, recorded: str) -> str | None:
        """Return the model here that has the recorded hash; None and a check if none has."""
        place = f"{task.name} model"
        hashes = {model: self._hash(model) for model in (*self._given, task.model)}
        for candidate, digest in hashes.items():
            if digest == recorded:
                by_name = not Path(candidate).is_dir() and not scratch_shape(candidate)
                note = f"'{candidate}' is known by its name, not by its files" if by_name else ""
                self.checks.append(Check.equal("model", place, recorded, digest, note))
                self._used.add(candidate)
                return candidate
        folders = [model for model in hashes if Path(model).is_dir()]
        if scratch_shape(task.model):  # known by its name: no folder can take its place
            self.checks.append(Check.equal("model", place, recorded, hashes[task.model]))
        elif folders:
            digests = ", ".join(hashes[model] for model in folders)
            note = f"of {', '.join(folders)}"
            self.checks.append(Check.equal("model", place, recorded, digests, note))
            self._used |= {*folders}
        else:
            text = f"'{task.model}' is not here; --model names the folder of this model"
            self.missing.append(Problem(location=place, text=text))
            self.checks.append(Check(what="model", place=place, verdict="not checked", note=text))
        return None

    def _hash(self, model: str) -> str:
        if model not in self._hashes:
            self._hashes[model] = preflight.model_fingerprint(model)
        return self._hashes[model]


def _data_checks(task: TaskStudy, recorded: list[str], data: Path) -> list[Check]:
    """Return whether each split, and what views are made from, is that of the run."""
    here = preflight.data_fingerprints(task, data)
    views = preflight.view_fingerprint(task.row, data, task.shared)
    here |= {f"views {n}": part for n, part in enumerate(views.split("-"), 1)} if views else {}
    if len(here) != len(recorded):
        names = ", ".join(here)
        text = f"{len(recorded)} data sets were read, here are {len(here)}: {names}"
        return [Check(what="data", place=task.name, verdict="fails", note=text)]
    return [
        Check.equal("data", f"{task.name} {name}", then, now)
        for then, (name, now) in zip(recorded, here.items(), strict=True)
    ]
