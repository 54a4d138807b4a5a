"""The chart of what each lane trained when.

It is apart from the charts of tasks because lanes belong to the whole run.
"""

from collections.abc import Iterator, Sequence

from ...run_folder import Records
from ...study import Study
from ..formatting import column_title, counted
from .axes import horizontal_axis, linear, rule, text
from .chart import Chart, bar, svg
from .elements import element
from .lanes import SessionLanes, Stretch, idle_share, session_lanes
from .search_charts import describe

_WIDTH, _LEFT, _TOP, _ROW = 960.0, 62.0, 28.0, 24.0
_UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_MEANINGS = {
    "search": "search",
    "confirm": "confirmation",
    "teach": "teacher",
    "stopped": "stopped early",
    "failed": "failed or diverged",
}


def timeline(study: Study, records: Records) -> Chart | None:
    """Return the timeline of the lanes, its sessions one after another; None before any start."""
    sessions = session_lanes(records)
    if not sessions:
        return None
    total = sum(session.end - session.start for session in sessions)
    _, divisor, unit = next(row for row in _UNITS if total >= row[0])
    count = max(len(session.rows) for session in sessions)
    bottom, right = _TOP + _ROW * count, _WIDTH - 14
    x = linear([0.0, total / divisor], _LEFT, right, count=8)
    parts = [horizontal_axis(x, _TOP, bottom, f"{unit} since the first start", right)]
    placed = list(_placed(sessions))
    for number, begin in enumerate(_begins(sessions)):
        if number:
            place = x.place(begin / divisor)
            parts.append(rule(place, _TOP - 10, place, bottom, "reference"))
            parts.append(text(place + 4, _TOP - 8, "resumed"))
    for _, lane, stretch, begin in placed:
        left, end = (x.place(s / divisor) for s in (begin, begin + stretch.seconds))
        width, top = max(1.0, end - left - 0.6), _TOP + _ROW * lane + 3
        parts.append(bar(left, top, width, _ROW - 6, _kind(stretch), _tip(study, stretch)))
    kinds = {kind for _, _, stretch, _ in placed for kind in _kind(stretch).split()}
    parts += [
        text(_LEFT - 8, _TOP + _ROW * lane + 16, f"lane {lane + 1}", anchor="end")
        for lane in range(count)
    ]
    return Chart(
        key="timeline",
        title="Timeline of the lanes",
        summary=_summary(sessions, total / divisor, unit),
        drawing=svg(_WIDTH, bottom + 44, element("g", *parts)),
        columns=(
            "session",
            "lane",
            "task",
            "trial",
            "phase",
            "attempt",
            "end",
            "start, s",
            "length, s",
        ),
        rows=[_texts(*stretch) for stretch in placed],
        legend=[(f"{kind}:bar", meaning) for kind, meaning in _MEANINGS.items() if kind in kinds],
        wide=True,
    )


def _begins(sessions: Sequence[SessionLanes]) -> list[float]:
    """Return the seconds at which each session begins if the pauses are left out."""
    spans = [session.end - session.start for session in sessions]
    return [sum(spans[:number]) for number in range(len(spans))]


def _placed(sessions: Sequence[SessionLanes]) -> Iterator[tuple[int, int, Stretch, float]]:
    """Yield session, lane, stretch and its start in seconds, without the pauses."""
    for number, (session, begin) in enumerate(zip(sessions, _begins(sessions), strict=True)):
        for lane, stretches in enumerate(session.rows):
            for stretch in stretches:
                yield number, lane, stretch, begin + stretch.start - session.start


def _summary(sessions: Sequence[SessionLanes], total: float, unit: str) -> str:
    """Return the timeline in words, with the idle share."""
    trained = sum(len(row) for session in sessions for row in session.rows)
    lanes = max(len(session.rows) for session in sessions)
    words = f"{counted(trained, 'attempt')} at trials on {counted(lanes, 'lane')}"
    words += f" in {total:.1f} {unit}"
    words += f" of {len(sessions)} sessions, without the pauses." if len(sessions) > 1 else "."
    share = idle_share(sessions)
    if share is not None:
        words += f" The lanes had no trial for {100 * share:.1f} % of their time between the first"
        words += " start and the last end."
    stretches = [s for session in sessions for row in session.rows for s in row]
    if any(stretch.lane is None for stretch in stretches):
        words += " The journal does not say the lanes of all attempts: each such attempt stands in"
        words += " the first row that was free."
    return words


def _kind(stretch: Stretch) -> str:
    """Return the style of a bar: its phase, and whether its trial came to nothing."""
    record = stretch.record
    is_last = stretch.attempt == record.attempts
    if is_last and record.status in ("failed", "diverged"):
        return f"{record.phase} failed"
    return f"{record.phase} stopped" if record.status == "stopped" else record.phase


def _tip(study: Study, stretch: Stretch) -> str:
    record = stretch.record
    more = f"attempt {stretch.attempt}, {stretch.seconds:.1f} s"
    lines = [column_title(study.task(record.task)), describe(study.resolve(record.task), record)]
    return "\n".join([*lines, more])


def _texts(session: int, lane: int, stretch: Stretch, begin: float) -> list[str]:
    """Return a stretch as a row of the chart's data."""
    record = stretch.record
    trial = [record.task, str(record.number), record.phase, str(stretch.attempt), record.status]
    return [str(session + 1), str(lane + 1), *trial, f"{begin:.1f}", f"{stretch.seconds:.1f}"]
