"""The tasks of SuperGLUE (Wang et al., 2019), with its two diagnostic sets.

Files have the folders and names of the benchmark's own archives, submissions the names that its
site takes. The model of RTE predicts both diagnostic sets.
"""

from typing import Any

from .task import File, Split, Task

Columns = dict[str, str | int]

ENTAILMENT = ("entailment", "not_entailment")
TRUTH = ("false", "true")  # as JSON spells them, and as submissions do

_PAIR: Columns = {"premise": "premise", "hypothesis": "hypothesis", "label": "label", "id": "idx"}
_BOOLQ: Columns = {"question": "question", "passage": "passage", "label": "label", "id": "idx"}
_SENTENCES: Columns = {
    "sentence1": "sentence1",
    "sentence2": "sentence2",
    "label": "label",
    "id": "idx",
}


def _test(name: str, folder: str, file: File, *, gold: bool = False) -> Split:
    return Split(name=name, files=(file,), labelled=False, gold=gold, submission=f"{folder}.jsonl")


def _task(
    name: str,
    folder: str,
    *,
    columns: Columns | None = None,
    label_aliases: dict[str, str] | None = None,
    **row: Any,
) -> Task:
    """Return a task with a training, a dev and a test set.

    Args:
        name: after "superglue/".
        folder: as the archive has it; the submission has its name too.
        columns: of objects whose members are the inputs.
        label_aliases: see `File`.
        row: further fields of `Task`.
    """

    def file(path: str) -> File:
        return File(path=path, columns=columns or {}, label_aliases=label_aliases or {})

    unlabelled = {key: column for key, column in (columns or {}).items() if key != "label"}
    fields = {"head": "classify", "metric": "accuracy", "reader": "jsonl", "layout": "jsonl"}
    return Task(
        name=f"superglue/{name}",
        folder=folder,
        train=Split(name="train", files=(file("train.jsonl"),)),
        dev=(Split(name="dev", files=(file("val.jsonl"),)),),
        test=(_test("test", folder, File(path="test.jsonl", columns=unlabelled)),),
        **{**fields, **row},
    )


def _diagnostic(name: str, folder: str, columns: Columns, **row: Any) -> Task:
    """Return a set that is predicted only; its file holds the labels."""
    return Task(
        name=f"superglue/{name}",
        head="classify",
        labels=ENTAILMENT,
        layout="jsonl",
        folder=folder,
        train=None,
        test=(_test("test", folder, File(path=f"{folder}.jsonl", columns=columns), gold=True),),
        predicted_by="superglue/rte",
        **{"reader": "jsonl", **row},
    )


TASKS = (
    _task("boolq", "BoolQ", columns=_BOOLQ, inputs=("question", "passage"), labels=TRUTH),
    _task(
        "cb",
        "CB",
        columns=_PAIR,
        inputs=("premise", "hypothesis"),
        labels=("entailment", "contradiction", "neutral"),
        extra_metrics=("macro_f1",),
    ),
    _task("copa", "COPA", head="choose", inputs=("passage", "options"), reader="copa"),
    # An example is an answer, true or false; "f1" is F1 over all answers, which the benchmark
    # calls F1a.
    _task(
        "multirc",
        "MultiRC",
        inputs=("passage", "answer"),
        labels=("0", "1"),
        metric="f1",
        extra_metrics=("question_exact",),
        reader="multirc",
        layout="nested_jsonl",
        id_parts=("passage", "question", "answer"),
    ),
    _task(
        "record",
        "ReCoRD",
        head="cloze",
        inputs=("passage", "query", "entities"),
        metric="f1",
        extra_metrics=("exact",),
        reader="record",
    ),
    _task("rte", "RTE", columns=_PAIR, inputs=("premise", "hypothesis"), labels=ENTAILMENT),
    _task("wic", "WiC", inputs=("sentence1", "sentence2"), labels=TRUTH, reader="wic"),
    # The submission spells its labels as Python does.
    _task(
        "wsc",
        "WSC",
        inputs=("text", "referent"),
        labels=("False", "True"),
        label_aliases={"false": "False", "true": "True"},
        reader="wsc",
    ),
    _diagnostic("ax-b", "AX-b", _SENTENCES, inputs=("sentence1", "sentence2"), metric="mcc"),
    _diagnostic(
        "ax-g",
        "AX-g",
        _PAIR,
        reader="winogender",
        inputs=("premise", "hypothesis"),
        metric="accuracy",
        extra_metrics=("gender_parity",),
        id_parts=("pair", "sentence"),
    ),
)
