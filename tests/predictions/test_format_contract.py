"""What holds for every format of prediction files: written by the product, read and scored by it.

A damaged copy of a written file either gives the same scores, or is refused with the file and the
place in it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.data_files import (
    BOOLQ,
    COPA,
    MULTIRC,
    PANX,
    RACE,
    RECORD,
    RTE,
    SQUAD,
    SQUAD_2,
    TEXT,
    XNLI,
    DataFile,
    lines,
)

from raysearch.data import readers
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.heads.span_decoding import Answer
from raysearch.predictions.scoring import score
from raysearch.recipes import Hyperparameters
from raysearch.tasks import TASKS, Example, Split, Task


def format_of(task: Task) -> str:
    """Return the format of a task's prediction files."""
    return {"tag": "tags", "thought": "parquet"}.get(task.head, task.layout)


def write_predictions(
    folder: Path, task: Task, split: Split, ids: list[str], predictions: object
) -> Path:
    """Write predictions as the task's head does; the first file has the split's name."""
    head, hyper = HEADS[task.head], Hyperparameters()
    return head.write(folder, task, split, ids, predictions, hyper)[0]


def write_labels(folder: Path, task: Task, split: Split, examples: list[Example]) -> Path:
    """Write the gold labels as predictions."""
    ids, labels = ([row[key] for row in examples] for key in ("id", "label"))
    return write_predictions(folder, task, split, ids, labels)


def write_tags(folder: Path, task: Task, split: Split, examples: list[Example]) -> Path:
    """Write the gold tags as predictions."""
    tags = {row["id"]: row["label"] for row in examples}
    return write_predictions(folder, task, split, [*tags], tags)


def write_answers(folder: Path, task: Task, split: Split, examples: list[Example]) -> Path:
    """Write the first gold answers as predictions, with the null odds of SQuAD 2.0 beside them."""
    answers = {
        row["id"]: Answer(texts=(row["answers"][0][0],), scores=(1.0,), null=-1.0)
        if row["answers"]
        else Answer(texts=("",), scores=(0.0,), null=1.0)
        for row in examples
    }
    return write_predictions(folder, task, split, [*answers], answers)


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format: data with labels, and how the product writes predictions of it.

    Attributes:
        data: a file of examples with labels.
        write: writes predictions that are all right: (folder, task, split, examples) -> file.
        broken: changes the text of the file so that one line is not in the format.
        broken_location: the place of that line in the error.
        unknown_label: changes the text so that one prediction is no label of the task.
        has_ids: whether the file holds ids.
        metric: a metric that is 1.0 for these predictions.
    """

    data: DataFile
    write: Callable[[Path, Task, Split, list[Example]], Path]
    broken: Callable[[str], str]
    broken_location: str
    unknown_label: Callable[[str], str]
    has_ids: bool = True
    metric: str = "accuracy"


STSB = replace(
    RTE,
    task_name="glue/stsb",
    path="STS-B/dev.tsv",
    content=lines(
        "index\tsentence1\tsentence2\tscore", "4\ta\tb\t1.5", "6\ta\tç\t0.0", "5\td\te\t5"
    ),
)
SQUAD_2_DEV = replace(SQUAD_2, split_name="dev", path="squad/dev-v2.0.json")

FORMATS = {
    "glue": Format(
        data=RTE,
        write=write_labels,
        broken=lambda text: text.replace("9\tnot_entailment", "9,not_entailment"),
        broken_location="line 3",
        unknown_label=lambda text: text.replace("9\tnot_entailment", "9\tperhaps"),
    ),
    "glue, numbers": Format(
        data=STSB,
        write=write_labels,
        broken=lambda text: text.replace("6\t0.0", "6"),
        broken_location="line 3",
        unknown_label=lambda text: text.replace("6\t0.0", "6\tnan"),
        metric="pearson_spearman",
    ),
    "lines": Format(
        data=XNLI,
        write=write_labels,
        broken=lambda text: text.replace("entailment", "1\tentailment"),
        broken_location="line 2",
        unknown_label=lambda text: text.replace("entailment", "perhaps"),
        has_ids=False,
    ),
    "numbered": Format(
        data=RACE,
        write=write_labels,
        broken=lambda text: text.replace("1\t0", "1"),
        broken_location="line 2",
        unknown_label=lambda text: text.replace("1\t0", "1\tA"),
    ),
    "json": Format(
        data=SQUAD,
        write=write_answers,
        broken=lambda text: text.replace('"q2": ', '"q2" '),
        broken_location="line 3",
        unknown_label=lambda text: text.replace('"q2": "Ümit"', '"q2": null'),
        metric="exact",
    ),
    "json, with questions without an answer": Format(
        data=SQUAD_2_DEV,
        write=write_answers,
        broken=lambda text: text.replace('"Ümit",', '"Ümit"', 1),
        broken_location="line 3",
        unknown_label=lambda text: text.replace('"q2": "Ümit"', '"q2": 1'),
        metric="exact",
    ),
    "jsonl": Format(
        data=BOOLQ,
        write=write_labels,
        broken=lambda text: text.replace('{"idx": 1', '{"idx" 1'),
        broken_location="line 2",
        unknown_label=lambda text: text.replace('"false"', '"perhaps"'),
    ),
    "jsonl, options": Format(
        data=COPA,
        write=write_labels,
        broken=lambda text: text.replace('{"idx": 1', '{"ids": 1'),
        broken_location="line 2",
        unknown_label=lambda text: text.replace('"label": 1', '"label": 2'),
    ),
    "jsonl, answers": Format(
        data=RECORD,
        write=write_answers,
        broken=lambda text: text.replace('{"idx": 101', '{"idx" 101'),
        broken_location="line 2",
        unknown_label=lambda text: text.replace('"label": "Köln"', '"label": null'),
        metric="exact",
    ),
    "nested jsonl": Format(
        data=MULTIRC,
        write=write_labels,
        broken=lambda text: text.replace('"answers": [{"idx": 10', '"answer": [{"idx": 10'),
        broken_location="line 2",
        unknown_label=lambda text: text.replace('"label": 0', '"label": 3'),
        metric="question_exact",
    ),
    "tags": Format(
        data=PANX,
        write=write_tags,
        broken=lambda text: text.replace("B-LOC", "Ulm\tB-LOC"),
        broken_location="line 4",
        unknown_label=lambda text: text.replace("B-LOC", "B-CITY"),
        has_ids=False,
        metric="entity_f1",
    ),
}
each_format = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
each_format_with_ids = pytest.mark.parametrize(
    "form",
    [form for form in FORMATS.values() if form.has_ids],
    ids=[name for name, form in FORMATS.items() if form.has_ids],
)


def written(form: Format, root: Path) -> Path:
    """Write the data and predictions that are all right, and return the prediction file."""
    form.data.write(root)
    task = form.data.task
    suffix = "json" if task.layout == "json" else "tsv"
    split = replace(form.data.split, submission=f"predictions.{suffix}")
    examples = list(readers.read(task, split, root))
    return form.write(root / "submission", task, split, examples)


def scores(form: Format, root: Path, path: Path) -> dict[str, float]:
    """Return the scores of a prediction file."""
    return score(form.data.task_name, root, path, split=form.data.split_name).scores


def refusal(form: Format, root: Path, path: Path) -> InputError:
    """Return the error of a prediction file that is refused; it names the file."""
    with pytest.raises(InputError) as caught:
        scores(form, root, path)
    assert caught.value.source == str(path)
    return caught.value


def locations(error: InputError) -> list[str]:
    return [problem.location for problem in error.problems]


def test_every_format_of_a_task_is_in_this_suite() -> None:
    formats = {
        format_of(task)
        for task in TASKS.values()
        if any(split.submission for split in task.splits().values())
    }
    assert {format_of(form.data.task) for form in FORMATS.values()} | {"parquet"} == formats


@each_format
def test_what_is_written_is_read_and_scored(form: Format, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    assert path.read_bytes().endswith(b"\n")
    result = score(form.data.task_name, tmp_path, path, split=form.data.split_name)
    assert result.scores[form.metric] == 1.0
    assert result.examples == 3


@pytest.mark.parametrize(
    "form",
    [form for form in FORMATS.values() if form.data is not RACE],  # its splits are folders
    ids=[name for name, form in FORMATS.items() if form.data is not RACE],
)
def test_a_single_gold_file_gives_the_scores_of_its_folder(form: Format, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    gold = tmp_path / form.data.path
    assert scores(form, gold, path) == scores(form, tmp_path, path)


HARMLESS = {
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "line ends of Windows": lambda text: text.replace(b"\n", b"\r\n"),
    "both": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    "no last line end": lambda text: text.rstrip(b"\n"),
    "no last line end, with those of Windows": lambda text: text.rstrip(b"\n").replace(
        b"\n", b"\r\n"
    ),
    "blank lines at the end": lambda text: text + b"\n\n",
    "blank lines of Windows at the end": lambda text: text.replace(b"\n", b"\r\n") + b"\r\n\r\n",
}


@each_format
@pytest.mark.parametrize("change", HARMLESS)
def test_what_editors_do_to_a_file_changes_no_score(
    form: Format, change: str, tmp_path: Path
) -> None:
    path = written(form, tmp_path)
    expected = scores(form, tmp_path, path)
    path.write_bytes(HARMLESS[change](path.read_bytes()))
    assert scores(form, tmp_path, path) == expected


@each_format
@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\r\n\r\n", b" \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"],
    ids=["no byte", "a line end", "line ends of Windows", "a space", "a mark", "a mark and a line"],
)
def test_an_empty_file_is_refused(form: Format, content: bytes, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    path.write_bytes(content)
    error = refusal(form, tmp_path, path)
    if not content:
        assert "is empty" in str(error)


@each_format
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_a_broken_line_is_refused_with_its_place(
    form: Format, line_end: str, tmp_path: Path
) -> None:
    path = written(form, tmp_path)
    text = path.read_text()
    assert form.broken(text) != text
    path.write_bytes(form.broken(text).replace("\n", line_end).encode())
    assert locations(refusal(form, tmp_path, path))[0] == form.broken_location


@each_format
def test_a_prediction_that_is_no_label_is_refused_with_its_place(
    form: Format, tmp_path: Path
) -> None:
    path = written(form, tmp_path)
    text = path.read_text()
    assert form.unknown_label(text) != text
    path.write_text(form.unknown_label(text))
    expected = "q2" if form.data.task.layout == "json" else form.broken_location
    assert locations(refusal(form, tmp_path, path)) == [expected]


@each_format
@pytest.mark.parametrize("byte", [b"\xff", b"\xc3", b"\0"], ids=["ff", "half a letter", "NUL"])
def test_a_byte_that_is_no_text_is_refused_with_its_line(
    form: Format, byte: bytes, tmp_path: Path
) -> None:
    path = written(form, tmp_path)
    first, second, *rest = path.read_bytes().split(b"\n")
    middle = len(second) - 2
    damaged = second[:middle] + byte + second[middle:]
    path.write_bytes(b"\n".join([first, damaged, *rest]))
    places = locations(refusal(form, tmp_path, path))
    assert any(re.search(r"\bline 2\b", place) for place in places), places


@each_format
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"], ids=lambda name: name)
def test_another_encoding_is_refused(form: Format, encoding: str, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    path.write_bytes(path.read_text().encode(encoding))
    refusal(form, tmp_path, path)


@each_format_with_ids
def test_an_id_twice_is_refused_with_its_place(form: Format, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    rows = path.read_text().splitlines(keepends=True)
    is_json = form.data.task.layout == "json"
    path.write_text("".join([*rows[:2], rows[1], *rows[2:]]))
    (place,) = locations(refusal(form, tmp_path, path))
    assert place == ("q1" if is_json else "line 3")
    assert "occurs for the second time" in str(refusal(form, tmp_path, path))


@each_format_with_ids
def test_a_missing_id_and_an_unknown_one_are_refused_together(form: Format, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    text = path.read_text()
    last = [str(row["id"]) for row in readers.read(form.data.task, form.data.split, tmp_path)][-1]
    layout, own = form.data.task.layout, last.rpartition("/")[2]
    old, new = {
        "json": (f'"{last}"', '"alien"'),
        "jsonl": (f'"idx": {own},', '"idx": "alien",'),
        "nested_jsonl": (f'"idx": {own},', '"idx": "alien",'),
    }.get(layout, (f"\n{last}\t", "\nalien\t"))
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    message = str(refusal(form, tmp_path, path))
    assert re.search(rf"1 of 3 \w+ have none: {last}\b", message)
    assert re.search(r"in the data: (2/2/)?alien", message)


@each_format
@pytest.mark.parametrize("change", ["one less", "one more"])
def test_a_prediction_less_or_more_is_refused(form: Format, change: str, tmp_path: Path) -> None:
    path = written(form, tmp_path)
    kind = format_of(form.data.task)
    text = path.read_text()
    if kind == "json":
        answers = json.loads(text)
        answers = {"alien": "x", **answers} if change == "one more" else {"q1": answers["q1"]}
        path.write_text(json.dumps(answers))
    elif kind == "tags":
        path.write_text(f"O\n\n{text}" if change == "one more" else text.partition("\n\n")[2])
    else:
        rows = text.splitlines(keepends=True)
        extra = rows[-1].replace(rows[-1].split("\t")[0], "alien") if form.has_ids else rows[-1]
        path.write_text("".join([*rows, extra] if change == "one more" else rows[:-1]))
    refusal(form, tmp_path, path)


@pytest.mark.slow
@each_format
def test_a_file_that_is_cut_anywhere_is_refused_or_holds_all_predictions(
    form: Format, tmp_path: Path
) -> None:
    path = written(form, tmp_path)
    content = path.read_bytes()
    for length in range(len(content.rstrip(b"\n"))):
        path.write_bytes(content[:length])
        # A number that lost its last digits is another number, which nothing can show.
        whole_numbers = form.metric == "pearson_spearman" and content[:length].count(b"\t") == 4
        if whole_numbers and not content[:length].endswith(b"\t"):
            continue
        refusal(form, tmp_path, path)


def test_ids_and_labels_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    split = replace(RTE.split, submission="RTE.tsv")
    for ids, labels in ((["1", "1"], [0, 1]), (["1"], [0, 1]), (["1"], [2]), (["1"], [-1])):
        with pytest.raises(InputError, match="glue/rte dev"):
            write_predictions(tmp_path, RTE.task, split, ids, labels)
    assert list(tmp_path.iterdir()) == []


def test_embeddings_are_a_table_of_ids_and_vectors_and_have_no_score(tmp_path: Path) -> None:
    from pyarrow import parquet

    TEXT.write(tmp_path)
    split = TEXT.task.splits()["test"]
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    path = write_predictions(tmp_path, TEXT.task, split, ["1", "2", "3"], vectors)
    assert path.name == "embeddings.parquet"
    table = parquet.read_table(path)
    assert table.column("id").to_pylist() == ["1", "2", "3"]
    np.testing.assert_array_equal(np.stack(table.column("embedding").to_numpy()), vectors)
    with pytest.raises(InputError, match="no labels of this task are published"):
        score(TEXT.task_name, tmp_path, path)
