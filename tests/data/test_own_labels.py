"""Labels of own tasks from their files, tables from Python, and data sets of a hub."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pytest
from support.own_files import write_rows

import raysearch
from raysearch.data import hub_datasets, readers
from raysearch.data.own_labels import with_labels
from raysearch.errors import InputError

ROWS = [{"a": f"t{index}", "label": label} for index, label in enumerate(("b", "a", "b", "c"))]
ENTRY = {"train": "t.csv", "dev": "d.csv", "text": "a"}


def searched(entry=ENTRY, name="x", **parts):
    return raysearch.parse(
        {"tasks": [f"own/{name}"], "model": "scratch", "own": {name: entry}, **parts}
    )


def labels(root, entry=ENTRY):
    study, problems = with_labels(searched(entry), root)
    assert not problems
    return study.own["x"].labels


def problem(root, entry=ENTRY):
    _, problems = with_labels(searched(entry), root)
    return problems["own/x"]


def test_labels_are_those_of_the_training_files_in_order(tmp_path):
    write_rows(tmp_path / "t.csv", ROWS)
    assert labels(tmp_path) == ("a", "b", "c")
    assert labels(tmp_path, {**ENTRY, "labels": ["c", "b", "a"]}) == ("c", "b", "a")


def test_whole_numbers_are_in_the_order_of_their_values(tmp_path):
    write_rows(tmp_path / "t.csv", [{"a": "x", "label": label} for label in (10, 9, 2)])
    assert labels(tmp_path) == ("2", "9", "10")


def test_named_classes_are_in_their_own_order_also_those_that_no_row_has(tmp_path):
    rows = [{"a": "x", "label": 1}, {"a": "y", "label": 0}]
    write_rows(tmp_path / "folder", rows, {"label": ["good", "bad", "ugly"]})
    assert labels(tmp_path, {**ENTRY, "train": "folder"}) == ("good", "bad", "ugly")


def test_tags_are_those_of_all_words(tmp_path):
    rows = [{"tokens": ["x", "y"], "tags": ["O", "B-PER"]}, {"tokens": ["z"], "tags": ["I-PER"]}]
    write_rows(tmp_path / "t.jsonl", rows)
    entry = {"head": "tag", "train": "t.jsonl", "dev": "d.jsonl"}
    assert labels(tmp_path, entry) == ("B-PER", "I-PER", "O")


def test_a_column_of_texts_or_of_one_value_is_no_column_of_labels(tmp_path):
    write_rows(tmp_path / "t.csv", [{"a": "x", "label": f"v{index}"} for index in range(1500)])
    assert "more than 1,000 different values" in problem(tmp_path).text
    write_rows(tmp_path / "t.csv", [{"a": "x", "label": label} for label in ("n", "y\x1bes")])
    assert r"no study can hold: holds the character \x1b" in problem(tmp_path).text
    write_rows(tmp_path / "t.csv", [{"a": "x", "label": "same"}] * 3)
    assert "the same value in all rows: 'same'" in problem(tmp_path).text


def test_a_column_of_ids_is_no_column_of_labels_unless_they_are_named(tmp_path):
    ids = [f"n{index}" for index in range(30)]
    write_rows(tmp_path / "t.csv", [{"a": "x", "label": label} for label in [*ids, *ids[:20]]])
    told = problem(tmp_path)
    assert told.location == "own.x.labels"
    assert "'label' has 30 different values in 50 training rows, as an id has" in told.text
    assert labels(tmp_path, {**ENTRY, "labels": ids}) == tuple(ids)
    write_rows(tmp_path / "t.csv", [{"a": "x", "label": label} for label in [*ids, *ids]])
    assert len(labels(tmp_path)) == 30


def test_a_metric_of_two_classes_is_refused_once_there_are_three(tmp_path):
    write_rows(tmp_path / "t.csv", ROWS)
    assert problem(tmp_path, {**ENTRY, "metrics": ["f1"]}).location == "own.x.metrics"


def test_a_study_without_data_keeps_no_labels_and_is_valid(tmp_path):
    study, problems = with_labels(searched(), None)
    assert (study.own["x"].labels, problems) == ((), {})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Frame:
    """A toy that looks like a data frame of pandas, which is no requirement."""

    iloc = None

    def __init__(self, rows):
        self.rows = rows


def test_a_table_from_python_is_a_file_named_by_its_content(cache, tmp_path):
    table = pa.Table.from_pylist(ROWS)
    task = raysearch.Task(train=table, dev={"easy": table, "hard": table.slice(1)}, text="a")
    study = searched(task)
    assert len(study.own_files) == len([*(cache / "tables").iterdir()]) == 2
    assert raysearch.Task(train=table, dev="d", text="a").train == task.train
    assert raysearch.parse(json.loads(study.model_dump_json())) == study
    study, _ = with_labels(study, tmp_path)
    own = study.task("own/x")
    assert [row["label"] for row in readers.read(own, own.train, tmp_path)] == [1, 0, 1, 2]


def test_a_data_frame_is_read_without_its_index(cache, monkeypatch):
    def from_pandas(frame, preserve_index):
        assert preserve_index is False
        return pa.Table.from_pylist(frame.rows)

    monkeypatch.setattr("raysearch.data.own_tables._from_pandas", from_pandas)
    task = raysearch.Task(train=Frame(ROWS), dev="d.csv", text="a")
    assert task.train == raysearch.Task(train=pa.Table.from_pylist(ROWS), dev="d", text="a").train


def test_a_real_data_frame_of_pandas(cache):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS, index=[7, 8, 9, 10])
    task = raysearch.Task(train=frame, dev="d.csv", text="a")
    study, _ = with_labels(searched(task), cache)
    own = study.task("own/x")
    assert [row["a"] for row in readers.read(own, own.train, cache)] == [row["a"] for row in ROWS]


def test_wrong_fields_from_python_are_named(cache):
    with pytest.raises(InputError) as caught:
        raysearch.Task(trian="t.csv", seed=-1)
    assert {p.location for p in caught.value.problems} == {"trian", "seed"}
    union = pa.table({"a": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])})
    with pytest.raises(InputError, match="cannot be kept as parquet"):
        raysearch.Task(train=union)


def test_a_data_set_of_a_hub_is_downloaded_once(cache, tmp_path, monkeypatch):
    calls = []

    def load_dataset(*arguments, split):
        calls.append((*arguments, split))
        return SimpleNamespace(save_to_disk=lambda path: write_rows(path / "x", ROWS) and [
            file.rename(path / file.name) for file in (path / "x").iterdir()])  # fmt: skip

    library = SimpleNamespace(load_dataset=load_dataset, __version__="5.2.0")
    monkeypatch.setattr(hub_datasets, "import_module", lambda name: library)
    entry = {**ENTRY, "train": "hub:me/notes:en:train"}
    for _ in range(2):
        assert labels(tmp_path, entry) == ("a", "b", "c")
    assert calls == [("me/notes", "en", "train")]
    task = searched(entry).task("own/x")
    assert "train" in readers.present_splits(task, tmp_path)


@pytest.mark.parametrize(
    ("name", "error", "text", "version"),
    [
        ("hub:me/notes:train", ImportError("no module"), "raysearch[datasets]", ""),
        ("hub:me/notes:train", ConnectionError("no route"), "ConnectionError: no route", "4.0.1"),
        ("hub:me/notes:train", None, "version 4 or newer", "3.6.0"),
        ("hub:me/notes", None, "hub:NAME:CONFIG:SPLIT", "5"),
        ("hub:me/notes:a:b:c", None, "hub:NAME:CONFIG:SPLIT", "5"),
    ],
)
def test_what_a_hub_does_not_give_is_told(name, error, text, version, cache, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise error

    imported = fail if isinstance(error, ImportError) else lambda name: SimpleNamespace(
        load_dataset=fail, __version__=version)  # fmt: skip
    monkeypatch.setattr(hub_datasets, "import_module", imported)
    assert text in problem(tmp_path, {**ENTRY, "train": name}).text
