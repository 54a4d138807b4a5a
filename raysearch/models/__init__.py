"""Encoders with a task's head: any that transformers knows, and a small one from scratch."""

from .bench import Bench
from .pretrained import Pretrained, read, save

__all__ = ["Bench", "Pretrained", "read", "save"]
