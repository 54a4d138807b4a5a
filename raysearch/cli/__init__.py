"""The `raysearch` command: its arguments, its output, its progress display and its exit codes.

It is apart because the rest of raysearch can be used from Python without it.
"""

from .commands import app, main

__all__ = ["app", "main"]
