"""The benchmarks' data sets: one row of facts for each task."""

from .registry import TASKS, expand, get
from .task import Example, File, Head, IdList, Split, Task

__all__ = ["TASKS", "Example", "File", "Head", "IdList", "Split", "Task", "expand", "get"]
