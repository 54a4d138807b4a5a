"""The `raysearch` command: what it parses and prints, its progress display, its exit codes."""

from .commands import app, main

__all__ = ["app", "main"]
