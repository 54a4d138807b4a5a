"""The `raysearch` command: its arguments and options.

It is apart because it only parses and prints; other packages do the work. They are imported when a
command needs them, so that `list`, `check` and `table` start without Ray and torch.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__
from ..errors import InputError, Problem, RaysearchError, printable, unknown_name
from .exit_codes import CommandGroup, guard_output, guarded
from .options import (
    Address,
    AsJson,
    AsOfficial,
    Cpus,
    Family,
    Fixed,
    Gpus,
    Head,
    LaneCount,
    Model,
    NullOdds,
    Split,
    Tasks,
    TasksOfRun,
    Threshold,
    Tokenizer,
    Trials,
    Workers,
    data_option,
    examples,
)

if TYPE_CHECKING:
    from ..preflight import Lanes
    from ..study import Study

app = typer.Typer(
    name="raysearch",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Find fine-tuning hyperparameters of text encoders and write the paper's table.\n\n"
        "A study is a YAML file: tasks, a model, a search space, a search. Some studies ship with"
        " raysearch and are known by name."
    ),
    epilog=(
        "Example:\n\n"
        "raysearch list studies\n\n"
        "raysearch check quickstart\n\n"
        "raysearch run quickstart\n\n"
        "raysearch COMMAND --help shows the options of a command."
    ),
)


@app.command("list", epilog=examples("raysearch list studies"))
@guarded
def list_(
    what: Annotated[
        str, typer.Argument(help="The list to show: tasks, hyperparameters or studies.")
    ] = "tasks",
) -> None:
    """Show the tasks, the hyperparameters with their defaults, or the studies."""
    from . import describe

    describe.show_list(what)


@app.command(
    epilog=examples(
        "raysearch check quickstart",
        "raysearch check my-study.yaml --data DATA --set BSZ=32",
    )
)
@guarded
def check(
    studies: Annotated[
        list[Path], typer.Argument(help="Study files, or names of studies that ship.")
    ],
    model: Model = None,
    data: Annotated[Path | None, data_option("no data is read")] = None,
    tasks: Tasks = None,
    trials: Trials = None,
    fixed: Fixed = None,
) -> int:
    """Check studies, show every problem and what a run would do. Nothing is trained.

    With --data, the data files are checked too, and the numbers of examples and steps are shown.
    """
    from .. import preflight
    from . import describe

    invalid = 0
    for path in studies:
        try:
            study = _load(path, model, tasks, trials, fixed, data)
            survey = preflight.survey(study, data)
            if problems := [*survey.problems, *_suitability_problems(study)]:
                raise InputError(str(path), problems)
        except RaysearchError as error:
            print(printable(error, lines=True), file=sys.stderr)
            invalid += 1
        else:
            describe.show_plan(study, survey.sizes, [*survey.notes, *_unchecked_models(study)])
    return 2 if invalid else 0


@app.command(
    epilog=examples(
        "raysearch run quickstart",
        "raysearch run roberta-glue --tasks glue/rte,glue/mrpc --data DATA --set EPOCH=5",
    )
)
@guarded
def run(
    study: Annotated[Path, typer.Argument(help="A study file, or the name of a study that ships.")],
    model: Model = None,
    data: Annotated[Path | None, data_option("./data")] = None,
    tasks: Tasks = None,
    trials: Trials = None,
    fixed: Fixed = None,
    address: Address = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    storage: Annotated[
        str,
        typer.Option(help="The folder for run folders; or a URI, such as s3://BUCKET/runs."),
    ] = "runs",
    name: Annotated[
        str | None, typer.Option(help="The name of the run folder. Default: the study's name.")
    ] = None,
) -> int:
    """Run a study: search, confirm the best configurations with new seeds, write the table."""
    data = data or Path("data")
    loaded = _load(study, model, tasks, trials, fixed, data)
    from .. import search
    from .progress import ProgressDisplay, closing

    result = search.run(
        loaded,
        data=data,
        storage=storage,
        name=name,
        address=address,
        lanes=_lanes(lanes, workers, cpus, gpus),
        watch=ProgressDisplay,
    )
    return closing(result)


@app.command(epilog=examples("raysearch resume runs/quickstart"))
@guarded
def resume(
    folder: Annotated[str, typer.Argument(help="A run folder, or its URI.")],
    data: Annotated[Path | None, data_option("the folder of the run's start")] = None,
    address: Address = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
) -> int:
    """Finish a run that was stopped, for example by Ctrl-C, a crash or a time limit.

    Without options for lanes, the lanes are those of the run's start.
    """
    from .. import search
    from .progress import ProgressDisplay, closing

    has_lanes = any(value is not None for value in (lanes, workers, cpus, gpus))
    result = search.resume(
        folder,
        data=data,
        address=address,
        lanes=_lanes(lanes, workers, cpus, gpus) if has_lanes else None,
        watch=ProgressDisplay,
    )
    return closing(result)


@app.command(
    epilog=examples(
        "raysearch table runs/quickstart --format tex",
        "raysearch table roberta-race --published",
    )
)
@guarded
def table(
    folder: Annotated[Path, typer.Argument(help="A run folder; a study with --published.")],
    format: Annotated[
        str, typer.Option(help="The format of the printed table: md, tex, csv or json.")
    ] = "md",
    published: Annotated[
        bool,
        typer.Option(help="Print the rows that the papers of a study published; run nothing."),
    ] = False,
) -> None:
    """Print the table of a run, and write all its exports again."""
    from .. import results, study
    from ..results import export, published_table

    layouts = export.LAYOUTS
    if format not in layouts:
        text = unknown_name("format", format, layouts)
        raise InputError("table", [Problem(location="--format", text=text)])
    if published:
        path = published_table.study_file(folder)
        printed = results.paper_table(study.load(path))
        if not printed.rows:
            text = "nothing is published for its tasks; a study with such rows would do"
            raise InputError(str(path), [Problem(location="published", text=text)])
    elif (folder / "study.yaml").is_file():
        printed = results.write_exports(folder, note=_print_note)
    else:
        text = "no study.yaml here; a run folder would do, or a study with --published"
        if study.find_study(folder).is_file():
            text = "is a study: add --published for what papers printed"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])
    print(layouts[format](printed), end="")


@app.command(
    epilog=examples(
        "raysearch predict runs/minilm-glue --to submission",
        "raysearch predict runs/minilm-glue/glue-rte/best --to out --tasks glue/rte --data DATA",
    )
)
@guarded
def predict(
    source: Annotated[
        Path, typer.Argument(help="A run folder, or the folder of a fine-tuned model.")
    ],
    to: Annotated[Path, typer.Option(help="The folder to write the prediction files to.")],
    data: Annotated[Path | None, data_option("the folder that the run has read")] = None,
    tasks: TasksOfRun = None,
) -> None:
    """Predict test splits with the best models, in the file formats of the benchmarks."""
    from ..predictions.prediction import predict as predict_all

    names = tuple(tasks.split(",")) if tasks else None
    for path in predict_all(source, to=to, data=data, names=names, note=_print_line):
        _print_line(path)


@app.command(
    epilog=examples(
        "raysearch convert model.pt --to amos-base",
        "raysearch convert model.pt --to roberta --tokenizer FOLDER",
    )
)
@guarded
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of fairseq, or the folder of an AMOS release.")
    ],
    to: Annotated[Path, typer.Option(help="The transformers folder to write.")],
    tokenizer: Tokenizer = None,
    family: Family = None,
    head: Head = None,
) -> None:
    """Convert a checkpoint of AMOS, COCO-LM, RoBERTa, XLM-R or Cross-Thought to transformers."""
    from ..models.convert.conversion import convert as convert_checkpoint

    summary = convert_checkpoint(checkpoint, to=to, tokenizer=tokenizer, family=family, head=head)
    print(printable(summary, lines=True))  # its lines are escaped one by one


@app.command(
    epilog=examples(
        "raysearch score squad/v1.1 --data DATA --predictions predictions.json",
        "raysearch score xtreme/panx --data DATA --predictions predictions.tsv --split test-de",
    )
)
@guarded
def score(
    task: Annotated[str, typer.Argument(help="The name of a task, such as squad/v2.0.")],
    data: Annotated[
        Path,
        typer.Option(help="The file of the correct answers, or the folder of the benchmarks."),
    ],
    predictions: Annotated[
        Path,
        typer.Option(
            help="The predictions in the benchmark's own format; or a folder with a file for each"
            " language."
        ),
    ],
    split: Split = None,
    null_odds: NullOdds = None,
    threshold: Threshold = None,
    as_official: AsOfficial = False,
    as_json: AsJson = False,
) -> None:
    """Print the official scores of a prediction file in percent. No model is needed."""
    from ..predictions import scoring

    scoring.print_scores(
        task,
        data,
        predictions,
        split=split,
        null_odds=null_odds,
        threshold=threshold,
        as_official=as_official,
        as_json=as_json,
    )


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version of raysearch and exit.")
    ] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit(0)


def _print_note(text: str) -> None:
    print(printable(f"note: {text}"), file=sys.stderr)


def _print_line(line: object) -> None:
    """Print a line that may have names of files, or text from files."""
    print(printable(line))


def _load(
    path: Path,
    model: str | None,
    tasks: str | None,
    trials: int | None,
    fixed: list[str] | None,
    data: Path | None,
) -> "Study":
    """Return a study with the options of the command line applied, all checked together."""
    from ..preflight import survey
    from ..study import load

    def further_problems(study: "Study") -> list[Problem]:
        return [*survey(study, data).problems, *_suitability_problems(study)]

    names = None if tasks is None else [name.strip() for name in tasks.split(",")]
    return load(
        path,
        further_checks=further_problems,
        model=model,
        tasks=names,
        trials=trials,
        set=fixed,
    )


def _unchecked_models(study: "Study") -> list[str]:
    """Return a note for every model that is not a local folder, and was thus not checked."""
    from ..study.model_names import scratch_shape

    names = [name for name in study.models if not (scratch_shape(name) or Path(name).is_dir())]
    reason = "it is no folder here, and a run takes it for the name of one on a hub"
    return [f"the model '{name}' was not looked at: {reason}" for name in names]


def _suitability_problems(study: "Study") -> list[Problem]:
    """Return why models in local folders cannot do their tasks; others are checked by a run."""
    from ..study.model_names import model_problems
    from ..tasks import TASKS

    models = {name: study.resolve(name).model for name in study.tasks if name in TASKS}
    local = [n for n, m in models.items() if Path(m).is_dir() and not model_problems(m)]
    if not local:
        return []
    from ..models.suitability import suitability_problems

    return suitability_problems(study, local)


def _lanes(
    count: int | None, workers: int | None, cpus: float | None, gpus: float | None
) -> "Lanes":
    from ..preflight import Lanes

    return Lanes(count=count, workers=workers or 1, cpus=cpus or 1, gpus=gpus)


def main() -> None:
    """Run the `raysearch` command."""
    guard_output()
    app()
