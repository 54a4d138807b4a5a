"""Reads plain text: every line that is not blank is an example.

It is apart from the other readers because a text has no columns, labels or documents.
"""

from collections.abc import Iterator
from pathlib import Path

from ...tasks.task import Example, Split, Task
from .paths import file_path, present_paths, split_paths
from .row_errors import RowErrors
from .text_lines import EMPTY, iter_lines

__all__ = ["read", "split_paths"]


def read(task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
    """Yield the lines of a file or of the .txt files of a folder, without white space around them.

    The id is the number of the line, counted from 1 with blank lines included. In a folder the name
    of the file precedes it.
    """
    path = file_path(task, present_paths(task, split, root), root)
    errors.source = str(path)
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    empty = True
    for file in files:
        name = str(file.relative_to(path)) if path.is_dir() else ""
        prefix = f"{name}:" if name else ""
        file_errors = RowErrors(source=str(file))
        for first, block in iter_lines(file, file_errors):
            for number, line in enumerate(block, first):
                if line is not None and (text := line.strip()):
                    empty = False
                    yield {"id": f"{prefix}{number}", task.inputs[0]: text, "label": None}
        errors.merge(file_errors, file=name)
    if empty:
        errors.refuse("file", EMPTY)
