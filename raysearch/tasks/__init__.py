"""The data sets of the benchmarks: one `Task` for each."""

from .head import HEAD_FACTS, Head, HeadFacts
from .registry import TASKS, expand, get
from .task import Example, File, HeldOut, IdList, Split, Task, slug_of

__all__ = [
    "HEAD_FACTS",
    "TASKS",
    "Example",
    "File",
    "Head",
    "HeadFacts",
    "HeldOut",
    "IdList",
    "Split",
    "Task",
    "expand",
    "get",
    "slug_of",
]
