"""The engine as Python sees it: the same runs as the command's, progress shown as there."""

from pathlib import Path
from typing import Any

from . import search
from .display import Display
from .search import Run
from .study import Study


def run(study: Study, **options: Any) -> Run:
    """Run a study; shows progress unless `watch` says otherwise.

    Args:
        study: from `raysearch.load` or `raysearch.parse`.
        options: see `raysearch.search.run`: data, storage, name, address, lanes, watch.

    Raises:
        InputError: everything that stands in the way, before anything is trained.
    """
    return search.run(study, **{"watch": Display, **options})


def resume(folder: str | Path, **options: Any) -> Run:
    """Finish a run that was stopped; see `raysearch.search.resume` for the options."""
    return search.resume(folder, **{"watch": Display, **options})
