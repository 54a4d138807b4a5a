"""Forecast: what a study will cost on this machine, from real steps of its tasks."""

from .estimate import TaskForecast
from .forecast import StudyForecast, forecast

__all__ = ["StudyForecast", "TaskForecast", "forecast"]
