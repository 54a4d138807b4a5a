"""Encoders with a task's head: any that transformers knows, and a small one from scratch."""

from .pretrained import Pretrained, read, save
from .reusable import Bench

__all__ = ["Bench", "Pretrained", "read", "save"]
