"""Encoders with a task's head: any that transformers knows, and small ones trained from scratch."""

from . import deferred_scipy  # noqa: F401  # first, as it changes what the others import
from .pretrained import Pretrained, read_pretrained
from .reusable import ReusableModel
from .saving import save_model

__all__ = ["Pretrained", "ReusableModel", "read_pretrained", "save_model"]
