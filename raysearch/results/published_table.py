"""What papers printed, without a run: one line for each system where a study has one task, else a
column for each task and the lines of a system beneath its name."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import tasks
from ..errors import InputError, Problem
from ..study import Published, Result, Study, find_study
from ..study.model_names import score_names
from . import formatting
from .published import Lines, Score, beside, printed, sources
from .table_rows import BLANK, UNKNOWN, Cell, Row, Table

_SHOWN = 5  # studies of a folder


def published_table(study: Study, settings: Sequence[str], average: bool) -> Table:
    """The published table of a study.

    Args:
        settings: hyperparameters that come first, in order.
        average: whether the last column is the papers' average.
    """
    title = f"{study.name}: published"
    if len(study.tasks) == 1:
        columns, rows = _lines(study, settings)
        notes = sources(study, models=False)
    else:
        columns = [formatting.column_title(tasks.get(name)) for name in study.tasks]
        columns += ["AVG"] * average
        rows, notes = _groups(study, settings, average)
    notes = (*notes, *_warmups(study))
    return Table(title=title, columns=tuple(columns), rows=tuple(rows), notes=notes)


def study_file(place: Path) -> Path:
    """The file of the study that is meant: itself, or that of a run folder.

    Raises:
        InputError: a folder of neither kind; or no such file, and one of that name and ".yaml".
    """
    own, named = place / "study.yaml", Path(f"{place}.yaml")
    if own.is_file():
        return own
    if place.is_dir():
        studies = sorted(path.name for path in place.glob("*.yaml"))
        text = "is a folder and no run: there is no study.yaml in it; "
        few = ", ".join([*studies[:_SHOWN], *["..."] * (len(studies) > _SHOWN)])
        text += f"give one of its studies: {few}" if studies else "a study would do"
    elif not place.exists() and find_study(place) == place and named.is_file():
        text = f"no such file; did you mean '{named}'?"
    else:
        return find_study(place)
    raise InputError(str(place), [Problem(location="study", text=text)])


def _warmups(study: Study) -> list[str]:
    """What numbers above 1 mean, which stand among ratios."""
    results = [row.results[name] for name in study.tasks for row in study.published
               if name in row.results]  # fmt: skip
    values = [result.settings.get("WARMUP") for result in results]
    above = sorted({value for value in values if isinstance(value, int | float) and value > 1})
    shares = ", ".join(
        f"{formatting.format_setting(value)} is {100 / value:.4g} %" for value in above
    )
    return [f"WARMUP above 1 is the reciprocal of the ratio: {shares}."] if above else []


def _lines(study: Study, settings: Sequence[str]) -> tuple[list[str], list[Row]]:
    """A line for each system: its model, its settings, its scores by their full names."""
    name = study.tasks[0]
    systems = [system for system in study.published if name in system.results]
    results = [system.results[name] for system in systems]
    known = dict.fromkeys(setting for result in results for setting in result.settings)
    shown = [setting for setting in dict.fromkeys((*settings, *known)) if setting in known]
    printed_ones = {score for result in results for score in result.scores}
    scores = [score for score in score_names(tasks.get(name)) if score in printed_ones]
    rows = [
        Row(
            name=system.row,
            cells=(
                Cell(system.model, system.model) if system.model else UNKNOWN,
                *(_setting(result, setting) for setting in shown),
                *(_score(system, name, score) for score in scores),
            ),
        )
        for system, result in zip(systems, results, strict=True)
    ]
    return ["model", *shown, *scores], rows


def _setting(result: Result | None, name: str) -> Cell:
    if result is None or name not in result.settings:
        return UNKNOWN
    return Cell(formatting.format_setting(result.settings[name]), result.settings[name])


def _score(system: Published, task: str, name: str) -> Cell:
    scores = system.results[task].scores if task in system.results else {}
    if name not in scores:
        return UNKNOWN
    score = Score(name=name, percent=scores[name], least=system.digits)
    return Cell(score.text, score.percent / 100)


def _groups(study: Study, settings: Sequence[str], average: bool) -> Lines:
    """Each system as its paper prints it: settings, then results."""
    rows: list[Row] = []
    for system in study.published:
        rows += _settings(study, system, settings, average)
        for of in ("", "test."):
            behind = " (test)" if of else ""
            for metric in (None, *beside(study, system, of)):
                row = printed(study, system, metric, (metric or "Result") + behind, average, of)
                if any(cell.value is not None for cell in row.cells):
                    rows.append(Row(name=row.name, system=system.row, cells=row.cells))
            rows += _languages(study, system, of, average)
    return rows, sources(study)


def _settings(
    study: Study, system: Published, settings: Sequence[str], average: bool
) -> Iterator[Row]:
    results = [system.results.get(task) for task in study.tasks]
    known = [name for result in results if result for name in result.settings]
    for name in dict.fromkeys((*settings, *known)):
        cells = [_setting(result, name) for result in results]
        if any(cell is not UNKNOWN for cell in cells):
            yield Row(name=name, system=system.row, cells=(*cells, *[BLANK] * average))


def _languages(study: Study, system: Published, of: str, average: bool) -> Iterator[Row]:
    """A line for each language that is printed, but the first, which stands in the result."""
    found = {name: tasks.get(name) for name in study.tasks}
    others = dict.fromkeys(code for task in found.values() for code in task.languages[1:])
    for code in others:
        cells = [_score(system, name, f"{of}{code}.{task.metric}") for name, task in found.items()]
        if any(cell is not UNKNOWN for cell in cells):
            name = code + " (test)" * bool(of)
            yield Row(name=name, system=system.row, cells=(*cells, *[BLANK] * average))
