"""Runs of a study: Ray Tune and Optuna over lanes."""

from ..preflight import Lanes
from ..results.run import Run
from .run_start import read_start
from .run_study import resume, run

__all__ = ["Lanes", "Run", "read_start", "resume", "run"]
