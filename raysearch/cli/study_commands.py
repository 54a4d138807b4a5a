"""The commands that check, run and resume studies.

They only parse and print. Other packages do the work and are imported when a command needs them, so
that `list` and `check` start without Ray and torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, Problem, RaysearchError
from .app import app, local_folder, print_line, print_note
from .exit_codes import guarded, print_error
from .options import (
    Address,
    Cpus,
    DryRun,
    Fixed,
    Forecast,
    Gpus,
    LaneCount,
    LanesPerGpu,
    Model,
    ModelFolders,
    Mps,
    NoRerun,
    Price,
    Reuse,
    Sampler,
    Tasks,
    TotalTrials,
    Trials,
    VerificationFolder,
    WaitForNodes,
    WinnerSeeds,
    Workers,
    complete_list,
    complete_study,
    data_option,
    examples,
)

if TYPE_CHECKING:
    from ..preflight import Lanes, Survey
    from ..study import Study


Studies = Annotated[
    list[Path],
    typer.Argument(
        help="Study files, names of studies that ship, or cluster files of Ray.",
        autocompletion=complete_study,
    ),
]


@app.command("list", epilog=examples("raysearch list studies"))
@guarded
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="The list to show: tasks, hyperparameters or studies.",
            autocompletion=complete_list,
        ),
    ] = "tasks",
) -> None:
    """Show the tasks, the hyperparameters with their defaults, or the studies."""
    from . import lists

    lists.show_list(what)


@app.command(
    epilog=examples(
        "raysearch check quickstart",
        "raysearch check my-study.yaml --data DATA --set BSZ=32",
        "raysearch check my-study.yaml --data DATA --forecast --price 1.20",
        "raysearch check cluster.yaml",
        "raysearch check roberta-glue --cluster cluster.yaml --gpus-per-worker 1",
    )
)
@guarded
def check(
    studies: Studies,
    model: Model = None,
    data: Annotated[Path | None, data_option("no data is read")] = None,
    tasks: Tasks = None,
    trials: Trials = None,
    sampler: Sampler = None,
    fixed: Fixed = None,
    cluster: Annotated[
        Path | None,
        typer.Option(help="The cluster file of Ray on which the studies shall run."),
    ] = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    lanes_per_gpu: LanesPerGpu = None,
    mps: Mps = False,
    forecast: Forecast = False,
    price: Price = None,
) -> int:
    """Check studies, show every problem and what a run would do. Nothing is trained.

    With --data, the data files are checked too, and the numbers of examples and steps are shown.
    With --forecast, some steps of each task are timed here, and what a run takes is told.
    With --cluster, the lanes are compared with the nodes of that file. A cluster file in the place
    of a study is checked as `ray up` will.
    """
    from .. import preflight
    from . import cluster_check, describe, forecast_table

    chosen = _chosen_lanes(lanes, workers, cpus, gpus, lanes_per_gpu, mps)
    forecast_table.refuse_options(forecast, price, cluster, chosen)
    planned = chosen or preflight.Lanes()
    lane_notes, invalid = cluster_check.lane_notes(cluster, planned)
    for path in studies:
        try:
            if cluster_check.is_cluster_file(path):
                cluster_check.show(path)
                continue
            study = _load(path, model, tasks, trials, sampler, fixed, data)
            study, survey = _surveyed(path, study, data)
        except RaysearchError as error:
            print_error(error, "check")
            invalid += 1
        else:
            notes = [*survey.notes, *preflight.weights_note(study), *lane_notes]
            notes += cluster_check.precision_notes_here(study, cluster, planned)
            describe.show_plan(study, survey.sizes, notes, survey.held_out)
            if forecast:
                invalid += forecast_table.forecast_study(path, study, data, chosen, price)
    return 2 if invalid else 0


@app.command(
    epilog=examples(
        "raysearch run quickstart",
        "raysearch run roberta-glue --tasks glue/rte,glue/mrpc --data DATA --set EPOCH=5",
        "raysearch run quickstart --lanes 1 --dry-run",
    )
)
@guarded
def run(
    study: Annotated[
        Path,
        typer.Argument(
            help="A study file, or the name of a study that ships.", autocompletion=complete_study
        ),
    ],
    model: Model = None,
    data: Annotated[Path | None, data_option("./data")] = None,
    tasks: Tasks = None,
    trials: Trials = None,
    sampler: Sampler = None,
    fixed: Fixed = None,
    address: Address = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    lanes_per_gpu: LanesPerGpu = None,
    mps: Mps = False,
    wait_for_nodes: WaitForNodes = None,
    storage: Annotated[
        str,
        typer.Option(help="The folder for run folders; or a URI, such as s3://BUCKET/runs."),
    ] = "runs",
    name: Annotated[
        str | None, typer.Option(help="The name of the run folder. Default: the study's name.")
    ] = None,
    reuse: Reuse = None,
    dry_run: DryRun = False,
) -> int:
    """Run a study: search, confirm the best configurations with new seeds, write the table."""
    data = data or Path("data")
    loaded = _load(study, model, tasks, trials, sampler, fixed, data)
    from ..run_folder.remote_files import check_storage

    check_storage(storage)
    options: dict[str, Any] = {
        "data": data,
        "storage": storage,
        "name": name,
        "address": address,
        "lanes": _chosen_lanes(lanes, workers, cpus, gpus, lanes_per_gpu, mps),
        "wait_for_nodes": wait_for_nodes,
        "reuse": () if reuse is None else reuse,
        "sampler": sampler,
    }
    return _started("run", loaded, options, dry=dry_run)


@app.command(
    epilog=examples(
        "raysearch resume runs/quickstart", "raysearch resume runs/quickstart --trials 48"
    )
)
@guarded
def resume(
    folder: Annotated[str, typer.Argument(help="A run folder, or its URI.")],
    data: Annotated[Path | None, data_option("the folder of the run's start")] = None,
    address: Address = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    lanes_per_gpu: LanesPerGpu = None,
    mps: Mps = False,
    wait_for_nodes: WaitForNodes = None,
    trials: TotalTrials = None,
    reuse: Reuse = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="The sampler from now on. A class is given again here. Default: the run's."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Finish a run that was stopped, for example by Ctrl-C, a crash or a time limit.

    With --trials, go on with a search that has ended, or end one earlier. Without options for
    lanes, the lanes are those of the run's start.
    """
    from ..run_folder.remote_files import check_storage

    check_storage(folder)
    options: dict[str, Any] = {
        "data": data,
        "address": address,
        "lanes": _chosen_lanes(lanes, workers, cpus, gpus, lanes_per_gpu, mps),
        "wait_for_nodes": wait_for_nodes,
        "trials": trials,
        "reuse": reuse,
        "sampler": sampler,
    }
    return _started("resume", folder, options, dry=dry_run)


@app.command(
    epilog=examples(
        "raysearch verify minilm-glue.zip --data DATA --seeds 1",
        "raysearch verify runs/minilm-glue --data DATA --no-rerun",
    )
)
@guarded
def verify(
    source: Annotated[
        str,
        typer.Argument(help="A run folder, or a file of `raysearch pack`; or the URI of one."),
    ],
    data: Annotated[
        Path | None, data_option("the folder that the run has read; of a pack ./data")
    ] = None,
    to: VerificationFolder = None,
    model: ModelFolders = None,
    seeds: WinnerSeeds = None,
    no_rerun: NoRerun = False,
    address: Address = None,
    wait_for_nodes: WaitForNodes = None,
    lanes: LaneCount = None,
    workers: Workers = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    lanes_per_gpu: LanesPerGpu = None,
    mps: Mps = False,
) -> int:
    """Check a run or a pack: hashes, numbers, data files, and its winners trained again.

    The exit code is 0 if everything holds, and 1 if something does not. All checks are written to
    verification.json.
    """
    folder = local_folder(source, weights=True)
    from ..verification import verify as verify_run
    from .progress import ProgressDisplay

    result = verify_run(
        folder,
        data=data,
        to=to,
        models=model or (),
        seeds=seeds,
        rerun=not no_rerun,
        address=address,
        wait_for_nodes=wait_for_nodes,
        lanes=_chosen_lanes(lanes, workers, cpus, gpus, lanes_per_gpu, mps),
        watch=ProgressDisplay,
    )
    for line in result.lines():
        print_line(line)
    return 0 if result.holds else 1


def _started(verb: str, subject: Any, options: dict[str, Any], *, dry: bool) -> int:
    """Run or resume, or show what that would do first; return the exit code.

    Args:
        verb: "run" or "resume".
        subject: the study, or the run folder.
        options: of the function of `search`.
        dry: start nothing.
    """
    if dry:
        from ..search.dry_run import dry_resume, dry_run
        from .describe import show_dry_run

        show_dry_run((dry_run if verb == "run" else dry_resume)(subject, **options))
        return 0
    from .. import search
    from .progress import ProgressDisplay, closing

    start = search.run if verb == "run" else search.resume
    return closing(start(subject, watch=ProgressDisplay, **options))


def _load(
    path: Path,
    model: str | None,
    tasks: str | None,
    trials: int | None,
    sampler: str | None,
    fixed: list[str] | None,
    data: Path | None,
) -> "Study":
    """Return a study with the options of the command line applied, all checked together."""
    from ..preflight import survey, with_labels
    from ..study import load

    def further_problems(study: "Study") -> list[Problem]:
        study, _ = with_labels(study, data)
        return [*survey(study, data).problems, *_suitability_problems(study)]

    names = None if tasks is None else [name.strip() for name in tasks.split(",")]
    study = load(
        path,
        further_checks=further_problems,
        model=model,
        tasks=names,
        trials=trials,
        sampler=sampler,
        set=fixed,
    )
    if study.remote_models:
        from ..run_folder.remote_files import fetch_models  # imports pyarrow

        fetch_models(study, note=print_note)
    return study


def _surveyed(path: Path, study: "Study", data: Path | None) -> tuple["Study", "Survey"]:
    """Return a study with the labels of its own tasks, and the survey of its data.

    Raises:
        InputError: everything that is wrong with data and models.
    """
    from ..preflight import survey, with_labels

    study, _ = with_labels(study, data)  # its problems are the survey's too
    found = survey(study, data)
    if problems := [*found.problems, *_suitability_problems(study)]:
        raise InputError(str(path), problems)
    return study, found


def _suitability_problems(study: "Study") -> list[Problem]:
    """Return why models in local folders cannot do their tasks; others are checked by a run."""
    from ..study.model_names import model_problems

    models = {name: study.resolve(name).model for name in study.tasks}
    local = [n for n, m in models.items() if Path(m).is_dir() and not model_problems(m)]
    if not local:
        return []
    from ..models.suitability import suitability_problems

    return suitability_problems(study, local)


def _chosen_lanes(
    count: int | None,
    workers: int | None,
    cpus: float | None,
    gpus: float | None,
    per_gpu: Any,
    mps: bool,
) -> "Lanes | None":
    """Return the lanes of the options; None if there is none of these options."""
    if (count, workers, cpus, gpus, per_gpu, mps) == (None, None, None, None, None, False):
        return None
    from ..preflight import Lanes

    return Lanes(
        count=count, workers=workers or 1, cpus=cpus or 1, gpus=gpus, per_gpu=per_gpu, mps=mps
    )
