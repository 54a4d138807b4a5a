"""Batches of token ids: which examples a step sees, and how they are cut and padded.

It knows lengths and seeds, neither model nor loss."""

from .blocks import Blocks, shaped
from .examples import Examples
from .steps import Cost, by_length, cut, padded_share, passed, stream

__all__ = ["Blocks", "Cost", "Examples", "by_length", "cut", "padded_share", "passed", "shaped",
           "stream"]  # fmt: skip
