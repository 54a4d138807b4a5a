"""Checks before a run starts: what cannot run is refused in seconds, with every problem."""

from ..data.own_labels import with_labels
from ..study.model_names import model_problems
from .checks import Survey, survey
from .data_identity import data_fingerprints
from .model_files import hub_problems, model_fingerprint
from .resources import Lanes, disk_problems, folder_problems, lane_problems, precision_notes
from .view_resources import view_fingerprint
from .weights_space import disk_note, weight_folders, weights_note

__all__ = [
    "Lanes",
    "Survey",
    "data_fingerprints",
    "disk_note",
    "disk_problems",
    "folder_problems",
    "hub_problems",
    "lane_problems",
    "model_fingerprint",
    "model_problems",
    "precision_notes",
    "survey",
    "view_fingerprint",
    "weight_folders",
    "weights_note",
    "with_labels",
]
