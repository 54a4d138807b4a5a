"""Readers of the benchmarks' file formats."""

from .registry import READERS, fingerprint, locate, needs_root, present_splits, read
from .row_errors import RowErrors

__all__ = ["READERS", "RowErrors", "fingerprint", "locate", "needs_root", "present_splits", "read"]
