"""The study: one YAML file that says what is searched."""

from .reading import dump, load, parse, same
from .schema import Configuration, Confirm, Halving, PerTask, Published, Result, Search, Study

__all__ = [
    "Configuration",
    "Confirm",
    "Halving",
    "PerTask",
    "Published",
    "Result",
    "Search",
    "Study",
    "dump",
    "load",
    "parse",
    "same",
]
