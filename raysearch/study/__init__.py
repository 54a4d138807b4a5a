"""The study: one YAML file that says what is searched."""

from .reading import checked_dump, dump, load, parse, plain, same
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
    "checked_dump",
    "dump",
    "load",
    "parse",
    "plain",
    "same",
]
