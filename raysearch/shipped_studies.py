"""Finds the studies that ship with the package by their names, such as `amos-glue`.

In a clone their folder is beside the package, where it is easy to find; an installed package
contains it. It is apart from `study` because a list of names needs no schema.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped_studies() -> dict[str, Path]:
    """Return the shipped studies: name -> file, sorted by name."""
    folders = (_PACKAGE / "search_spaces", _PACKAGE.parent / "search_spaces")
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_study(study: str | Path) -> Path:
    """Return the file of a study.

    An existing file has precedence over a shipped study.

    Args:
        study: a path, or the name of a shipped study.

    Returns:
        The file. If there is none, the path as it was given: reading it reports the error.
    """
    path = Path(study)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # the name is not valid in the file system
        is_file = False
    if is_file or len(path.parts) != 1 or path.name != str(study):
        return path
    return shipped_studies().get(path.name, path)
