"""Reads plain text: every line that is not blank is an example. Knows nothing of documents."""

from collections.abc import Iterator
from pathlib import Path

from ...tasks.task import Example, Split, Task
from .paths import paths, place, present
from .row_errors import Faults
from .text_lines import EMPTY, lines

__all__ = ["paths", "read"]


def read(task: Task, split: Split, root: Path, faults: Faults) -> Iterator[Example]:
    """The lines, without white space around them; their ids count all lines from 1, in a folder
    behind the file's name."""
    path = place(task, present(task, split, root), root)
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    seen = False
    for file in files:
        before = f"{file.relative_to(path)}:" if path.is_dir() else ""
        for first, block in lines(file, faults):
            for number, line in enumerate(block, first):
                if line is not None and (text := line.strip()):
                    seen = True
                    yield {"id": f"{before}{number}", task.inputs[0]: text, "label": None}
    if not seen:
        faults.refuse(path.name, EMPTY)
