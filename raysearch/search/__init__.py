"""Search: Ray Tune and Optuna over lanes."""

from ..preflight import Lanes
from .engine import Run, opened, resume, run

__all__ = ["Lanes", "Run", "opened", "resume", "run"]
