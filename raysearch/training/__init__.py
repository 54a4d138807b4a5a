"""The training of one trial: the loop, its optimizer and gradients, evaluation and reports.

It is apart from the workers because it knows torch, but neither Ray nor the search.
"""

from ..recipes.schedule import Schedule, make_schedule
from .distributed import DistributedContext
from .evaluation import predict_outputs
from .gradient_accumulation import MicroBatchLimit
from .job import Job
from .report import Report, Status
from .trainer import Trainer

__all__ = [
    "DistributedContext",
    "Job",
    "MicroBatchLimit",
    "Report",
    "Schedule",
    "Status",
    "Trainer",
    "make_schedule",
    "predict_outputs",
]
