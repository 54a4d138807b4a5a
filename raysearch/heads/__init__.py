"""Heads: one object for each kind of task output, from examples to prediction files."""

from .registry import HEADS
from .task_head import TaskHead

__all__ = ["HEADS", "TaskHead"]
