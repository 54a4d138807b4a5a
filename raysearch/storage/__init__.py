"""What lies on a disk: the only package that replaces, moves or removes files."""

from .atomic import write_atomically

__all__ = ["write_atomically"]
