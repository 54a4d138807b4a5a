"""Brings what is wrong with several files into one error. Knows no format."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..readers import Faults


def close(source: Path, found: Mapping[Path, Faults], spare: int = 0) -> None:
    """Raise one InputError if there were problems, each with its file, that `spare` unusable rows
    do not cover.

    Args:
        source: the folder that the error is of.
    """
    together = Faults(source=str(source))
    for path, faults in found.items():
        places = [replace(one, place=f"{path.name} {one.place}") for one in faults.kept]
        together.take(replace(faults, kept=places))
    together.close(spare)
