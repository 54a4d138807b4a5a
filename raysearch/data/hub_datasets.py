"""Data sets of the Hugging Face hub, downloaded once into the cache by the library `datasets`.

It is apart because nothing else of the package needs that library or its network.
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import Problem, first_line
from ..storage import staged_folder
from ..storage.uris import folder_of
from ..tasks.own_forms import HUB

KIND = "datasets"  # the folder of the cache
FORM = "hub:NAME:SPLIT or hub:NAME:CONFIG:SPLIT"


def is_hub(name: str) -> bool:
    """Return whether a file of an own task is the name of a data set on the hub."""
    return name.startswith(HUB)


def local_folder(name: str) -> Path:
    """Return the folder of the cache that holds a data set once it is downloaded."""
    return folder_of(name, KIND)


def fetch(names: Iterable[str]) -> list[Problem]:
    """Download the data sets that the cache does not hold yet.

    Args:
        names: files of own tasks; those that are no names of the hub are left out.

    Returns:
        Why some cannot be downloaded, with their names as locations.
    """
    problems = []
    for name in dict.fromkeys(filter(is_hub, names)):
        if local_folder(name).is_dir():
            continue
        if text := _download(name):
            problems.append(Problem(location=name, text=text))
    return problems


def _download(name: str) -> str:
    """Download a data set; return why it cannot be, or ""."""
    parts = name.removeprefix(HUB).split(":")
    if len(parts) not in (2, 3) or not all(parts):
        return f"write {FORM}"
    path, *config, split = parts
    try:
        library: Any = import_module("datasets")
    except ImportError:
        return "needs the package `datasets`: pip install 'raysearch[datasets]'"
    if int(library.__version__.partition(".")[0]) < 4:
        text = "of which version 4 or newer is needed: it runs no code of a data set"
        return f"the package `datasets` is {library.__version__}, {text}"
    try:
        data = library.load_dataset(path, *config, split=split)
        with staged_folder(local_folder(name)) as staged:
            data.save_to_disk(staged)
    except Exception as error:  # of the network, the hub or the library, which has many kinds
        return f"cannot be downloaded: {type(error).__name__}: {first_line(error)}"
    return ""
