"""The engine as Python sees it: the same runs as the command's, progress shown as there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import search
from .cli.progress import ProgressDisplay
from .errors import InputError, Problem
from .search import Run
from .study import Study, load, parse


def run(study: Study | str | Path | Mapping[str, Any], **options: Any) -> Run:
    """Run a study; shows progress unless `watch` says otherwise.

    Args:
        study: from `raysearch.load` or `raysearch.parse`; or what these take: a file, the name of a
            study that ships, a mapping.
        options: see `raysearch.search.run`: data, storage, name, address, lanes, watch.

    Raises:
        InputError: everything that stands in the way, before anything is trained.
    """
    return search.run(_study(study), **{"watch": ProgressDisplay, **options})


def resume(folder: str | Path, **options: Any) -> Run:
    """Finish a run that was stopped; see `raysearch.search.resume` for the options."""
    return search.resume(folder, **{"watch": ProgressDisplay, **options})


def _study(given: Any) -> Study:
    """Return a study from what stands for one."""
    if isinstance(given, Study):
        return given
    if isinstance(given, str | Path):
        return load(given)
    if isinstance(given, Mapping):
        return parse(given)
    text = f"a study, its file or name, or a mapping is needed, got a {type(given).__name__}"
    raise InputError("run", [Problem(location="study", text=text)])
