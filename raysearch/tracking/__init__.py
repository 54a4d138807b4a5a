"""Callbacks of a run, live or after the fact, and exporters to MLflow and Weights & Biases.

It is apart from `search` because a run that has ended is followed in the same way: everything is
driven by the events of its journal, without Ray.
"""

from .callback import Callback
from .event_calls import replay
from .mlflow_exporter import MLflowExporter
from .wandb_exporter import WandbExporter

__all__ = ["Callback", "MLflowExporter", "WandbExporter", "replay"]
