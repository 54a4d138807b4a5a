"""The training of one trial: the loop, its optimizer and gradients, evaluation and reports.

It is apart from the workers because it knows torch, but neither Ray nor the search.
"""

from ..recipes.schedule import Schedule, make_schedule
from ..run_folder.report import Report
from .distributed import DistributedContext
from .evaluation import decode, embeddings, predict_outputs, score
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
    "decode",
    "embeddings",
    "make_schedule",
    "predict_outputs",
    "score",
]
