"""A user's own tables: the same rows in every format, each head, every broken row by its place."""

import json
import re

import pytest
from support.own_files import NAMES, write_rows
from support.paths import SHARED

from raysearch.data import readers
from raysearch.errors import InputError
from raysearch.study.own_tasks import OwnTask
from raysearch.tasks import get

PAIRS = [
    {"key": "k1", "a": "He said: no, \"never\".", "b": "Ü", "gold": "yes"},
    {"key": "k2", "a": "One", "b": "two", "gold": "no"},
    {"key": "k3", "a": "Three", "b": "four, five", "gold": "yes"},
]  # fmt: skip
ENTRY = {"text": ["a", "b"], "label": "gold", "labels": ["no", "yes"], "id": "key"}
# Head -> an entry, rows, and what they are read as, without ids.
HEADS = {
    "classify": (
        {"text": ["a"], "labels": [0, 1]},
        [{"a": "x", "label": 0}, {"a": "y", "label": 1}],
        [{"a": "x", "label": 0}, {"a": "y", "label": 1}],
    ),
    "regress": (
        {"text": ["a", "b"], "bounds": [0, 5]},
        [{"a": "x", "b": "y", "label": 2.5}, {"a": "y", "b": "z", "label": 5}],
        [{"a": "x", "b": "y", "label": 2.5}, {"a": "y", "b": "z", "label": 5.0}],
    ),
    "choose": (
        {"text": ["story"], "options": ["end"]},
        [{"story": "x", "end": ["p", "q", "r"], "label": 2},
         {"story": "y", "end": ["s", "t"], "label": 0}],
        [{"passage": "x", "question": "", "options": ("p", "q", "r"), "label": 2},
         {"passage": "y", "question": "", "options": ("s", "t"), "label": 0}],
    ),
    "tag": (
        {"labels": ["O", "B-PER"]},
        [{"tokens": ["Ann", "ran"], "tags": ["B-PER", "O"]}, {"tokens": ["No"], "tags": ["O"]}],
        [{"words": ("Ann", "ran"), "label": (1, 0)}, {"words": ("No",), "label": (0,)}],
    ),
    "span": (
        {},
        [{"context": "Ann ran.", "question": "Who?",
          "answers": {"text": ["Ann"], "answer_start": [0]}},
         {"context": "It is so.", "question": "How?",
          "answers": {"text": ["so"], "answer_start": [6]}}],
        [{"context": "Ann ran.", "question": "Who?", "answers": (("Ann", 0),), "label": None},
         {"context": "It is so.", "question": "How?", "answers": (("so", 6),), "label": None}],
    ),
}  # fmt: skip


def own(root, entry, split="train", **options):
    """Return the examples of a split of an own task."""
    task = OwnTask.model_validate({"dev": "dev.csv", **entry}).task("own/x")
    return list(readers.read(task, task.splits()[split], root, **options))


def places(root, entry, split="train"):
    """Return place -> text of what is wrong with a file."""
    with pytest.raises(InputError) as caught:
        own(root, entry, split)
    return {problem.location: problem.text for problem in caught.value.problems}


def path_of(root, kind, name="train"):
    return root / (name if kind == "folder" else f"{name}.{kind}")


@pytest.mark.parametrize("kind", NAMES)
def test_the_same_rows_are_the_same_examples_in_every_format(kind, tmp_path):
    path = write_rows(path_of(tmp_path, kind), PAIRS)
    assert own(tmp_path, {**ENTRY, "train": path.name}) == [
        {"id": row["key"], "a": row["a"], "b": row["b"], "label": int(row["gold"] == "yes")}
        for row in PAIRS
    ]


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("head", HEADS)
def test_every_head_reads_every_format(head, kind, tmp_path):
    entry, rows, expected = HEADS[head]
    path = write_rows(path_of(tmp_path, kind), rows)
    examples = own(tmp_path, {**entry, "head": head, "train": path.name})
    assert examples == [{"id": str(index), **row} for index, row in enumerate(expected)]


@pytest.mark.parametrize("kind", ["parquet", "folder"])
@pytest.mark.parametrize("head", ["classify", "tag"])
def test_numbers_of_named_classes_are_read_by_their_names(head, kind, tmp_path):
    entry = {"classify": {"text": "a"}, "tag": {"head": "tag"}}[head]
    rows = {
        "classify": [{"a": "x", "label": 1}, {"a": "y", "label": 0}],
        "tag": [{"tokens": ["x", "y"], "tags": [1, 0]}],
    }[head]
    classes = {"label": ["bad", "good"], "tags": ["bad", "good"]}
    path = write_rows(path_of(tmp_path, kind), rows, classes)
    entry = {**entry, "labels": ["good", "bad"], "train": path.name}
    read = [example["label"] for example in own(tmp_path, entry)]
    assert read == {"classify": [0, 1], "tag": [(0, 1)]}[head]


def test_several_files_are_one_split_with_running_ids(tmp_path):
    write_rows(tmp_path / "a.csv", PAIRS[:2])
    write_rows(tmp_path / "b.jsonl", PAIRS[2:])
    entry = {name: value for name, value in ENTRY.items() if name != "id"}
    examples = own(tmp_path, {**entry, "train": ["a.csv", "b.jsonl"]})
    assert [example["id"] for example in examples] == ["0", "1", "2"]


def test_a_line_break_inside_quotes_belongs_to_the_text_and_to_the_count_of_lines(tmp_path):
    text = 'a,label\n"one\ntwo",yes\nthree,perhaps\n'
    (tmp_path / "t.csv").write_text(text)
    entry = {"text": "a", "labels": ["no", "yes"], "train": "t.csv"}
    assert [*places(tmp_path, entry)] == ["line 4"]
    (tmp_path / "t.csv").write_text(text.replace("perhaps", "no"))
    assert [example["a"] for example in own(tmp_path, entry)] == ["one\ntwo", "three"]


def test_every_broken_row_of_a_csv_is_named_by_its_line(tmp_path):
    rows = ["a,label", "ok,yes", "too,many,no", '"x"y,no', " ,no", "ok,perhaps", "ok,", "",
            'ok,"no']  # fmt: skip
    (tmp_path / "t.csv").write_text("".join(f"{row}\n" for row in rows))
    found = places(tmp_path, {"text": "a", "labels": ["no", "yes"], "train": "t.csv"})
    assert {place: re.split("[;,]", text)[0] for place, text in found.items()} == {
        "line 3": "3 columns where there should be 2",
        "line 4": "text after a closing quote",
        "line 5": "'a' is blank",
        "line 6": "label 'perhaps'",
        "line 7": "'label' has no value",
        "line 8": "is blank",
        "line 9": "a quote begins here that does not end",
    }


def test_every_broken_row_of_json_lines_is_named_by_its_line(tmp_path):
    good = json.dumps({"a": "x", "label": "yes"})
    rows = [good, "{", "[1]", '{"a": "x"}', '{"a": null, "label": "no"}',
            '{"a": [], "label": "no"}', '{"a": "\\ud800", "label": "no"}',
            '{"a": "x", "label": true}', ""]  # fmt: skip
    (tmp_path / "t.jsonl").write_text("".join(f"{row}\n" for row in [*rows, good]))
    found = places(tmp_path, {"text": "a", "labels": ["no", "yes"], "train": "t.jsonl"})
    assert [*found] == [f"line {number}" for number in range(2, 10)]
    assert "no column named 'label'" in found["line 4"]
    assert "half a surrogate" in found["line 7"]


@pytest.mark.parametrize(
    ("head", "row", "text"),
    [
        ("regress", {"label": 7}, "is not a number from 0 to 5"),
        ("regress", {"label": "warm"}, "is not a number"),
        ("choose", {"label": 3}, "0 to 2"),
        ("choose", {"end": ["one"]}, "two options or more"),
        ("choose", {"end": ["one", " "]}, "'end' is blank"),
        ("tag", {"tags": ["O"]}, "1 tags for 2 words"),
        ("tag", {"tags": ["O", "B-XX"]}, "label 'B-XX'"),
        ("tag", {"tokens": "Ann ran"}, "where a list should be"),
        ("span", {"answers": {"text": ["Bob"], "answer_start": [0]}}, "is not in its context"),
        ("span", {"answers": {"text": [], "answer_start": []}}, "unanswerable: true"),
        ("span", {"answers": {"text": [" "], "answer_start": [0]}}, "has no 'text'"),
        ("span", {"question": ""}, "'question' is blank"),
    ],
)
def test_what_a_head_cannot_use_is_named(head, row, text, tmp_path):
    entry, rows, _ = HEADS[head]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{json.dumps(r)}\n" for r in [rows[0], {**rows[0], **row}]))
    found = places(tmp_path, {**entry, "head": head, "train": path.name})
    assert [*found] == ["line 2"]
    expected = "is no list in JSON" if "where a list" in text else text
    assert expected in found["line 2"]


def test_choices_are_labelled_by_numbers_letters_texts_or_named_labels(tmp_path):
    rows = [{"story": "s", "x": "ran", "y": "hid", "label": label} for label in ("1", "B", "hid")]
    write_rows(tmp_path / "t.csv", rows)
    entry = {"head": "choose", "text": "story", "options": ["x", "y"], "train": "t.csv"}
    assert [example["label"] for example in own(tmp_path, entry)] == [1, 1, 1]
    write_rows(tmp_path / "t.csv", [{**rows[0], "label": "1"}, {**rows[0], "label": "2"}])
    labelled = own(tmp_path, {**entry, "labels": [1, 2]})
    assert [example["label"] for example in labelled] == [0, 1]


def test_questions_may_have_no_answer_where_the_study_says_so(tmp_path):
    _, rows, _ = HEADS["span"]
    none = {**rows[0], "answers": {"text": [], "answer_start": []}}
    write_rows(tmp_path / "t.jsonl", [*rows, none])
    examples = own(tmp_path, {"head": "span", "train": "t.jsonl", "unanswerable": True})
    assert [example["answers"] for example in examples][2] == ()


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("t.csv", "a;label\nx;yes\n", "one column, 'a;label', where"),
        ("t.csv", "a,lable\nx,yes\n", "did you mean 'lable'"),
        ("t.csv", "a,a,label\nx,y,yes\n", "more than once"),
        ("t.csv", "", "is empty"),
        ("t.csv", "a,label\n", "has a header and no rows"),
        ("t.jsonl", "[\n1]\n", "one JSON object in each line"),
        ("t.parquet", "PAR", "is no parquet file"),
        ("t.xlsx", "PK", "save it as CSV"),
        ("t.dat", "x", "no known ending"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(name, content, text, tmp_path):
    (tmp_path / name).write_text(content)
    found = places(tmp_path, {"text": "a", "labels": ["no", "yes"], "train": name})
    assert any(text in each for each in found.values()), found


def test_a_folder_of_splits_or_without_its_files_is_refused(tmp_path):
    (tmp_path / "d").mkdir()
    entry = {"text": "a", "labels": ["no", "yes"], "train": "d"}
    assert "save_to_disk" in places(tmp_path, entry)["folder"]
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert "d/train, d/test" in places(tmp_path, entry)["folder"]
    (tmp_path / "d" / "dataset_dict.json").unlink()
    (tmp_path / "d" / "state.json").write_text('{"_data_files": [{"filename": "../x.arrow"}]}')
    assert "names no file of the folder" in places(tmp_path, entry)["folder"]


def test_training_rows_may_be_left_out(tmp_path):
    write_rows(tmp_path / "t.csv", [*PAIRS, {**PAIRS[0], "gold": "?"}])
    assert len(own(tmp_path, {**ENTRY, "train": "t.csv"}, max_bad_rows=1)) == 3


class TestHoldOut:
    """A dev set that is a share of the training file."""

    def rows(self, count=200):
        labels = ("yes", "no", "no", "no")
        return [
            {"a": f"t{index}", "gold": labels[index % 4], "who": f"p{index // 5}"}
            for index in range(count)
        ]

    def parts(self, root, **entry):
        entry = {"text": "a", "label": "gold", "labels": ["no", "yes"], "train": "t.csv",
                 "dev": {}, "hold_out": 0.1, **entry}  # fmt: skip
        return own(root, entry), own(root, entry, "dev")

    def test_it_is_stratified_seeded_and_the_rest_is_trained_on(self, tmp_path):
        write_rows(tmp_path / "t.csv", self.rows())
        train, dev = self.parts(tmp_path)
        assert sorted(int(example["id"]) for example in (*train, *dev)) == [*range(200)]
        assert [sum(e["label"] == label for e in dev) for label in (0, 1)] == [15, 5]
        assert self.parts(tmp_path) == (train, dev)
        assert self.parts(tmp_path, seed=2)[1] != dev

    def test_groups_stay_together(self, tmp_path):
        write_rows(tmp_path / "t.csv", self.rows())
        train, dev = self.parts(tmp_path, group="who")
        groups = [{int(e["id"]) // 5 for e in part} for part in (train, dev)]
        assert not groups[0] & groups[1]
        assert len(dev) == 20

    def test_a_passage_stays_on_one_side(self, tmp_path):
        rows = [{"context": f"c{i // 4} x", "question": "q",
                 "answers": {"text": ["x"], "answer_start": [f"c{i // 4} x".index("x")]}}
                for i in range(80)]  # fmt: skip
        write_rows(tmp_path / "t.jsonl", rows)
        train, dev = self.parts(tmp_path, head="span", train="t.jsonl", text=[], labels=[],
                                label="answers")  # fmt: skip
        contexts = [{example["context"] for example in part} for part in (train, dev)]
        assert len(dev) == 8
        assert not contexts[0] & contexts[1]

    def test_a_row_that_is_left_out_of_training_is_no_problem_of_dev(self, tmp_path):
        write_rows(tmp_path / "t.csv", [*self.rows(), {"a": "", "gold": "no", "who": "p"}])
        with pytest.raises(InputError, match="is blank"):
            self.parts(tmp_path)
        entry = {"text": "a", "label": "gold", "labels": ["no", "yes"], "train": "t.csv",
                 "dev": {}, "hold_out": 0.1}  # fmt: skip
        train = own(tmp_path, entry, max_bad_rows=1)
        assert len(train) + len(own(tmp_path, entry, "dev")) == 200


def test_content_is_the_identity_wherever_the_files_lie(tmp_path):
    def digest(root, **entry):
        task = OwnTask.model_validate({**ENTRY, "dev": "dev.csv", **entry}).task("own/x")
        return readers.fingerprint(task, task.train, root)

    path = write_rows(tmp_path / "one" / "t.csv", PAIRS)
    write_rows(tmp_path / "two" / "sub" / "other.csv", PAIRS)
    first = digest(tmp_path / "one", train="t.csv")
    assert (
        first
        == digest(tmp_path / "two", train="sub/other.csv")
        == digest(tmp_path, train=str(path))
    )
    assert first != digest(tmp_path / "one", train="t.csv", metrics=["mcc"])
    assert first != digest(tmp_path / "one", train="t.csv", text=["b", "a"])
    write_rows(tmp_path / "one" / "t.csv", PAIRS[:2])
    assert first != digest(tmp_path / "one", train="t.csv")


@pytest.mark.skipif(not (SHARED / "data/glue/RTE").is_dir(), reason="no files of RTE here")
def test_the_published_tsv_of_rte_has_the_same_texts_through_own():
    root, rte = SHARED / "data" / "glue", get("glue/rte")
    entry = {"train": "RTE/train.tsv", "dev": "RTE/dev.tsv", "text": ["sentence1", "sentence2"],
             "labels": ["entailment", "not_entailment"], "id": "index"}  # fmt: skip
    for split in ("train", "dev"):
        assert own(root, entry, split) == list(readers.read(rte, rte.splits()[split], root))


@pytest.mark.skipif(not (SHARED / "data/xtreme/panx").is_dir(), reason="no files of PAN-X here")
def test_a_published_language_may_be_a_further_one_of_its_task(tmp_path):
    panx, root = get("xtreme/panx"), SHARED / "data"
    (tmp_path / "mine.tsv").write_bytes((root / "xtreme/panx/dev-sw.tsv").read_bytes())
    entry = {"like": "xtreme/panx", "dev": {"xx": str(tmp_path / "mine.tsv")}}
    task = OwnTask.model_validate(entry).task("own/panx")
    read = list(readers.read(task, task.splits()["xx"], root))
    assert read == list(readers.read(panx, panx.splits()["sw"], root))
    assert {"en", "de", "sw", "xx", "train"} <= set(readers.present_splits(task, root))
