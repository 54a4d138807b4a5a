"""Broken studies, data files and options: `check` names all that is wrong, and where, at once.

Each case is a study beside a data folder with sound files of an own task and of RTE. Exit code 2,
no traceback, and a last line that names the pages.
"""

import os

import pytest
import yaml
from typer.testing import CliRunner

from raysearch.cli.commands import app

ROWS = [("p", "h", "gold"), *((f"a {i}", f"b {i}", ("yes", "no")[i % 2]) for i in range(40))]
NOTES = {"train": "train.csv", "dev": "dev.csv", "text": ["p", "h"], "label": "gold"}
BASE = {"tasks": ["own/notes"], "model": "scratch:1x64", "own": {"notes": NOTES}}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs `raysearch check` on a study; gives the head of its error and place -> text."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("train", ROWS), ("dev", ROWS[:11])):
        (tmp_path / f"{name}.csv").write_text("\n".join(",".join(row) for row in rows))

    def run(study, *options):
        if isinstance(study, dict):
            study = yaml.safe_dump(study, sort_keys=False)
        (tmp_path / "mine.yaml").write_bytes(study if isinstance(study, bytes) else study.encode())
        done = CliRunner().invoke(app, ["check", "mine.yaml", "--data", ".", *options])
        assert done.exit_code == 2, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        head, *lines, last = done.stderr.splitlines()
        assert last.startswith("explained in docs/")
        assert "unexpected" not in done.stderr
        texts = {}
        for line in lines:
            place, _, text = line.strip().partition("  ")
            if line[2] == " ":  # a further line of the problem before
                place, text = list(texts)[-1], line
            texts[place] = f"{texts[place]}\n{text.strip()}" if place in texts else text.strip()
        return head, texts

    return run


def test_a_wrong_list_of_labels_is_one_problem_with_what_stands_in_the_rows(check):
    head, texts = check({**BASE, "own": {"notes": {**NOTES, "labels": ["0", "1"]}}})
    assert head == "mine.yaml: 1 problem"
    assert texts == {
        "own.notes.labels": "these labels of training rows are not in the list: 'no' (20), 'yes'"
        " (20); no row has '0', '1'; without the list the labels are those of the data"
    }
    _, texts = check(
        {**BASE, "own": {"notes": {**NOTES, "labels": ["yes", "on"], "dev": "no.csv"}}}
    )
    assert {*texts} == {"own.notes.labels", "own/notes"}
    assert "'no' (20); no row has 'on'" in texts["own.notes.labels"]


def test_a_few_wrong_labels_are_those_of_their_rows(check, tmp_path):
    (tmp_path / "train.csv").write_text(f"{TABLE.decode()}\na,b,yess")
    _, texts = check({**BASE, "own": {"notes": {**NOTES, "labels": ["no", "yes"]}}})
    assert texts["own/notes train.csv line 42"] == "label 'yess'; the labels are: no, yes"
    assert "own.notes.labels" not in texts


def test_a_few_broken_rows_of_a_training_file_are_told_with_what_would_leave_them_out(
    check, tmp_path
):
    (tmp_path / "train.csv").write_text(f"{TABLE.decode()}\n,b,yes\na,,no\nc,d")
    head, texts = check(BASE)
    assert head == "mine.yaml: 3 problems"
    hint = "`leave_out: 3` in the study, or `--leave-out 3` of init, would leave these 3 rows out"
    assert texts["own/notes train"] == hint
    _, texts = check({**BASE, "leave_out": 2})
    assert texts["own/notes train"] == f"{hint}; it is 2"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**BASE, "leave_out": 3}))
    done = CliRunner().invoke(app, ["check", "mine.yaml", "--data", "."])
    assert done.exit_code == 0, done.output


def test_too_many_broken_rows_and_those_of_dev_have_no_such_remedy(check, tmp_path):
    (tmp_path / "train.csv").write_text(TABLE.decode() + "\n,b,yes" * 6)
    (tmp_path / "dev.csv").write_text(f"{TABLE.decode()}\n,b,yes")
    head, texts = check(BASE)
    assert head == "mine.yaml: 7 problems"
    assert set(texts.values()) == {"'p' is blank"}


def test_mistakes_of_a_study_hide_neither_those_of_its_own_files_nor_those_of_its_chains(check):
    study = {
        **BASE,
        "tasks": ["own/notes", "own/more"],
        "space": {"LR": {"log": [2, 1]}, "BZS": {"choice": [8]}},
        "own": {"notes": {**NOTES, "text": ["p", "hh"]}, "more": {**NOTES, "dev": "none.csv"}},
        "per_task": {"own/more": {"from": "own/ntoes"}},
        "search": {"sampler": "tpee", "trials": 0},
        "confirm": {"top": -1},
    }
    _, texts = check(study)
    assert {*texts} == {
        "space.LR", "space.BZS", "per_task.own/more.from", "search.sampler", "search.trials",
        "confirm.top", "own/notes train.csv line 1", "own/notes dev.csv line 1", "own/more",
    }  # fmt: skip
    assert "did you mean 'own/notes'?" in texts["per_task.own/more.from"]
    assert "no column named 'hh'" in texts["own/notes train.csv line 1"]
    assert "no none.csv in ." in texts["own/more"]


def test_a_wrong_setting_hides_no_length_that_the_model_has_not(check):
    _, texts = check(BASE, "--set", "LR=abc", "--set", "max_length=600")
    assert {*texts} == {"fixed.LR", "max_length"}
    assert "positions for 512 tokens, got 600" in texts["max_length"]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"recipe": "lora"}, "recipe"),
        ({"fixed": {"lora_rank": 4}}, "fixed.lora_rank"),
        ({"space": {"lora_rank": {"choice": [4, 8]}}}, "space.lora_rank"),
        ({"per_task": {"own/notes": {"fixed": {"lora_rank": 4}}}},
         "per_task.own/notes.fixed.lora_rank"),
    ],
)  # fmt: skip
def test_adapters_on_a_model_from_scratch_are_refused(check, fields, place):
    _, texts = check({**BASE, **fields})
    assert {*texts} == {place}
    assert "no pretrained weights that the adapters of lora_rank could keep" in texts[place]


def test_a_share_that_is_none_is_one_problem_and_the_files_are_read_all_the_same(check):
    entry = {**NOTES, "hold_out": 1.5, "label": "glod"}
    del entry["dev"]
    _, texts = check({**BASE, "own": {"notes": entry}})
    assert {*texts} == {"own.notes.hold_out", "own/notes train.csv line 1"}
    assert texts["own.notes.hold_out"] == "input should be less than 1, got 1.5"


TABLE = "\n".join(",".join(row) for row in ROWS).encode()
NOT_READ = {
    "UTF-16": (TABLE.decode().encode("utf-16"), "file", "is UTF-16; save it as UTF-8"),
    "gzip": (b"\x1f\x8b\x08\x00rest", "file", "is compressed with gzip; unpack it"),
    "a web page": (b"<!DOCTYPE html>\n<html>", "file", "is a web page; download the file itself"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid x", "file",
                  "is a pointer of Git LFS; `git lfs pull` fetches the file"),
    "empty": (b"", "file", "is empty; it may not have been downloaded whole"),
    "without rows": (b"p,h,gold\n", "file", "has a header and no rows"),
    "old line ends": (TABLE.replace(b"\n", b"\r"), "line 1", "holds a carriage return alone;"),
    "semicolons": (TABLE.replace(b",", b";"), "line 1", "one column, 'p;h;gold', where p, h, gold"),
    "a huge line": (TABLE + b"\n" + b"x" * 2**25, "line 42", "the line, or the blank lines after"),
    "a NUL byte": (TABLE + b"\na\0,b,yes", "line 42", "holds a NUL byte; the file may be damaged"),
    "Latin-1": (TABLE + b"\ncaf\xe9,b,yes", "line 42", "byte 0xe9 at position 4 is not UTF-8"),
    "an open quote": (TABLE + b'\n"a,b,yes\nc,d,no', "line 42", "a quote begins here that does"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOT_READ)
def test_a_training_file_that_cannot_be_read_is_one_problem_beside_those_of_the_study(
    check, tmp_path, kind
):
    """Its labels are not known then, which is no fault of the dev file."""
    content, place, text = NOT_READ[kind]
    (tmp_path / "train.csv").write_bytes(content)
    _, texts = check({**BASE, "search": {"sampler": "tpee"}})
    hints = {"own/notes train"} if kind in ("a NUL byte", "Latin-1") else set()
    assert {*texts} == {"search.sampler", f"own/notes train.csv {place}"} | hints
    assert texts[f"own/notes train.csv {place}"].startswith(text)


def test_a_file_that_is_a_pipe_or_a_folder_is_told_as_what_it_is(check, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    _, texts = check({**BASE, "own": {"notes": {**NOTES, "train": ["pipe.csv", "folder.csv"]}}})
    assert "it is a pipe, and only regular files are read" in texts["own/notes pipe.csv file"]
    (tmp_path / "pipe.csv").unlink()
    _, texts = check({**BASE, "own": {"notes": {**NOTES, "train": "folder.csv"}}})
    assert "is a folder without state.json" in texts["own/notes folder.csv folder"]
    _, texts = check({**BASE, "own": {"notes": {**NOTES, "train": "gone.csv"}}})
    assert {*texts} == {"own/notes"}


def test_options_and_the_file_are_told_together(check):
    _, texts = check(
        {**BASE, "space": {"LR": {"log": [2, 1]}}}, "--tasks", "own/notes,glue/x",
        "--sampler", "grd", "--set", "LR", "--set", "XX=1", "--set", "BSZ=-4", "--model", "./no",
    )  # fmt: skip
    assert [*texts] == [
        "model", "tasks[1]", "search.sampler", "--set LR", "fixed.XX", "fixed.BSZ", "space.LR"
    ]  # fmt: skip


STUDIES = {
    "dates": (b"tasks: [2020-01-01]", {"line 1"}),
    "tabs": (b"tasks:\n\t- toy/grammar\n", {"line 2"}),
    "two documents": (b"tasks: [toy/grammar]\n---\ntasks: [x]\n", {"line 2"}),
    "an object": (b"tasks: !!python/object/apply:os.system ['true']", {"line 1"}),
    "an alias of itself": (b"tasks: &a [*a]", {"line 1"}),
    "more aliases than a study has": (
        b"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        b"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\ntasks: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]",
        {"line 4"},
    ),
    "Latin-1": (b"model: scratch\n# \xe9\n", {"line 2"}),
    "a NUL byte": (b"model: scratch\n\ntasks: [a\0]\n", {"line 3"}),
    "a byte order mark and CRLF": (
        b"\xef\xbb\xbftasks: [toy/gramar]\r\nmodel: scratch\r\nfixd: 1\r\n", {"tasks[0]", "fixd"},
    ),
    "a key twice": (
        b"tasks: [toy/grammar]\nmodel: scratch\nmodel: ./no\nfixed: {LR: 1, LR: 2, BSZ: x}\n",
        {"line 3", "line 4", "model", "fixed.BSZ"},
    ),
    "other types everywhere": (
        b"tasks: {a: 1}\nmodel: [1]\nspace: 3\nfixed: [a]\nsearch: yes\nconfirm: 5\nown: 7\n"
        b"per_task: [x]\npublished: x\nname: {}\ntrain: 5\nrecipe: [finetune]\n",
        {"tasks", "model", "space", "fixed", "search", "confirm", "own", "per_task", "published",
         "name", "train", "recipe"},
    ),
    "a list": (b"- a\n- b\n", {"file"}),
    "a text": (b"hello", {"file"}),
    "nothing": (b"# nothing\n", {"file"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", STUDIES)
def test_a_file_that_is_no_study_is_told_with_its_places(check, kind):
    content, places = STUDIES[kind]
    assert {*check(content)[1]} == places


def test_weights_that_were_cut_off_and_a_missing_tokenizer_are_told_before_anything_starts(
    check, tmp_path
):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "bert"}')
    (model / "model.safetensors").write_bytes(b"\x08\0\0\0")
    head, texts = check({**BASE, "model": "./model", "fixed": {"LR": "x"}})
    assert head == "mine.yaml: 3 problems"
    assert {*texts} == {"model", "fixed.LR"}
    weights, tokenizer = texts["model"].splitlines()
    assert weights.startswith("cannot read 'model', model.safetensors: ")
    assert weights.endswith("a whole copy would do")
    assert "tokenizer: it has no vocabulary" in tokenizer
