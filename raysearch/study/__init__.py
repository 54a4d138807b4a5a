"""Studies: the YAML files that define what is searched."""

from ..shipped_studies import find_study, shipped_studies
from .loading import as_mapping, checked_dump, dump, load, parse, same_trials
from .schema import Configuration, Confirm, Halving, PerTask, Published, Result, Search, Study
from .task_study import TaskStudy

__all__ = [
    "Configuration",
    "Confirm",
    "Halving",
    "PerTask",
    "Published",
    "Result",
    "Search",
    "Study",
    "TaskStudy",
    "as_mapping",
    "checked_dump",
    "dump",
    "find_study",
    "load",
    "parse",
    "same_trials",
    "shipped_studies",
]
