"""Search: Ray Tune and Optuna over lanes."""

from ..preflight import Lanes
from .run_study import Run, opened, resume, run

__all__ = ["Lanes", "Run", "opened", "resume", "run"]
