"""The commands that show the results of runs.

They only parse and print. Other packages do the work and are imported when a command needs them, so
that these commands start without Ray and torch.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, Problem, unknown_name
from .app import app, local_folder, print_line, print_note
from .exit_codes import guarded
from .options import Format, TasksToCompare, examples


@app.command(
    epilog=examples(
        "raysearch table runs/quickstart --format tex",
        "raysearch table roberta-race --published",
    )
)
@guarded
def table(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="A run folder, or its URI; a study with --published."
        ),
    ],
    format: Format = "md",
    published: Annotated[
        bool,
        typer.Option(help="Print the rows that the papers of a study published; run nothing."),
    ] = False,
) -> None:
    """Print the table of a run, and write all its exports again."""
    from .. import study
    from ..results.table_formats import LAYOUTS
    from ..run_folder import opening

    _check_format("table", format)
    folder = local_folder(source)
    if published:
        from ..results.paper_table import paper_table
        from ..results.published_table import study_file

        path = study_file(folder)
        printed = paper_table(study.load(path))
        if not printed.rows:
            text = "nothing is published for its tasks; a study with such rows would do"
            raise InputError(str(path), [Problem(location="published", text=text)])
    elif (folder / "study.yaml").is_file():
        from ..results.export import write_exports

        printed = write_exports(folder, note=print_note)
    else:
        near = opening.near_runs(folder)
        text = f"no study.yaml here{near or '; a run folder would do, or a study with --published'}"
        if study.find_study(folder).is_file():
            text = "is a study: add --published for what papers printed"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])
    print(LAYOUTS[format](printed), end="")


@app.command(
    epilog=examples(
        "raysearch compare runs/roberta runs/deberta",
        "raysearch compare runs/plain runs/r-drop --tasks glue/rte --format tex",
    )
)
@guarded
def compare(
    first: Annotated[str, typer.Argument(metavar="RUN_A", help="A run folder, or its URI.")],
    second: Annotated[
        str, typer.Argument(metavar="RUN_B", help="The run folder to compare, or its URI.")
    ],
    tasks: TasksToCompare = None,
    format: Format = "md",
) -> None:
    """Compare two runs: the difference of each score, its interval, and a test on the examples."""
    from ..results import comparison, comparison_table
    from ..results.table_formats import LAYOUTS

    _check_format("compare", format)
    names = None if tasks is None else [name.strip() for name in tasks.split(",")]
    compared = comparison.compare(local_folder(first), local_folder(second), tasks=names)
    print(LAYOUTS[format](comparison_table.comparison_table(compared)), end="")


@app.command(
    epilog=examples(
        "raysearch report runs/quickstart",
        "raysearch report runs/quickstart --watch",
    )
)
@guarded
def report(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="A run folder, or its URI.")],
    to: Annotated[
        Path | None,
        typer.Option(help="The file to write. Default: report.html in the run folder."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Write it again and again until the run ends."),
    ] = False,
    every: Annotated[
        int, typer.Option(min=1, max=86_400, help="With --watch: seconds between two reports.")
    ] = 10,
) -> None:
    """Write a run's report: one HTML file with its table and charts, which loads nothing.

    It can be written while the run goes on, and a run writes it at its end.
    """
    from ..results import html_report, run_results

    folder = local_folder(source)
    _check_report_options(folder, to)
    if watch:
        if not html_report.is_running(folder):
            print_note(f"no run goes on in {folder} on this machine: written once")
        path = html_report.watch_report(folder, to, every, note=print_note)
    else:
        run = run_results.read_run(folder, note=print_note)
        path = html_report.write_report(run, to, running=html_report.is_running(folder))
    print_line(path)


@app.command(
    epilog=examples(
        "raysearch export runs/minilm-glue --to mlflow --uri http://localhost:5000",
        "raysearch export runs/minilm-glue --to wandb",
    )
)
@guarded
def export(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="A run folder, or its URI.")],
    to: Annotated[str, typer.Option(metavar="SERVICE", help="mlflow or wandb.")],
    uri: Annotated[
        str | None,
        typer.Option(
            help="The server, or MLflow's store. Default: MLFLOW_TRACKING_URI or WANDB_BASE_URL,"
            " else files in the current folder."
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(help="The experiment of MLflow, or the project. Default: the folder's name."),
    ] = None,
) -> None:
    """Write a run's trials to MLflow or Weights & Biases; what is there already stays as it is."""
    from ..tracking import MLflowExporter, WandbExporter

    makers = {"mlflow": MLflowExporter, "wandb": WandbExporter}
    if to not in makers:
        text = unknown_name("service", to, makers)
        raise InputError("export", [Problem(location="--to", text=text)])
    exporter = makers[to](uri, project)
    run = exporter.export(local_folder(source))
    begun = [r for r in run.records.trials.values() if r.attempts or r.is_over]
    print_line(f"{len(begun)} trials of {run.folder}: {exporter.place}")


@app.command(epilog=examples("raysearch pack runs/minilm-glue --to minilm-glue.zip"))
@guarded
def pack(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="A run folder, or its URI.")],
    to: Annotated[Path, typer.Option(help="The zip file to write.")],
    weights: Annotated[
        bool, typer.Option("--weights", help="Pack the winners' weights too.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option(
            help="The URL of the licence under which you publish the pack. Default: the pack says"
            " that none was chosen."
        ),
    ] = None,
) -> None:
    """Pack a run into one zip file, without data, that `raysearch verify` can check elsewhere.

    It holds the study, the provenance, every trial, the results, the dev predictions, and a
    description of them as an RO-Crate.
    """
    import hashlib

    from ..results.pack import pack as pack_run

    folder = local_folder(source, weights=weights)
    packed = pack_run(folder, to, weights=weights, licence=licence)
    for note in packed.notes:
        print_note(note)
    with to.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    print_line(f"{to}: {len(packed.files)} files, {to.stat().st_size:,} bytes, SHA-256 {digest}")


def _check_report_options(folder: Path, to: Path | None) -> None:
    """Refuse what is no run folder, and a place that cannot hold the report.

    Raises:
        InputError: all problems.
    """
    from ..run_folder import opening

    problems = []
    if not (folder / "study.yaml").is_file():
        text = f"no study.yaml here{opening.near_runs(folder) or '; a run folder would do'}"
        problems.append(Problem(location="run folder", text=text))
    if to is not None and (to.is_dir() or not to.parent.is_dir()):
        text = f"'{to}' is a folder" if to.is_dir() else f"there is no folder '{to.parent}'"
        problems.append(Problem(location="--to", text=f"{text}; the name of a file would do"))
    elif to is not None and to.exists() and not _is_page(to):
        text = f"'{to}' is there already and is no report; another name would do"
        problems.append(Problem(location="--to", text=text))
    if problems:
        raise InputError(str(folder), problems)


def _is_page(path: Path) -> bool:
    """Return whether a file begins as a report does."""
    with path.open("rb") as file:
        return file.read(9).lower() == b"<!doctype"


def _check_format(command: str, format: str) -> None:
    """Refuse an unknown format of a table."""
    from ..results.table_formats import LAYOUTS

    if format not in LAYOUTS:
        text = unknown_name("format", format, LAYOUTS)
        raise InputError(command, [Problem(location="--format", text=text)])
