"""Forecast what a study takes, and print it.

It is apart from `describe`, which times nothing.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Problem, RaysearchError
from .app import print_note
from .exit_codes import print_error
from .tables import add_row, make_console, make_table, print_wrapped

if TYPE_CHECKING:
    from ..forecast import StudyForecast, TaskForecast
    from ..preflight import Lanes
    from ..study import Study


def refuse_options(
    forecast: bool, price: float | None, cluster: Path | None, lanes: "Lanes | None"
) -> None:
    """Refuse options of `check` that do not fit together.

    Raises:
        InputError: everything about them: a forecast with a cluster, a price or lanes for nothing.
    """
    texts = []
    if price is not None and not forecast:
        texts.append(("price", "is of a device hour that --forecast tells: add --forecast"))
    if price is not None and not 0 <= price < 1e9:
        texts.append(("price", f"a number from 0 is needed, got {price:g}"))
    if forecast and cluster is not None:
        text = "times this machine, and --cluster is about others; one of the two would do"
        texts.append(("forecast", text))
    if lanes is not None and cluster is None and not forecast:
        text = "--lanes and the options of its workers are compared with a cluster, or are those of"
        texts.append(("lanes", f"{text} a forecast: add --cluster or --forecast"))
    if texts:
        raise InputError("check", [Problem(location=place, text=text) for place, text in texts])


def forecast_study(
    path: Path, study: "Study", data: Path | None, lanes: "Lanes | None", price: float | None
) -> int:
    """Time a study's tasks and print what a run takes; return 1 if that cannot be told, else 0."""
    from ..data import readers
    from ..preflight import hub_problems

    try:
        if unread := [n for n in study.tasks if data is None and readers.needs_root(study.task(n))]:
            text = f"steps with the data of {', '.join(unread)} are timed: add --data"
            raise InputError(str(path), [Problem(location="forecast", text=text)])
        from ..forecast import forecast  # imports torch and Ray, which is not started

        if problems := [problem for model in study.models for problem in hub_problems(model)]:
            raise InputError(str(path), problems)
        show_forecast(forecast(study, data or Path(), lanes, price=price, note=print_note))
    except RaysearchError as error:
        print_error(error, "check")
        return 1
    return 0


def show_forecast(forecast: "StudyForecast") -> None:
    """Print hours, device hours and bytes of each task, and money where a price is given."""
    money = [] if forecast.price is None else ["cost"]
    table = make_table(
        "task", "trials", "a trial", "a step", "hours", "device hours", "kept", "at most",
        "cache", *money,
    )  # fmt: skip
    begin = 0.0
    for task, end in zip(forecast.tasks, forecast.ends, strict=True):
        add_row(
            table,
            task.task,
            f"{len(task.search)} + {len(task.confirm)}",
            _duration(task.whole),
            f"{1000 * task.step:,.0f} ms",
            _hours(max(0.0, end - begin)),
            _hours(task.device_hours),
            *map(_bytes, (task.kept_bytes, task.most_bytes, task.cache_bytes)),
            *_money(forecast, task.device_hours),
        )
        begin = max(begin, end)
    if len(forecast.tasks) > 1:
        columns = ("kept_bytes", "most_bytes", "cache_bytes")
        sums = [sum(getattr(task, name) for task in forecast.tasks) for name in columns]
        searched, confirmed = _counts(forecast.tasks)
        add_row(
            table, "all", f"{searched} + {confirmed}", "", "", _hours(forecast.hours),
            _hours(forecast.device_hours), *map(_bytes, sums),
            *_money(forecast, forecast.device_hours),
        )  # fmt: skip
    make_console().print(table)
    lanes = f"{forecast.lanes} lane{'s' * (forecast.lanes != 1)}"
    print_wrapped(f"timed here, on {forecast.device}, for {lanes}; trials: search + confirmation")
    for task in forecast.tasks:
        if task.saved > 0:
            share = f"{100 * task.saved:.0f} % of the search's training"
            print_wrapped(f"{task.task}: early stopping is expected to save {share}")
    for note in forecast.notes:
        print_wrapped(note)


def _counts(tasks: "tuple[TaskForecast, ...]") -> tuple[int, int]:
    return sum(len(task.search) for task in tasks), sum(len(task.confirm) for task in tasks)


def _money(forecast: "StudyForecast", hours: float) -> list[str]:
    return [] if forecast.price is None else [f"{hours * forecast.price:,.2f}"]


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours >= 0.1 else f"{hours:.4f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _bytes(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
