"""What a task started from, in words: for the table, best.yaml, the model cards and the log.

It is apart from the leaderboard, which decides it.
"""

from ..run_folder import Record, Records
from ..study import TaskStudy
from . import formatting
from .leaderboard import counted_score, lacks_start, leaderboard, start_of


def start_text(task: TaskStudy, records: Records) -> str:
    """Return what a task started from, with the trial and its score; "" for a model.

    The score is that of the trial whose weights were taken, not the printed one over seeds.
    """
    if task.start is None or task.source is None:
        return ""
    source = task.source.name
    if lacks_start(task, records):
        return f"not trained, as {source}, from whose winner it starts, has no result"
    first = start_of(task, records, task.study.search.seed)
    if first is None:
        return f"waits for the winner of {source}"
    text = f"from the winner of {source}, trial {first.id}, {_score(task.source, first)}"
    if task.start.seed == "same":
        starts = [(seed, start_of(task, records, seed)) for seed in task.study.confirm.seeds]
        pairs = [f"{seed} from trial {start.id}" for seed, start in starts if start is not None]
        text += f"; of the confirmation seed {', seed '.join(pairs)}"
    leader = next(iter(leaderboard(task.source, records)), None)
    if leader is not None and leader.configuration != first.configuration:
        text += f"; it won when {task.name} began, another configuration leads now"
    return text


def _score(task: TaskStudy, start: Record) -> str:
    """Return the printed score of a trial, as measured, in percent: "accuracy 84.1"."""
    scores = start.scores_at(task.study.search.select)
    value = scores.get(task.printed_metric, counted_score(task, start))
    shown = "-" if value is None else formatting.format_percent(value)
    nothing = ", which has learned nothing" if start.status == "degenerate" else ""
    return f"{task.row.metric} {shown}{nothing}"
