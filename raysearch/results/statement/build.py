"""The statement of a run from its points, in the order of the checklist.

It is apart from the points because it alone knows their order and what each answer is made of.
"""

from ..run_results import RunResults
from . import method_points, result_points, setup_points
from .document import Point, Statement

_POINTS = (
    setup_points.model_point,
    setup_points.code_point,
    setup_points.machine_point,
    setup_points.time_point,
    result_points.validation_point,
    result_points.measure_point,
    method_points.runs_point,
    method_points.bounds_point,
    method_points.selection_point,
    result_points.best_point,
    method_points.summary_point,
    result_points.result_point,
    setup_points.data_point,
    setup_points.preprocessing_point,
    setup_points.command_point,
    result_points.deviation_point,
    result_points.verdict_point,
)
# Question of ARR's Responsible NLP checklist -> the points (from 1) whose texts answer it.
_ANSWERS = {
    "C1. Parameters, total computational budget, computing infrastructure": (1, 4, 3),
    "C2. Experimental setup, hyperparameter search, best-found values": (9, 8, 10),
    "C3. Descriptive statistics: what is reported, over how many runs": (12, 11, 7),
    "C4. Existing packages, their versions and settings": (2, 6, 14),
}


def statement(run: RunResults) -> Statement:
    """Return the statement of a run."""
    points = tuple(make(run) for make in _POINTS)
    answers = tuple(
        Point(title=title, text=" ".join(points[number - 1].text for number in numbers))
        for title, numbers in _ANSWERS.items()
    )
    return Statement(title=f"Reproducibility of {run.study.name}", points=points, answers=answers)
