"""The study: one YAML file that says what is searched."""

from .reading import dump, load, parse, same
from .schema import Configuration, Confirm, Halving, PerTask, Published, Result, Search, Study
from .shipped import find, shipped

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
    "find",
    "load",
    "parse",
    "same",
    "shipped",
]
