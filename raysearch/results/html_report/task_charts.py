"""All charts of a task, in the order of the page, and why some are missing.

They are apart from the page because Python shows them one by one, too.
"""

from ...run_folder import Records
from ...study import TaskStudy
from .. import analysis
from ..leaderboard import leaderboard
from ..score_intervals import Intervals
from . import front_chart, result_charts, search_charts
from .chart import Chart


def task_charts(
    task: TaskStudy, records: Records, intervals: Intervals
) -> tuple[list[Chart], list[str]]:
    """Return the charts of a task that has trials.

    Args:
        task: the task of the study.
        records: the trials of the run.
        intervals: returns the interval of a score.

    Returns:
        The charts; why others are missing, sentences.
    """
    ranked = leaderboard(task, records)
    leader = ranked[0] if ranked else None
    confirmed = [r for r in ranked if r.trials[0].phase == "confirm"]
    importance = analysis.importance(task, records)
    expected = analysis.expected_performance(task, records)
    charts = [
        result_charts.seeds(task, confirmed or ranked[:1], intervals),
        result_charts.languages(task, leader, intervals),
        front_chart.score_against_cost(task, records),
        search_charts.history(task, records),
        *search_charts.learning_curves(task, records, leader),
        search_charts.parallel_coordinates(task, records),
        search_charts.importance(task, importance),
        *search_charts.expected_performance(task, expected),
    ]
    missing = search_charts.undrawn(task, importance, expected)
    return [chart for chart in charts if chart is not None], missing
