"""The page: its head, its sections in order, and its tables.

It is apart from writing it because it makes a tree of plain values and knows no time and no file
but its own style and script.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ...run_folder import Record, Records
from ...study import Study, TaskStudy
from ..formatting import UNKNOWN_TEXT, column_title, counted
from ..leaderboard import is_complete, leaderboard, planned_trials
from ..score_intervals import Intervals
from ..table_rows import Table
from .chart import Chart, figure
from .elements import element, write_page
from .result_table import result_table
from .search_charts import settings
from .task_charts import task_charts
from .timeline_chart import timeline

_HERE = Path(__file__).parent
# The page loads nothing, and runs only what stands in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_MAX_FAILURES, _MAX_MESSAGE = 40, 4000  # messages, and the last characters of one, in a page
_MAX_LISTED = 12  # entries of one fact of the provenance; more of them are counted


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What a page is made from.

    Attributes:
        study: the study.
        records: its trials.
        intervals: returns the interval of a score.
        table: the paper's table with its notes.
        facts: the run's provenance; empty if it cannot be read.
        state: of the run: "running", "complete" or "not finished".
        times: name of a time and the time as text, for the page's head.
        refresh: seconds after which a browser loads the page again; None for never.
    """

    study: Study
    records: Records
    intervals: Intervals
    table: Table
    facts: Mapping[str, Any]
    state: str
    times: Mapping[str, str]
    refresh: int | None = None


def make_page(content: PageContent) -> str:
    """Return the whole page as HTML."""
    study = content.study
    sections = [_results_section(content)]
    sections += [_task_section(content, study.resolve(name)) for name in study.tasks]
    sections += [_lanes_section(content), _cost_section(content)]
    sections += [_failures_section(content), _provenance_section(content)]
    style, script = ((_HERE / n).read_text("utf-8") for n in ("report.css", "report.js"))
    refresh = content.refresh
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", http_equiv="refresh", content=refresh) if refresh else None,
        element("link", rel="icon", href="data:,"),
        element("title", f"{study.name}: raysearch report"),
        _verbatim("style", style),
    )
    body = element(
        "body",
        element("a", "Skip to the results", href="#results", class_="skip"),
        _header(content),
        _contents(sections),
        element("main", *sections),
        element("footer", element("p", f"raysearch report, {content.times['written']}")),
        element("div", id="tip", role="status", aria_live="polite", hidden="hidden"),
        _verbatim("script", script),
    )
    return write_page(element("html", head, body, lang="en"))


def _verbatim(tag: str, text: str) -> Element:
    """Return an element whose text is not escaped: a file of this package."""
    node = element(tag)
    node.text = text
    return node


def _section(key: str, title: str, *children: Element | None) -> Element:
    heading = element("h2", title, id=f"{key}-title")
    return element("section", heading, *children, id=key, aria_labelledby=f"{key}-title")


def _paragraphs(texts: Sequence[str]) -> list[Element]:
    return [element("p", text) for text in texts]


def _charts(charts: Sequence[Chart | None]) -> Element | None:
    figures = [figure(chart) for chart in charts if chart is not None]
    return element("div", *figures, class_="charts") if figures else None


def _header(content: PageContent) -> Element:
    """Return the head line: study, model, recipe, state, times and cost."""
    study, records = content.study, content.records
    planned = sum(sum(planned_trials(study.resolve(n), records).values()) for n in study.tasks)
    over = sum(record.is_over for record in records.trials.values())
    hours = sum(record.device_hours for record in records.trials.values())
    facts = {
        "Model": study.model,
        "Recipe": study.recipe,
        "State": f"{content.state}, {over:,} of {counted(planned, 'trial')}",
        **{name.capitalize(): time for name, time in content.times.items()},
        "Device hours": f"{hours:.2f}" if hours >= 0.1 else f"{hours:.4f}",
    }
    pairs = [
        element("div", element("dt", name), element("dd", text)) for name, text in facts.items()
    ]
    return element("header", element("h1", study.name), element("dl", *pairs, class_="facts"))


def _contents(sections: Sequence[Element]) -> Element:
    """Return the table of contents."""
    entries = [
        element("li", element("a", section[0].text, href=f"#{section.get('id')}"))
        for section in sections
    ]
    return element("nav", element("ol", *entries), aria_label="Contents")


def _results_section(content: PageContent) -> Element:
    """Return the paper's table; scores by language are many rows, and are opened when wanted."""
    table, notes = content.table, [element("li", note) for note in content.table.notes]
    codes = {code for name in content.study.tasks for code in content.study.task(name).languages}
    languages = [row for row in table.rows if row.name in codes]
    rows = [row for row in table.rows if row.name not in codes]
    caption = f"Results of {table.title}"
    children = [result_table(table.columns, rows, caption)]
    if languages:
        summary = element("summary", f"Scores by language ({counted(len(languages), 'row')})")
        by_language = result_table(table.columns, languages, "Scores of the winners by language")
        children.append(element("details", summary, by_language))
    notes_list = element("ul", *notes, class_="notes") if notes else None
    return _section("results", "Results", *children, notes_list)


def _task_section(content: PageContent, task: TaskStudy) -> Element:
    """Return the charts of a task."""
    records, name = content.records, column_title(task.row)
    trials = records.of(task.name)
    if not trials:
        return _section(task.row.slug, name, *_paragraphs(["No trial has begun yet."]))
    confirmed = any(ranked.trials[0].phase == "confirm" for ranked in leaderboard(task, records))
    charts, missing = task_charts(task, records, content.intervals)
    return _section(
        task.row.slug,
        name if name == task.name else f"{name} ({task.name})",
        *_paragraphs(_task_words(task, records, confirmed)),
        *_paragraphs(missing),
        _charts(charts),
    )


def _task_words(task: TaskStudy, records: Records, confirmed: bool) -> list[str]:
    """Return how far a task is."""
    phases = planned_trials(task, records)
    over = {p: sum(r.is_over for r in records.of(task.name, p)) for p in phases}
    parts = [
        f"{over[phase]:,} of {counted(count, 'trial')} of phase {phase}"
        for phase, count in phases.items()
        if count
    ]
    complete = is_complete(task, records)
    notes = [f"{'; '.join(parts)}: {'complete' if complete else 'not finished'}."]
    if not task.study.confirm.seeds:
        notes.append("The study confirms no configuration over seeds: scores are of the search.")
    elif not confirmed:
        yet = "" if complete else " yet"
        notes.append(f"No configuration is confirmed over seeds{yet}: scores are of the search.")
    return notes


def _lanes_section(content: PageContent) -> Element:
    charts = _charts([timeline(content.study, content.records)])
    nothing = _paragraphs([] if charts is not None else ["No trial has been trained yet."])
    return _section("lanes", "Lanes", charts, *nothing)


def _cost_section(content: PageContent) -> Element:
    cost = content.table.cost
    assert cost is not None, "the table of a run has costs"
    caption = "Trials by their end, and device hours"
    return _section("cost", "Cost", result_table(cost.columns, cost.rows, caption))


def _failures_section(content: PageContent) -> Element:
    """Return the failed and diverged trials with their messages."""
    records = [r for r in content.records.trials.values() if r.status in ("failed", "diverged")]
    entries = [_failure(content.study, record) for record in records[:_MAX_FAILURES]]
    words = f"Trials that failed or diverged: {len(records)}." if records else "No trial failed."
    if len(records) > _MAX_FAILURES:
        words += f" The first {_MAX_FAILURES} follow; trials.parquet has all."
    return _section("failures", "Failures", *_paragraphs([words]), *entries)


def _failure(study: Study, record: Record) -> Element:
    column = column_title(study.task(record.task))
    title = f"{column}, trial {record.number} ({record.phase}, seed {record.seed}): {record.status}"
    lines = [*([settings(record.configuration)] if record.configuration else [])]
    message = record.error or "no message; its loss or a score was not a number"
    if len(message) > _MAX_MESSAGE:  # what went wrong stands at the end of a traceback
        message = f"...{message[-_MAX_MESSAGE:]}"
    return element(
        "article",
        element("h3", title),
        *_paragraphs(lines),
        element("pre", message, tabindex=0, role="region", aria_label=f"Message of {title}"),
    )


def _provenance_section(content: PageContent) -> Element:
    """Return what the run was made with, in short."""
    if not content.facts:
        words = "provenance.json is missing or cannot be read."
        return _section("provenance", "Provenance", *_paragraphs([words]))
    shown = {k: v for k, v in content.facts.items() if k not in ("study", "hyperparameters")}
    pairs = [
        element("div", element("dt", name), element("dd", _fact(value)))
        for name, value in shown.items()
    ]
    words = "The whole of it is in provenance.json and study.yaml of the run folder."
    facts = element("dl", *pairs, class_="facts")
    return _section("provenance", "Provenance", *_paragraphs([words]), facts)


def _fact(value: object) -> str:
    """Return a fact in a line; of long lists the number of entries."""
    if isinstance(value, Mapping | list) and not value:
        return UNKNOWN_TEXT
    if isinstance(value, Mapping | list) and len(value) > _MAX_LISTED:
        return f"{len(value)} entries"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(_fact, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return UNKNOWN_TEXT if value is None else str(value)[:400]
