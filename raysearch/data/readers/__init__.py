"""Readers of the benchmarks' file formats."""

from .registry import READERS, fingerprint, has_files, locate, present_splits, read
from .row_errors import RowErrors

__all__ = ["READERS", "RowErrors", "fingerprint", "has_files", "locate", "present_splits", "read"]
