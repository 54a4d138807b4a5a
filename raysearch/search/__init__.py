"""Runs of a study: Ray Tune and Optuna over lanes."""

from ..preflight import Lanes
from .run_study import Run, open_run, resume, run

__all__ = ["Lanes", "Run", "open_run", "resume", "run"]
