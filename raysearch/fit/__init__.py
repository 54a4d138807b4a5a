"""The one training loop."""

from ..plan import Plan, plan
from .evaluate import decode, embeddings, outputs, score
from .gradient import Memory
from .job import Job
from .loop import Fit
from .report import Report, Status
from .world import World

__all__ = [
    "Fit", "Job", "Memory", "Plan", "Report", "Status", "World",
    "decode", "embeddings", "outputs", "plan", "score",
]  # fmt: skip
