"""The data sets of the benchmarks: one `Task` for each."""

from .registry import TASKS, expand, get
from .task import Example, File, Head, IdList, Split, Task

__all__ = ["TASKS", "Example", "File", "Head", "IdList", "Split", "Task", "expand", "get"]
