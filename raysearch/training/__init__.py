"""The one training loop."""

from ..recipes.schedule import Plan, plan
from .distributed import World
from .evaluation import decode, embeddings, outputs, score
from .gradient_accumulation import Memory
from .job import Job
from .report import Report, Status
from .trainer import Fit

__all__ = [
    "Fit", "Job", "Memory", "Plan", "Report", "Status", "World",
    "decode", "embeddings", "outputs", "plan", "score",
]  # fmt: skip
