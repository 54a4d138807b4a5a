"""Encoders with a task's head: any that transformers knows, and a small one from scratch."""

from .bench import Bench
from .pretrained import Pretrained, problems, read, save
from .scratch import is_scratch

__all__ = ["Bench", "Pretrained", "is_scratch", "problems", "read", "save"]
