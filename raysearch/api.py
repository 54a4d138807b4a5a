"""The functions that run and resume studies from Python.

They are apart from `search` because they show the command's progress display, which `search` does
not know.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import search
from .cli.progress import ProgressDisplay
from .errors import InputError, Problem
from .results.run import Run
from .study import Study, load, parse


def run(study: Study | str | Path | Mapping[str, Any], **options: Any) -> Run:
    """Run a study: search, confirm the best configurations, write the table.

    Progress is shown as the command shows it, unless `watch` is given.

    Args:
        study: a study from `raysearch.load` or `raysearch.parse`, or what these take: a study file,
            the name of a shipped study, or a mapping.
        options: passed to `raysearch.search.run`: data, storage, name, address, lanes,
            wait_for_nodes, watch, reuse, sampler, callbacks.

    Returns:
        The run, with its folder and its trials.

    Raises:
        InputError: every problem of the study, the data, the models or the lanes, found before
            anything is trained.
        RaysearchError: Ray failed.
    """
    return search.run(_as_study(study), **{"watch": ProgressDisplay, **options})


def resume(folder: str | Path, **options: Any) -> Run:
    """Finish a run that was stopped, or lengthen one: `resume(folder, trials=48)`.

    Progress is shown as the command shows it, unless `watch` is given.

    Args:
        folder: the run folder, or its URI.
        options: passed to `raysearch.search.resume`: data, address, lanes, wait_for_nodes,
            watch, trials, reuse, sampler, callbacks.

    Returns:
        The run, with its folder and its trials.

    Raises:
        InputError: no run folder, one of another study, or a problem that `run` would find.
        RaysearchError: Ray failed.
    """
    return search.resume(folder, **{"watch": ProgressDisplay, **options})


def _as_study(study: Any) -> Study:
    """Return the study that a file, a name or a mapping stands for."""
    if isinstance(study, Study):
        return study
    if isinstance(study, str | Path):
        return load(study)
    if isinstance(study, Mapping):
        return parse(study)
    text = f"a study, its file or name, or a mapping is needed, got a {type(study).__name__}"
    raise InputError("run", [Problem(location="study", text=text)])
