"""The studies that ship with the package, which a name stands for from any folder: `amos-glue`.

In a clone they lie beside the package, where they are easy to read; an installed package has them
inside."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def shipped_studies() -> dict[str, Path]:
    """Return the shipped studies by their names, in order."""
    places = (_PACKAGE / "search_spaces", _PACKAGE.parent / "search_spaces")
    folder = next((place for place in places if place.is_dir()), places[0])
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_study(study: str | Path) -> Path:
    """Return the file that a path or a name of a study stands for.

    A file of that path comes first, then a shipped study of that name; of neither the path is
    returned as it is, and reading it tells.
    """
    path = Path(study)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # no file system takes such a name
        is_file = False
    if is_file or len(path.parts) != 1 or path.name != str(study):
        return path
    return shipped_studies().get(path.name, path)
