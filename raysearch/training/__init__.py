"""The training of one trial: the loop, its optimizer and gradients, evaluation and reports.

It is apart from the workers because it knows torch, but neither Ray nor the search.
"""

from ..recipes.schedule import Schedule, make_schedule
from ..run_folder.report import Report
from .distributed import DistributedContext
from .evaluation import predict_outputs
from .gradient_accumulation import MicroBatchLimit
from .job import Job
from .trainer import Trainer

__all__ = [
    "DistributedContext",
    "Job",
    "MicroBatchLimit",
    "Report",
    "Schedule",
    "Trainer",
    "make_schedule",
    "predict_outputs",
]
