"""The `raysearch` command. It parses and prints; the engine does the rest."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import InputError, Problem, RaysearchError, printable, unknown_name
from .exit_codes import CommandGroup, guard_output, guarded

app = typer.Typer(
    name="raysearch",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find fine-tuning hyperparameters, write the paper's table.",
)


def _folder(name: str) -> Path:
    """A folder's path; of an empty name Path makes the folder that one is in."""
    if not name.strip():
        raise typer.BadParameter("a folder is needed, got ''")
    return Path(name)


Model = Annotated[str | None, typer.Option(help="A folder, a hub name, or scratch.")]
Data = Annotated[
    Path | None,
    typer.Option(parser=_folder, metavar="PATH", help="Folder that holds the benchmarks' folders."),
]
Tasks = Annotated[str | None, typer.Option(help="Comma-separated tasks instead of the study's.")]
Trials = Annotated[int | None, typer.Option(min=1, help="Configurations per task.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE: fix a hyperparameter, repeatable.")
]
Address = Annotated[str | None, typer.Option(help="A Ray cluster; 'auto' on its head node.")]
LaneCount = Annotated[int | None, typer.Option("--lanes", min=1, help="Trials at a time.")]
Workers = Annotated[int | None, typer.Option("--workers-per-lane", min=1, help="Their processes.")]
Cpus = Annotated[float | None, typer.Option("--cpus-per-worker", min=0.1, help="Of a process.")]
Gpus = Annotated[float | None, typer.Option("--gpus-per-worker", min=0, help="May be a fraction.")]


@app.command("list")
@guarded
def list_(
    what: Annotated[str, typer.Argument(help="tasks, hyperparameters or studies")] = "tasks",
) -> None:
    """Show the tasks, the hyperparameters with their defaults, or the studies at hand."""
    from . import describe

    describe.show_list(what)


@app.command()
@guarded
def check(
    studies: Annotated[list[Path], typer.Argument(help="Study files, or names of shipped ones.")],
    model: Model = None,
    data: Data = None,
    tasks: Tasks = None,
    trials: Trials = None,
    fixed: Set = None,
) -> int:
    """Say everything that is wrong with studies, and what they would run. Starts nothing."""
    from .. import preflight
    from . import describe

    broken = 0
    for path in studies:
        try:
            study = _load(path, model, tasks, trials, fixed, data)
            seen = preflight.survey(study, data)
            if problems := [*seen.problems, *_suitability_problems(study)]:
                raise InputError(str(path), problems)
        except RaysearchError as error:
            print(printable(error, lines=True), file=sys.stderr)
            broken += 1
        else:
            describe.show_plan(study, seen.sizes, [*seen.notes, *_unseen_models(study)])
    return 2 if broken else 0


@app.command()
@guarded
def run(
    study: Annotated[Path, typer.Argument(help="A study file, or the name of a shipped one.")],
    model: Model = None,
    data: Data = None,
    tasks: Tasks = None,
    trials: Trials = None,
    fixed: Set = None,
    address: Address = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    storage: Annotated[str, typer.Option(help="Where the run folder goes.")] = "runs",
    name: Annotated[str | None, typer.Option(help="Of the run folder.")] = None,
) -> int:
    """Search, confirm, export."""
    data = data or Path("data")
    chosen = _load(study, model, tasks, trials, fixed, data)
    from .. import search
    from .progress import ProgressDisplay, closing

    done = search.run(
        chosen, data=data, storage=storage, name=name, address=address,
        lanes=_lanes(lanes, workers, cpus, gpus), watch=ProgressDisplay,
    )  # fmt: skip
    return closing(done)


@app.command()
@guarded
def resume(
    folder: Annotated[str, typer.Argument(help="A run folder, or its URI.")],
    data: Data = None,
    address: Address = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
) -> int:
    """Finish a run that was stopped, however it was stopped."""
    from .. import search
    from .progress import ProgressDisplay, closing

    asked = [value for value in (lanes, workers, cpus, gpus) if value is not None]
    done = search.resume(
        folder, data=data, address=address, watch=ProgressDisplay,
        lanes=_lanes(lanes, workers, cpus, gpus) if asked else None,
    )  # fmt: skip
    return closing(done)


@app.command()
@guarded
def table(
    folder: Annotated[Path, typer.Argument(help="A run folder, or a study with --published.")],
    format: Annotated[str, typer.Option(help="md, tex, csv or json")] = "md",
    published: Annotated[bool, typer.Option(help="Only the published rows of a study.")] = False,
) -> None:
    """Print a run's table, and write it and the other exports again; or what a study's papers
    published, without running anything."""
    from .. import results, study
    from ..results import export, published_table

    layouts = export.LAYOUTS
    if format not in layouts:
        text = unknown_name("format", format, layouts)
        raise InputError("table", [Problem(location="--format", text=text)])
    if published:
        path = published_table.study_file(folder)
        made = results.paper_table(study.load(path))
        if not made.rows:
            text = "nothing is published for its tasks; a study with such rows would do"
            raise InputError(str(path), [Problem(location="published", text=text)])
    elif (folder / "study.yaml").is_file():
        made = results.write_exports(folder, note=_noted)
    else:
        text = "no study.yaml here; a run folder would do, or a study with --published"
        if study.find_study(folder).is_file():
            text = "is a study: add --published for what papers printed"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])
    print(layouts[format](made), end="")


@app.command()
@guarded
def predict(
    source: Annotated[Path, typer.Argument(help="A run folder, or a transformers folder.")],
    to: Annotated[Path, typer.Option(help="Folder for the submission files.")],
    data: Data = None,
    tasks: Tasks = None,
) -> None:
    """Predict test splits with the winners, in the benchmark's submission layout."""
    from ..predictions.prediction import predict as predict_all

    names = tuple(tasks.split(",")) if tasks else None
    for path in predict_all(source, to=to, data=data, names=names, note=_show):
        _show(path)


@app.command()
@guarded
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="Of fairseq, or AMOS's own folder.")],
    to: Annotated[Path, typer.Option(help="The transformers folder to write.")],
    tokenizer: Annotated[Path | None, typer.Option(help="Folder of its tokenizer's files.")] = None,
    family: Annotated[str | None, typer.Option(help="Instead of what its tensors tell.")] = None,
    head: Annotated[str | None, typer.Option(help="The head to keep, of several.")] = None,
) -> None:
    """Make a transformers folder of AMOS's, COCO-LM's, RoBERTa's, XLM-R's or Cross-Thought's."""
    from ..models.convert.conversion import convert as converted

    summary = converted(checkpoint, to=to, tokenizer=tokenizer, family=family, head=head)
    print(printable(summary, lines=True))  # it has escaped what stands in its lines


@app.command()
@guarded
def score(
    task: Annotated[str, typer.Argument(help="A task's name.")],
    data: Annotated[Path, typer.Option(help="The gold file, or the benchmarks' folder.")],
    predictions: Annotated[
        Path, typer.Option(help="In the benchmark's own format; or a folder of all languages.")
    ],
    split: Annotated[str | None, typer.Option(help="A split; of a folder dev or test.")] = None,
    null_odds: Annotated[Path | None, typer.Option(help="JSON: id to odds of no answer.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of the odds: above, no answer.")] = None,
    as_official: Annotated[
        bool, typer.Option("--as-official", help="Pass over ids that are missing or strange.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded.")] = False,
) -> None:
    """Print the official scores of a prediction file, in percent. Needs no model."""
    from ..predictions import scoring

    told = {"split": split, "null_odds": null_odds, "threshold": threshold}
    told["as_official"] = as_official
    scoring.show(task, data, predictions, **told, as_json=as_json)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit(0)


def _noted(text: str) -> None:
    print(printable(f"note: {text}"), file=sys.stderr)


def _load(
    path: Path, model: str | None, tasks: str | None, trials: int | None, fixed: list[str] | None,
    data: Path | None,
) -> Any:  # fmt: skip
    from ..preflight import survey
    from ..study import load

    names = None if tasks is None else [name.strip() for name in tasks.split(",")]
    given = {"model": model, "tasks": names, "trials": trials, "set": fixed}

    def further(study: Any) -> list[Problem]:
        return [*survey(study, data).problems, *_suitability_problems(study)]

    return load(path, further_checks=further, **given)


def _unseen_models(study: Any) -> list[str]:
    """Return which models were not looked at, as they are no folders here."""
    from ..study.model_names import scratch_shape

    names = [name for name in study.models if not (scratch_shape(name) or Path(name).is_dir())]
    return [f"the model '{name}' was not looked at: it is no folder here, and a run takes it for"
            " the name of one on a hub" for name in names]  # fmt: skip


def _suitability_problems(study: Any) -> list[Problem]:
    """Return what the models that are folders cannot read or answer; others are asked later."""
    from ..study.model_names import model_problems
    from ..tasks import TASKS

    models = {name: study.model_of(name) for name in study.tasks if name in TASKS}
    local = [n for n, m in models.items() if Path(m).is_dir() and not model_problems(m)]
    if not local:
        return []
    from ..models.suitability import suitability_problems

    return suitability_problems(study, local)


def _lanes(count: int | None, workers: int | None, cpus: float | None, gpus: float | None) -> Any:
    from ..preflight import Lanes

    return Lanes(count=count, workers=workers or 1, cpus=cpus or 1, gpus=gpus)


def _show(line: object) -> None:
    """Print a line that may hold names of files or of what is in them."""
    print(printable(line))


def main() -> None:
    """Entry point of the `raysearch` command."""
    guard_output()
    app()
