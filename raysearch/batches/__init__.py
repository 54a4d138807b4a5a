"""Batches of token ids: which examples a step sees, and how they are cut and padded.

It knows lengths and seeds, neither model nor loss."""

from .ahead import supply
from .blocks import Blocks
from .examples import Examples
from .shapes import Training, shaped
from .steps import Cost, by_length, cut, dealt, padded_share, passed, stream
from .views import Views

__all__ = ["Blocks", "Cost", "Examples", "Training", "Views", "by_length", "cut", "dealt",
           "padded_share", "passed", "shaped", "stream", "supply"]  # fmt: skip
