"""Runs of a study: Ray Tune and Optuna over lanes."""

from ..preflight import Lanes
from ..results.run import Run
from .run_study import read_start, resume, run

__all__ = ["Lanes", "Run", "read_start", "resume", "run"]
