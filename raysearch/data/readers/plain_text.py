"""Reads plain text: every line that is not blank is an example. Knows nothing of documents."""

from collections.abc import Iterator
from pathlib import Path

from ...tasks.task import Example, Split, Task
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors
from .text_lines import EMPTY, iter_lines

__all__ = ["read", "split_paths"]


def read(task: Task, split: Split, root: Path, faults: RowErrors) -> Iterator[Example]:
    """The lines, without white space around them; their ids count all lines from 1, in a folder
    behind the file's name."""
    path = file_path(task, present_paths(task, split, root), root)
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    seen = False
    for file in files:
        before = f"{file.relative_to(path)}:" if path.is_dir() else ""
        for first, block in iter_lines(file, faults):
            for number, line in enumerate(block, first):
                if line is not None and (text := line.strip()):
                    seen = True
                    yield {"id": f"{before}{number}", task.inputs[0]: text, "label": None}
    if not seen:
        faults.refuse(path.name, EMPTY)
