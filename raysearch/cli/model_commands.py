"""The commands for fine-tuned models, checkpoints and prediction files.

They only parse and print. Other packages do the work and are imported when a command needs them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, Problem, printable
from .app import app, local_folder, print_line
from .exit_codes import guarded
from .options import (
    AsJson,
    AsOfficial,
    BaseModel,
    ConvertedTask,
    EnsembleSize,
    EvaluatedSplit,
    EvaluationSettings,
    Family,
    Head,
    HeadKind,
    ModelLicence,
    NullOdds,
    PredictedSplit,
    Split,
    StudyOfTask,
    TasksOfRun,
    Threshold,
    Tokenizer,
    data_option,
    examples,
)


@app.command(
    epilog=examples(
        "raysearch predict runs/minilm-glue --to submission",
        "raysearch predict runs/minilm-glue/glue-rte/best --to out --tasks glue/rte --data DATA",
        "raysearch predict runs/minilm-glue --to dev --split dev",
        "raysearch predict runs/roberta-rte --to submission --ensemble 5",
    )
)
@guarded
def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A run folder, or the folder of a fine-tuned model; or the URI of one. Several"
            " folders predict together, with --ensemble.",
        ),
    ],
    to: Annotated[Path, typer.Option(help="The folder to write the prediction files to.")],
    data: Annotated[Path | None, data_option("the folder that the run has read")] = None,
    tasks: TasksOfRun = None,
    split: PredictedSplit = None,
    ensemble: EnsembleSize = None,
) -> None:
    """Predict test or dev splits with the best models, in the benchmarks' file formats."""
    names = tuple(tasks.split(",")) if tasks else None
    if len(sources) > 1 and ensemble is None:
        text = f"they predict together with --ensemble {len(sources)}"
        raise InputError("predict", [Problem(location="SOURCE", text=text)])
    folders = [local_folder(path, weights=True, seeds=ensemble is not None) for path in sources]
    if ensemble is None:
        from ..predictions.prediction import predict as predict_all  # imports torch

        paths: Sequence[Path] = predict_all(
            folders[0], to=to, data=data, names=names, split=split, note=print_line
        )
    else:
        from ..predictions import ensemble_prediction

        result = ensemble_prediction.predict_ensemble(
            folders, count=ensemble, to=to, data=data, names=names, split=split, note=print_line
        )
        if result.scores:
            print(printable(ensemble_prediction.plain_text(result), lines=True))
        paths = result.files
    for path in paths:
        print_line(path)


@app.command(
    epilog=examples(
        "raysearch evaluate runs/minilm-glue/glue-rte/best --tasks glue/rte --data DATA",
        "raysearch evaluate my-mnli --tasks glue/mnli --data DATA --set max_length=256",
    )
)
@guarded
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A transformers folder with a trained head, by any program; or its URI."
        ),
    ],
    tasks: Annotated[
        str, typer.Option(help="The tasks to score, separated by commas, such as glue/rte.")
    ],
    data: Annotated[
        Path | None, data_option("that of the run in which the model lies, else ./data")
    ] = None,
    settings: EvaluationSettings = None,
    split: EvaluatedSplit = "dev",
    study: StudyOfTask = None,
    to: Annotated[
        Path | None,
        typer.Option(help="A folder to write the predictions to. Default: none are written."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a fine-tuned model on dev splits, with 95 % intervals. No run is needed."""
    from ..predictions import model_evaluation

    result = model_evaluation.evaluate(
        model,
        tasks=tasks.split(","),
        data=data,
        settings=settings,
        split=split,
        study=study,
        to=to,
        note=lambda line: print(printable(line), file=sys.stderr),
    )
    form = model_evaluation.json_text if as_json else model_evaluation.plain_text
    print(form(result) if as_json else printable(form(result), lines=True))


@app.command(
    epilog=examples(
        "raysearch convert model.pt --to amos-base",
        "raysearch convert model.pt --to roberta --tokenizer FOLDER",
        "raysearch convert checkpoint_best.pt --to roberta-race --task race/all --licence mit",
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
    head_kind: HeadKind = None,
    task: ConvertedTask = None,
    base_model: BaseModel = None,
    licence: ModelLicence = None,
) -> None:
    """Convert a checkpoint of AMOS, COCO-LM, RoBERTa, XLM-R or Cross-Thought to transformers."""
    from ..models.convert.conversion import convert as convert_checkpoint

    summary = convert_checkpoint(
        checkpoint,
        to=to,
        tokenizer=tokenizer,
        family=family,
        head=head,
        head_kind=head_kind,
        task=task,
        base_model=base_model,
        licence=licence,
    )
    print(printable(summary, lines=True))  # its lines are escaped one by one


@app.command(
    epilog=examples(
        "raysearch score squad/v1.1 --data DATA --predictions predictions.json",
        "raysearch score xtreme/panx --data DATA --predictions predictions.tsv --split test-de",
        "raysearch score glue/rte --predictions runs/minilm-glue",
    )
)
@guarded
def score(
    task: Annotated[str, typer.Argument(help="The name of a task, such as squad/v2.0.")],
    predictions: Annotated[
        str,
        typer.Option(
            help="The predictions in the benchmark's own format; a folder with a file for each"
            " language; or dev predictions that a run has kept: TRIAL.parquet, its folder, or the"
            " run folder or its URI."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="The file of the correct answers, or the folder of the benchmarks. Kept"
            " predictions need none; with it their labels are compared."
        ),
    ] = None,
    study: StudyOfTask = None,
    split: Split = None,
    null_odds: NullOdds = None,
    threshold: Threshold = None,
    as_official: AsOfficial = False,
    as_json: AsJson = False,
) -> None:
    """Print the official scores of predictions in percent. No model is needed."""
    from ..predictions import scoring

    scoring.print_scores(
        task,
        data,
        local_folder(predictions),
        study=study,
        split=split,
        null_odds=null_odds,
        threshold=threshold,
        as_official=as_official,
        as_json=as_json,
    )
