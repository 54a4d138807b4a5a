"""The options of the `raysearch` command: their types, defaults and help texts.

They are apart from `commands` because several commands share them.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..shipped_studies import shipped_studies

LISTS = ("tasks", "hyperparameters", "studies")  # of `raysearch list`


def examples(*lines: str) -> str:
    """Return the end of a command's help; typer prints each of its paragraphs in a line."""
    return "\n\n".join(["Example:" if len(lines) == 1 else "Examples:", *lines])


def parse_folder(name: str) -> Path:
    """Return the path of a folder; refuse an empty name, which Path takes for the current one."""
    if not name.strip():
        raise typer.BadParameter("a folder is needed, got ''")
    return Path(name)


def data_option(default: str) -> Any:
    """Return the option --data, whose default differs between commands."""
    return typer.Option(
        parser=parse_folder,
        metavar="PATH",
        help=f"The folder that holds the benchmarks' folders. Default: {default}.",
    )


def complete_study(incomplete: str) -> list[str]:
    """Return the shipped studies and the study files that begin so, for a shell."""
    files = sorted(map(str, Path().glob("*.yaml")))
    return [name for name in (*files, *shipped_studies()) if name.startswith(incomplete)]


def complete_list(incomplete: str) -> list[str]:
    """Return the lists that begin so, for a shell."""
    return [name for name in LISTS if name.startswith(incomplete)]


Model = Annotated[
    str | None,
    typer.Option(
        help="The model to fine-tune: a folder, a URI, a name on the Hugging Face hub, or scratch"
        " for a small model without pretraining. Default: the study's model."
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        help="The tasks to run, separated by commas, such as glue/rte,glue/mrpc."
        " Default: all tasks of the study."
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1, help="The number of configurations to try for each task. Default: the study's."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything and show what would begin, where and on what; start nothing and"
        " write no run folder.",
    ),
]
TotalTrials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        help="The number of configurations to try for each task, with those of the run so far: the"
        " search goes on as if so many had been planned at first. Default: the study's.",
    ),
]
Reuse = Annotated[
    str | None,
    typer.Option(
        metavar="RUNS",
        help="Take trials that another run has trained to their end from there, instead of training"
        " them again: run folders or URIs, separated by commas, or all for every run in the same"
        " storage. Default: none; of a resumed run those of its start.",
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="The sampler that chooses configurations: tpe, random, grid, qmc, gp, cmaes, nsga2, or"
        " package.module:Class, a sampler for Optuna of your own. Default: the study's."
    ),
]
Forecast = Annotated[
    bool,
    typer.Option(
        "--forecast",
        help="Time some steps of each task on this machine, and show the hours, device hours and"
        " bytes that a run takes. Needs --data and the models.",
    ),
]
Price = Annotated[
    float | None,
    typer.Option(
        metavar="PER_DEVICE_HOUR",
        help="The price of a device hour, for the forecast in money. Default: none.",
    ),
]
Fixed = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Fix a hyperparameter at a value, which is then not searched. Can be repeated."
        " Default: the study's settings.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="The address of a Ray cluster, HOST:PORT; auto on its head node; local to start Ray"
        " on this machine. Default: RAY_ADDRESS of the environment, else local."
    ),
]
WaitForNodes = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="How long to wait until the nodes of a cluster hold one lane. More lanes start as"
        " nodes join. Default: 600 with --address.",
    ),
]
LaneCount = Annotated[
    int | None,
    typer.Option(
        "--lanes",
        min=1,
        help="The number of trials that run at the same time, each on its lane."
        " On a cluster the most. Default: as many as the cluster has resources for.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers-per-lane",
        min=1,
        help="The number of processes that train one trial together. Default: 1.",
    ),
]
Cpus = Annotated[
    float | None,
    typer.Option(
        "--cpus-per-worker", min=0.1, help="The number of CPU cores of each process. Default: 1."
    ),
]
Gpus = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-worker",
        min=0,
        help="The number of GPUs of each process; a fraction shares a GPU."
        " Default: 1 if a node has a GPU, or a node type of the cluster can, else 0.",
    ),
]


def parse_lanes_per_gpu(text: str) -> int | str:
    """Return a number of lanes, or "auto"."""
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"a number or auto is needed, got '{text}'") from None


LanesPerGpu = Annotated[
    Any,
    typer.Option(
        "--lanes-per-gpu",
        parser=parse_lanes_per_gpu,
        metavar="N|auto",
        help="The number of lanes that share a GPU. auto: one at first, and more as long as their"
        " measured memory fits and all together train more. Default: as --gpus-per-worker says.",
    ),
]
Mps = Annotated[
    bool,
    typer.Option(
        "--mps",
        help="Start NVIDIA's MPS, by which lanes that share a GPU compute at the same time. An"
        " error of CUDA in one of them can then end all.",
    ),
]


Split = Annotated[
    str | None,
    typer.Option(
        help="The split that was predicted; dev or test for a folder. Default: the split that"
        " the files show."
    ),
]
PredictedSplit = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="The splits to predict: test, dev, or the name of one, such as dev.mismatched or"
        " dev-de. Default: the splits that the benchmark takes.",
    ),
]
EnsembleSize = Annotated[
    int | None,
    typer.Option(
        "--ensemble",
        metavar="N",
        help="Let N confirmed seeds of each winner predict together, by the mean of their scores;"
        " dev splits are scored too. The run's study needs `search: {keep_weights: confirmed}`.",
    ),
]
EvaluatedSplit = Annotated[
    str,
    typer.Option(
        "--split", help="The dev splits to score: dev, or the name of one, such as dev.mismatched."
    ),
]
EvaluationSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the data or the decoding, such as max_length=256. Can be repeated."
        " Default: the settings that the folder records.",
    ),
]
StudyOfTask = Annotated[
    Path | None,
    typer.Option(
        "--study",
        help="The study file or the run folder that defines a task on your own files. Default: what"
        " the model or the run around it records.",
    ),
]
NullOdds = Annotated[
    Path | None,
    typer.Option(
        help="A JSON file that maps the id of each question to the score of no answer, such as"
        " null_odds.json. Default: predictions are scored as they are."
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="The score of no answer above which a question counts as unanswered; it needs"
        " --null-odds. Default: none."
    ),
]
AsOfficial = Annotated[
    bool,
    typer.Option(
        "--as-official",
        help="Ignore ids that are missing or unknown, as the official script does.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, with scores that are not rounded.")
]
Tokenizer = Annotated[
    Path | None,
    typer.Option(
        help="The folder of the tokenizer's files. Default: the folder of the checkpoint."
    ),
]
Family = Annotated[
    str | None,
    typer.Option(help="The family of the model. Default: the one that its tensors show."),
]
Head = Annotated[
    str | None,
    typer.Option(help="The classification head to keep. Default: the only one."),
]
HeadKind = Annotated[
    str | None,
    typer.Option(
        help="What a head with one output does: choose (RACE) or regress (STS-B). Default: what the"
        " checkpoint's arguments of training tell."
    ),
]
ConvertedTask = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="The task that a head that chooses was trained on, such as race/all. It is recorded"
        " with the settings of its inputs, for predict and evaluate.",
    ),
]
BaseModel = Annotated[
    str | None,
    typer.Option(help="The hub name of what the training began from, for the model card."),
]
ModelLicence = Annotated[
    str | None,
    typer.Option(
        "--licence",
        help="The Hub's name of the model's licence, such as mit, for the model card. Default: the"
        " card says that none is given.",
    ),
]
TasksOfRun = Annotated[
    str | None,
    typer.Option(
        help="The tasks to predict, separated by commas. Default: all tasks of the run; a"
        " model's folder needs a task."
    ),
]
TasksToCompare = Annotated[
    str | None,
    typer.Option(
        "--tasks",
        help="The tasks to compare, separated by commas. Default: all tasks that both runs have.",
    ),
]
Format = Annotated[str, typer.Option(help="The format of the printed table: md, tex, csv or json.")]
VerificationFolder = Annotated[
    Path | None,
    typer.Option(
        help="The folder for verification.json and the new runs. Default: NAME-verification in the"
        " current folder."
    ),
]
ModelFolders = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="The folder or URI of the model that the run has fine-tuned. Can be repeated for"
        " several models. Default: the study's models.",
    ),
]
WinnerSeeds = Annotated[
    int | None,
    typer.Option(
        min=1, help="The number of seeds of each winner to train again. Default: all of them."
    ),
]
NoRerun = Annotated[
    bool,
    typer.Option(
        "--no-rerun", help="Train nothing. Data files that are not there are then not checked."
    ),
]
TrainFile = Annotated[
    Path | None,
    typer.Option(help="A training file of your own (.csv, .tsv, .jsonl, .parquet)."),
]
DevFile = Annotated[
    Path | None,
    typer.Option(help="The dev file of a task of your own. Default: a tenth of the training rows."),
]
TestFile = Annotated[
    Path | None,
    typer.Option(
        help="A file of your own that `raysearch predict` is to predict. Default: none; a line"
        " `test: FILE` in the study or the run's study.yaml adds one later."
    ),
]
HeadName = Annotated[
    str | None,
    typer.Option(
        help="What a task of your own predicts: classify, regress, choose, tag or span."
        " Default: classify."
    ),
]
TextColumns = Annotated[
    str | None,
    typer.Option(
        help="The columns that the model reads, separated by commas. Default: those that the head"
        " has in docs/own_data.md, if any."
    ),
]
OptionColumns = Annotated[
    str | None,
    typer.Option(
        "--options",
        help="Of choose: the column with the list of options, or a column for each, separated by"
        " commas.",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(help="The column of the label. Default: label; tags of tag, answers of span."),
]
