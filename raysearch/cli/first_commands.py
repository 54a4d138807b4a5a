"""The commands of the first hour: `doctor` and `init`.

They only ask, parse and print, as the other modules of commands.
"""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..error_pages import command_page, explained_in
from ..errors import InputError, Problem
from ..storage import write_atomically
from .app import app, print_line
from .exit_codes import guarded
from .options import (
    DevFile,
    HeadName,
    LabelColumn,
    OptionColumns,
    TestFile,
    TextColumns,
    TrainFile,
    data_option,
    examples,
)

if TYPE_CHECKING:
    from ..study import Study
    from .new_study import Answers, OwnFiles

LeaveOut = Annotated[int, typer.Option(min=0, help="Unusable training rows that may be left out.")]


@app.command(epilog=examples("raysearch doctor"))
@guarded
def doctor(
    ray: Annotated[
        bool, typer.Option(help="Start Ray here once to see whether it does; some seconds.")
    ] = True,
) -> int:
    """Show what this machine has, what would not run here, and what would mend it.

    It looks at Python, packages, cores, memory, disks, GPUs, caches and Ray. The exit code is 2 if
    something keeps runs from working.
    """
    from ..diagnosis import examine

    marks = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
    problems = 0
    for finding in examine(start_ray=ray):
        problems += finding.state == "problem"
        print_line(f"{marks[finding.state]:<8} {finding.subject:<14} {finding.text}")
        if finding.mend:
            print_line(f"{'':<23} -> {finding.mend}")
        sys.stdout.flush()
    print_line("")
    if problems:
        print_line(f"{problems} thing{'s' * (problems > 1)} to mend before a search runs here")
        print_line(explained_in([command_page("doctor")]))
        return 2
    print_line("searches run here; `raysearch run quickstart` is one, in a minute or two")
    return 0


@app.command(
    epilog=examples(
        "raysearch init",
        "raysearch init rte.yaml --tasks glue/rte,glue/mrpc --model bert-base-uncased --hours 4",
        "raysearch init mine.yaml --train train.csv --text text --label label --model MODEL",
        "raysearch init quiz.yaml --train quiz.csv --head choose --text question --options a,b,c"
        " --label answer --model MODEL",
    )
)
@guarded
def init(
    file: Annotated[Path, typer.Argument(help="The study file to write.")] = Path("study.yaml"),
    tasks: Annotated[
        str | None,
        typer.Option(help="Names of tasks, separated by commas, such as glue/rte,glue/mrpc."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A folder, a name on the Hugging Face hub, or scratch."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Configurations to try for each task. Default: 16.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(min=0, help="Hours after which no new trial begins. Default: no limit."),
    ] = None,
    data: Annotated[Path | None, data_option("it is not looked at")] = None,
    train: TrainFile = None,
    dev: DevFile = None,
    test: TestFile = None,
    head: HeadName = None,
    text: TextColumns = None,
    options: OptionColumns = None,
    label: LabelColumn = None,
    leave_out: LeaveOut = 0,
) -> int:
    """Write a study of your own, with a comment beside every choice.

    What is needed and not given as an option is asked for, on a terminal. The study is checked
    before it is written, with --data the data too, and so are files of your own.
    """
    from . import new_study

    if file.exists():
        text = "is there already: another name would do"
        raise InputError(str(file), [Problem(location="file", text=text)])
    fields = {"dev": dev, "test": test, "head": head, "text": text, "options": options,
              "label": label}  # fmt: skip
    own = _own_files(tasks, train, fields)
    given: Any = {"tasks": tasks, "model": model, "trials": trials, "hours": hours, "data": data}
    answers = _complete(new_study.Answers(**given, own=own, leave_out=leave_out))
    content = new_study.compose(answers)
    study = new_study.check(content, file, data)
    write_atomically(file, content)
    print_line(f"wrote {file}; next:")
    for command in ("check", "run"):
        print_line(f"  raysearch {command} {shlex.quote(str(file))}{_data_argument(study, data)}")
    return 0


def _complete(answers: "Answers") -> "Answers":
    """Return the answers with what is missing asked for.

    Raises:
        InputError: something does not exist, or is missing and there is no terminal to ask.
    """
    from .new_study import refuse_unknown_names

    refuse_unknown_names(answers)
    missing = answers.missing()
    if missing and not _has_terminal():
        raise InputError(
            "init",
            [
                Problem(location=f"--{name}", text=f"needed where no terminal can be asked: {what}")
                for name, what in missing.items()
            ],
        )
    if not missing:
        return answers
    from .study_questions import ask

    return ask(answers)


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _data_argument(study: "Study", data: Path | None) -> str:
    """Return the option --data of commands for a study; "" if its tasks have no files there."""
    from ..data import readers

    if data is not None:
        return f" --data {shlex.quote(str(data))}"
    rows = [study.task(name) for name in study.tasks]
    return " --data DATA" if any(map(readers.needs_root, rows)) else ""


def _own_files(tasks: str | None, train: Path | None, fields: dict[str, Any]) -> "OwnFiles | None":
    """Return a task on own files; None without a training file.

    Args:
        tasks: names of tasks.
        train: the training file.
        fields: the others of `OwnFiles`.

    Raises:
        InputError: both a task and own files are given, or parts of a task without its file.
    """
    from .new_study import OwnFiles

    if train is not None:
        if tasks is not None:
            problem = Problem(location="--train", text="is a task of its own: leave out --tasks")
            raise InputError("init", [problem])
        return OwnFiles(train=train, **fields)
    if lost := [f"--{name}" for name, value in fields.items() if value is not None]:
        problem = Problem(location=", ".join(lost), text="belongs to a file: add --train")
        raise InputError("init", [problem])
    return None
