"""The data sets of the benchmarks: one `Task` for each."""

from .head import HEAD_FACTS, Head, HeadFacts
from .registry import TASKS, expand, get
from .task import Example, File, IdList, Split, Task

__all__ = [
    "HEAD_FACTS",
    "TASKS",
    "Example",
    "File",
    "Head",
    "HeadFacts",
    "IdList",
    "Split",
    "Task",
    "expand",
    "get",
]
