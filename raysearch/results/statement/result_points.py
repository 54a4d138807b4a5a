"""The points about results: scores, measures, best configurations, deviations, verdicts.

They are apart from the points about the search because they speak of the winners.
"""

from ... import __version__
from .. import formatting
from ..leaderboard import RankedConfiguration
from ..paper_table import hyperparameter_values
from ..published_rows import DIFFERENCE, PUBLISHED, VERDICT
from ..run_results import RunResults
from ..score_cells import format_interval
from .document import Point

_NO_RESULT = "no result"


def validation_point(run: RunResults) -> Point:
    """Return the point about the validation score of every test score."""
    details = []
    for name, leader in run.leaders.items():
        files = [split.submission or split.name for split in run.study.task(name).test]
        shown = _scores(run, name, leader) if leader else _NO_RESULT
        details.append(f"{name}: dev {shown}; test files: {', '.join(files) or 'none'}")
    text = (
        f"All scores are on {_part(run)}: test labels were not read. A test score that 'raysearch"
        " predict' makes of a winner belongs to the dev score of the same task."
    )
    return Point(title="Validation score of each test score", text=text, details=tuple(details))


def measure_point(run: RunResults) -> Point:
    """Return the point about the measures and their implementation."""
    rows = [run.study.task(name) for name in run.study.tasks]
    details = [
        f"{task.name}: selects by {task.metric}, reports {', '.join(task.metrics)}" for task in rows
    ]
    names = dict.fromkeys(metric for task in rows for metric in task.metrics)
    version = run.facts.raysearch or __version__
    text = (
        f"We report {', '.join(names)}, computed by raysearch.metrics of version {version}, which"
        " follows the benchmarks' official scripts; scores are fractions printed in percent."
    )
    return Point(title="Measures and their implementation", text=text, details=tuple(details))


def best_point(run: RunResults) -> Point:
    """Return the point about the best configuration of each task."""
    texts, details = [], []
    for name, leader in run.leaders.items():
        task = run.study.resolve(name)
        if leader is None:
            texts.append(f"{name}: {_NO_RESULT}")
            continue
        values = hyperparameter_values(task, leader.trials[0])
        papers = dict.fromkeys(("BSZ", "LR", "EPOCH", "WARMUP", *task.space))
        shown = [f"{key} {formatting.format_setting(values.get(key))}" for key in papers]
        texts.append(f"{formatting.column_title(task.row)}: {', '.join(shown)}")
        details.append(f"{name}: all settings in {task.row.slug}/best.yaml")
    text = f"The best configurations are: {'; '.join(texts)}."
    return Point(title="Best configurations", text=text, details=tuple(details))


def result_point(run: RunResults) -> Point:
    """Return the point about the results: seeds, statistic, spread, interval."""
    texts, details = [], []
    statistic = run.study.confirm.report
    for name, leader in run.leaders.items():
        task = run.study.resolve(name)
        column = formatting.column_title(task.row)
        if leader is None:
            texts.append(f"{column}: {_NO_RESULT}")
            continue
        counted, metric = len(leader.trials), task.printed_metric
        over = f"{statistic} of {counted} seeds" if counted > 1 else "a single seed"
        interval = run.intervals(task, leader, metric)
        within = "no interval, as dev predictions were not kept for every seed"
        if interval:
            within = f"95 % interval {format_interval(interval, 2)}"
        score = formatting.format_percent(leader.score, 2)
        spread = formatting.format_percent(leader.standard_deviation, 2)
        deviation = f", sd {spread}" if counted > 1 else ""
        texts.append(f"{column}: {task.row.metric} {score} ({over}{deviation}; {within})")
        for record in leader.trials:
            own = record.scores_at(run.study.search.select).get(metric, record.score)
            shown = "-" if own is None else formatting.format_percent(own, 2)
            details.append(f"{name}, seed {record.seed}: {shown}, {record.status}")
        for record in leader.missing:
            details.append(f"{name}, seed {record.seed}: does not count, {record.status}")
    if any(leader and len(leader.trials) > 1 for leader in run.leaders.values()):
        details.append("intervals: over seeds and dev examples together (Multi-Bootstrap)")
    if any(leader and len(leader.trials) == 1 for leader in run.leaders.values()):
        details.append("the interval of a single seed: over dev examples alone")
    text = f"Results on {_part(run)}, in percent. {'; '.join(texts)}."
    return Point(title="Results, seeds and spread", text=text, details=tuple(details))


def deviation_point(run: RunResults) -> Point:
    """Return the point about what is done otherwise than in the source."""
    known = run.study.deviations
    text = "The study names no deviation from its source."
    if known:
        text = f"The study differs from its source in {len(known)} known ways, which are listed."
    return Point(title="Deviations from the source", text=text, details=known)


def verdict_point(run: RunResults) -> Point:
    """Return the point about each published claim."""
    result = next((row for row in run.table.rows if row.name == "Result"), None)
    claims: dict[tuple[str, str], list[str]] = {}
    published = ""
    for row in run.table.rows:
        kind = row.name
        if row.name.endswith(PUBLISHED):
            published, kind = row.name.removesuffix(PUBLISHED), "theirs"
        elif row.name not in (DIFFERENCE, VERDICT):
            continue
        for index, column in enumerate(run.table.columns):
            if row.cells[index].value is not None:
                ours = [f"ours {result.cells[index].text}"] if result else []
                texts = claims.setdefault((published, column), ours)
                texts.append(f"{kind} {row.cells[index].text}")
    judged = sum(any(text.startswith(VERDICT) for text in texts) for texts in claims.values())
    text = "The study names no published number for its tasks."
    if claims:
        text = f"Of {len(claims)} published numbers, {judged} have a verdict by our 95 % intervals."
    details = tuple(f"{', '.join(key)}: {', '.join(texts)}" for key, texts in claims.items())
    return Point(title="Verdict on each published claim", text=text, details=details)


def _part(run: RunResults) -> str:
    return formatting.printed_part(run.study.search.hold_out)


def _scores(run: RunResults, name: str, leader: RankedConfiguration) -> str:
    task = run.study.resolve(name)
    shown = [
        f"{key.removeprefix('dev.')} {formatting.format_percent(value, 2)}"
        for key, value in leader.scores.items()
        if key.startswith("dev.")
    ]
    return ", ".join(shown) or f"{task.row.metric} {formatting.format_percent(leader.score, 2)}"
