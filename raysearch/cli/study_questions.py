"""The questions of `raysearch init`, on a terminal: for what its options leave open.

They are apart from the study's text because an answer that cannot be right is asked for again.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from ..data.readers.row_errors import RowErrors
from ..data.readers.table_files import open_table
from ..errors import InputError, printable, unknown_name
from ..preflight import model_problems
from ..tasks.own_forms import OWN_FORMS, OwnForm
from .new_study import DEFAULT_TRIALS, Answers, OwnFiles, head_facts, rows_of

TABLES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")


def ask(answers: Answers) -> Answers:
    """Ask for what is missing, and for a budget if none is given."""
    if answers.own is None and answers.tasks is None:
        name = _prompt(
            "task or tasks, separated by commas (`raysearch list tasks`), or a training file of"
            " your own",
            check=_check_tasks,
        )
        if _is_file(name):
            answers = replace(answers, own=OwnFiles(train=Path(name)))
        else:
            answers = replace(answers, tasks=name)
    if answers.own is not None and answers.own.missing():
        answers = replace(answers, own=_ask_of_files(answers.own))
    if answers.model is None:
        question = f"model: {answers.missing()['model']}"
        answers = replace(answers, model=_prompt(question, check=_check_model))
    if answers.trials is None and answers.hours is None:
        trials = typer.prompt("configurations to try per task", default=DEFAULT_TRIALS, type=int)
        hours = typer.prompt("hours at most (0: no limit)", default=0.0, type=float)
        answers = replace(answers, trials=trials, hours=hours or None)
    return answers


def _ask_of_files(own: OwnFiles) -> OwnFiles:
    """Ask for what the options leave open of a task on own files."""
    if own.dev is None:
        name = _prompt("dev file (none: a tenth of the training rows)", "none", _check_dev)
        own = replace(own, dev=None if name == "none" else Path(name))
    if not own.head:
        question = f"what is predicted: {', '.join(OWN_FORMS)}"
        own = replace(own, head=_prompt(question, own.kind, head_facts))
    form, columns = OWN_FORMS[head_facts(own.kind).name], _columns(own.train)
    if columns:
        typer.echo(printable(f"columns of {own.train}: {', '.join(columns)}"))

    def column_names(question: str, usual: tuple[str, ...] = ()) -> str:
        default = ",".join(usual) if usual and {*usual} <= {*columns} else None
        return _prompt(question, default, lambda text: _check_columns(text, columns))

    if own.text is None:
        own = replace(own, text=column_names(_text_question(form), form.text))
    if own.options is None and "options" in form.fields:
        question = "column with the list of options, or a column for each, separated by commas"
        own = replace(own, options=column_names(question))
    if own.label is None:
        own = replace(own, label=column_names("column of the label", (form.label,)))
    return own


def _text_question(form: OwnForm) -> str:
    inputs = " and ".join(filter(None, form.texts))
    words = f"of the {inputs}" if inputs else "that the model reads, one or two"
    return f"columns {words}, separated by commas"


def _prompt(question: str, default: str | None = None, check: Callable[[str], Any] = str) -> str:
    """Ask until an answer passes a check, which raises InputError for another one."""

    def parse(text: str) -> str:
        text = text.strip()
        try:
            check(text)
        except InputError as error:
            raise typer.BadParameter("; ".join(p.text for p in error.problems)) from None
        return text

    answer: str = typer.prompt(question, default=default, value_proc=parse)
    return answer


def _is_file(name: str) -> bool:
    return Path(name).suffix.lower() in TABLES or Path(name).exists()


def _check_tasks(name: str) -> None:
    if _is_file(name):
        _check_file(name)
    else:
        rows_of(name)


def _check_dev(name: str) -> None:
    if name != "none":
        _check_file(name)


def _check_file(name: str) -> None:
    if not Path(name).exists():
        raise typer.BadParameter(f"there is no file '{name}'")


def _check_model(name: str) -> None:
    if problems := model_problems(name):
        raise InputError("model", problems)


def _check_columns(text: str, columns: tuple[str, ...]) -> None:
    for name in (part.strip() for part in text.split(",")):
        if columns and name not in columns:
            raise typer.BadParameter(unknown_name("column", name, columns))


def _columns(path: Path) -> tuple[str, ...]:
    """Return the columns of a table; none if they cannot be read, which is told with the study."""
    with suppress(InputError):
        table = open_table(path, (), RowErrors(source=str(path)))
        return table.columns if table else ()
    return ()
