"""The reference page of the columns of a run folder's parquet files.

Names and types are those of files that the program's own functions write of a small made-up run;
the words beside them are here. A column without words, and words without a column, stop the build.
"""

import io
import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from table_text import table

import raysearch
from raysearch.metrics.bootstrap_metrics import AnswerPoints
from raysearch.results.parquet import reports_parquet, trials_parquet
from raysearch.run_folder import dev_predictions
from raysearch.run_folder.events import ReportEvent
from raysearch.run_folder.trial_records import Record

TRIALS = {
    "id": "hash of everything that decides the result; equal trials of all runs have equal ids",
    "task": "name of the task",
    "phase": "`search`, `confirm`, or `teach` for a trial that trains a teacher",
    "number": "index among the trials of the task, from 0",
    "status": "how it ended: `finished`, `stopped`, `diverged`, `degenerate` or `failed`",
    "seed": "random seed",
    "hp.NAME": "the four hyperparameters of every table, and all that the study names",
    "hp.NAME.steps": "the count of a value {steps: N}; `hp.NAME` is empty there",
    "score": "the number by which trials are compared, a fraction; the worst for a trial that"
    " diverged or learned nothing, empty for one that failed",
    "best.METRIC": "scores at the best evaluation, fractions; further dev splits and languages"
    " stand before the metric, `search.` before those of the part that selects with `hold_out`",
    "last.METRIC": "the same at the last evaluation",
    "step": "optimizer steps at the last report",
    "steps": "optimizer steps planned",
    "seconds": "wall seconds of all attempts",
    "host": "host of the last attempt",
    "device": "what its first worker trained on: `cpu` or the name of a GPU",
    "devices": "number of devices that it used",
    "device_hours": "device hours of all attempts",
    "teacher": "id of the trial whose weights are its teacher",
    "attempts": "how often it was started",
    "repeats": "how often the sampler proposed the same configuration again",
    "began": "time of the first start",
    "ended": "time of the end",
    "error": "why it failed",
}
REPORTS = {
    "trial": "id of the trial",
    "phase": "its phase",
    "number": "its index among the trials of the task",
    "attempt": "number of the attempt that made the report, from 1",
    "stage": "name of the recipe's stage",
    "step": "optimizer steps done in this stage",
    "steps": "optimizer steps planned",
    "status": "`running` until the last evaluation",
    "loss": "mean training loss per example since the previous report",
    "rate": "learning rate of the last step",
    "seconds": "wall seconds since the trial began, over all its attempts",
    "tokens": "tokens trained on so far, without padding",
    "micro_batches": "micro-batches in the last step, on the first worker",
    "switched": "share of the words that dictionaries have switched since the previous report",
    "loss.TERM": "mean of a term of the loss, without its weight, where the loss has several",
    "at": "time of the report",
    "dev.METRIC": "a score of the first dev split, a fraction; other splits stand before it",
}
PREDICTIONS = {
    "split": "name of the dev split",
    "id": "id of the example in its split",
    "prediction": "class id, index of the option, or number",
    "gold": "the same of the gold label",
    "tags": "class id of the tag of each word",
    "gold_tags": "the same of the gold tags",
    "answer": "text of the best answer; empty for none",
    "null": "how much better no answer is than the best one",
    "exact": "exact match that the answer earns, 0 or 1",
    "f1": "F1 that the answer earns",
    "answerable": "whether the question has an answer",
    "group": "equal for questions on one context",
    "likelihood": "sum of the log likelihoods of the masked tokens of a block",
    "hits": "masked tokens that were predicted right",
    "tokens": "masked tokens of the block",
}
_WORDS = {"string": "text", "double": "float64", "bool": "true, false"}


def columns_page() -> str:
    """Return the page of all columns of the parquet files in a run folder."""
    task, record = _made_up_trial()
    trials = _schema(trials_parquet(task, [record]))
    reports = _schema(reports_parquet(task.row, [record]))
    predictions = pa.unify_schemas(dev_predictions_schemas())
    parts = [
        "# Columns of the parquet files",
        "A run folder has these files for each task, to read with pandas, DuckDB or any other"
        " program that knows parquet. The journal, `journal.jsonl`, is the record that they are"
        " made of.",
    ]
    for title, schema, words in (
        ("TASK/trials.parquet: a row for each trial", trials, TRIALS),
        ("TASK/reports.parquet: a row for each evaluation of each trial", reports, REPORTS),
        ("TASK/predictions/TRIAL.parquet: a row for each dev example", predictions, PREDICTIONS),
    ):
        parts += [f"## {title}", table(("column", "type", "what it is"), _rows(schema, words))]
    parts.append(
        "Predictions have `split`, `id` and the columns of their task's kind alone:"
        " [Kept dev predictions](../formats.md#kept-dev-predictions)."
    )
    return "\n\n".join(parts)


def dev_predictions_schemas() -> list[pa.Schema]:
    """Return the schemas of the files of dev predictions, of each kind of task."""
    one = np.ones(1)
    points = AnswerPoints(exact=one, f1=one, answerable=one > 0, answered=one > 0, null=one)
    kinds = (
        dev_predictions.class_columns(one, one),
        dev_predictions.tag_columns([[0]], [[0]]),
        dev_predictions.answer_columns(["text"], points, [0]),
        dev_predictions.masked_columns(np.ones((1, 3))),
    )
    return [dev_predictions.to_table("dev", (["0"], columns)).schema for columns in kinds]


def _made_up_trial() -> tuple[raysearch.Study, Record]:
    """Return a task of a study and a trial of it with a report, so that every column is there."""
    study = raysearch.parse(
        {"tasks": ["toy/grammar"], "model": "scratch", "space": {"EPOCH": {"choice": [1, 2]}}}
    )
    report = ReportEvent(
        trial="0", at=0.0, step=1, steps=1, status="finished", scores={"dev.accuracy": 1.0},
        terms={"TERM": 1.0},
    )  # fmt: skip
    record = Record(
        id="0", number=0, task="toy/grammar", phase="search", seed=1, reports=[report],
        configuration={"EPOCH": {"steps": 1}}, status="finished", score=1.0,
        best={"dev.accuracy": 1.0}, last={"dev.accuracy": 1.0},
    )  # fmt: skip
    return study.resolve("toy/grammar"), record


def _schema(content: bytes) -> pa.Schema:
    return parquet.read_schema(io.BytesIO(content))


def _rows(schema: pa.Schema, words: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the rows of a file's columns, those with a name in capitals once for all of a kind.

    Raises:
        ValueError: a column is not described, or a description has no column.
    """
    kinds: dict[str, set[str]] = {}
    for field in schema:
        name = next((name for name in words if _fits(name, field.name)), None)
        if name is None:
            raise ValueError(f"column {field.name} is not described in {__file__}")
        kinds.setdefault(name, set()).add(_WORDS.get(str(field.type), str(field.type)))
    if unknown := set(words) - set(kinds):
        raise ValueError(f"no column is named {', '.join(sorted(unknown))}, see {__file__}")
    types = {
        name: kinds[name].pop() if len(kinds[name]) == 1 else "as its values" for name in words
    }
    return [(f"`{name}`", types[name], text) for name, text in words.items()]


def _fits(name: str, column: str) -> bool:
    """Return whether a column has a name, in which capitals stand for any word."""
    return re.fullmatch(re.sub("[A-Z]+", r"\\w+", re.escape(name)), column) is not None
