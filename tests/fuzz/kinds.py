"""The kinds of input by name; each is imported when it is asked for, as some need torch."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from .harness import Kind

KINDS = {
    "studies": ("studies", "Studies"),
    "data": ("data_files", "DataFiles"),
    "predictions": ("predictions", "Predictions"),
    "checkpoints": ("checkpoints", "Checkpoints"),
    "journals": ("run_folders", "Journals"),
    "run-folders": ("run_folders", "RunFolders"),
    "packs": ("packs", "Packs"),
    "model-folders": ("model_folders", "ModelFolders"),
}


def get(name: str) -> Callable[[Path], Kind]:
    """Return what makes the inputs of a kind."""
    module, kind = KINDS[name]
    return getattr(import_module(f".{module}", __package__), kind)
