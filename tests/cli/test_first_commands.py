"""The first hour: `raysearch` alone, `doctor` and `init`."""

import sys
from collections import namedtuple
from importlib import metadata

import pytest
import yaml
from support.own_files import write_rows
from typer.testing import CliRunner

from raysearch import diagnosis, study
from raysearch.cli import first_commands, new_study
from raysearch.cli.commands import app
from raysearch.errors import RaysearchError

Usage = namedtuple("Usage", "total used free")


def raysearch(*arguments, input=None):
    return CliRunner().invoke(app, list(arguments), input=input)


def test_without_arguments_the_first_steps_are_shown_and_each_of_them_exists():
    result = raysearch()
    assert result.exit_code == 0
    named = [line.split()[1] for line in result.output.splitlines() if line.startswith("  ")]
    assert named == ["doctor", "run", "init", "list", "--help"]
    for name in named[:-1]:
        assert raysearch(name, "--help").exit_code == 0


def findings(**options):
    return {finding.subject: finding for finding in diagnosis.examine(start_ray=False, **options)}


def test_this_machine_can_run_the_tests_and_the_doctor_says_so():
    result = raysearch("doctor", "--no-ray")
    assert result.exit_code == 0, result.output
    assert "PROBLEM" not in result.output
    assert "searches run here" in result.output
    assert sys.executable in findings()["Python"].text


def test_everything_that_is_wrong_is_named_with_what_would_mend_it(monkeypatch):
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda path: Usage(2**30, 0, 2**25))
    monkeypatch.setattr(diagnosis.os, "access", lambda path, mode: False)
    monkeypatch.setattr(diagnosis.resource, "getrlimit", lambda kind: (1024, 65_536))
    monkeypatch.setattr(diagnosis, "_memory_bytes", lambda: (2**30, 2**31))
    monkeypatch.setattr(diagnosis, "gpu_count", lambda: 4)
    lines = ["torch>=2.9", "nothing-of-this-name>=1", 'absent-package>=2; extra == "samplers"']
    monkeypatch.setattr(diagnosis.metadata, "requires", lambda name: lines)
    monkeypatch.setattr(diagnosis, "_resources", lambda: pytest.fail("Ray was started"))
    seen = findings()
    states = {name: finding.state for name, finding in seen.items()}
    assert states["packages"] == states["runs"] == states["cache"] == "problem"
    assert states["memory"] == states["/dev/shm"] == states["open files"] == "note"
    assert states["GPUs"] == "problem"
    assert seen["packages"].text == "nothing-of-this-name missing, needed >=1"
    assert seen["extra samplers"].mend.startswith('pip install "raysearch[samplers]"')
    for finding in seen.values():
        assert bool(finding.mend) == (finding.state != "ok"), finding
    result = raysearch("doctor", "--no-ray")
    assert result.exit_code == 2
    assert result.output.splitlines()[-2:] == [
        "5 things to mend before a search runs here",
        "explained in docs/install.md#what-it-takes",
    ]


def test_a_package_of_another_version_is_a_problem(monkeypatch):
    monkeypatch.setattr(diagnosis.metadata, "requires", lambda name: ["torch>=99"])
    version = metadata.version("torch")
    assert findings()["packages"].text == f"torch {version}, needed >=99"


def test_a_ray_that_does_not_start_is_told(monkeypatch):
    def fails():
        raise RaysearchError("Ray did not start: no room at /tmp\nits log is long")

    monkeypatch.setattr(diagnosis, "_resources", fails)
    *_, last = diagnosis.examine()
    assert (last.subject, last.state) == ("Ray", "problem")
    assert last.text == "Ray did not start: no room at /tmp"
    assert "RAY_TMPDIR" in last.mend


TASKS = [
    ("glue/rte", "bert-base-uncased"),
    ("glue/mnli", "roberta-large"),
    ("squad/v2.0,squad/v1.1", "google/electra-base-discriminator"),
    ("race/middle", "scratch:2x64"),
    ("glue/rte,squad/v1.1,xtreme/panx", "xlm-roberta-base"),
    ("glue/*", "runs/earlier: a folder"),
]


@pytest.mark.parametrize(("names", "model"), TASKS)
def test_a_written_study_is_valid_for_every_head_and_says_what_was_asked_for(
    names, model, tmp_path
):
    answers = new_study.Answers(tasks=names, model=model, trials=7, hours=2.5)
    text = new_study.compose(answers)
    written = study.parse(yaml.safe_load(text), name="written")
    assert written.model == model
    assert (written.search.trials, written.search.hours) == (7, 2.5)
    assert set(written.space) == {"BSZ", "LR", "EPOCH"}
    lengths = {name: written.resolve(name).shared.max_length for name in written.tasks}
    for name, length in lengths.items():
        head = written.resolve(name).row.head
        assert length == {"span": 384, "choose": 512}.get(head, 128)


def test_init_writes_a_study_that_check_accepts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = raysearch("init", "mine.yaml", "--tasks", "toy/grammar", "--model", "scratch:1x64")
    assert result.exit_code == 0, result.output
    commands = [line.strip() for line in result.output.splitlines() if line.startswith("  ")]
    assert commands == ["raysearch check mine.yaml", "raysearch run mine.yaml"]
    assert raysearch("check", "mine.yaml").exit_code == 0
    again = raysearch("init", "mine.yaml", "--tasks", "toy/grammar", "--model", "scratch")
    assert again.exit_code == 2
    assert "is there already" in again.output


@pytest.fixture
def terminal(monkeypatch):
    """Questions are asked; the answers are the input of a command."""
    monkeypatch.setattr(first_commands, "_has_terminal", lambda: True)


def test_init_asks_on_a_terminal_for_what_is_missing(tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    result = raysearch("init", "--tasks", "toy/grammar", input="scratch:1x64\n\n3\n")
    assert result.exit_code == 0, result.output
    assert "task or tasks" not in result.output
    written = study.load("study.yaml")
    assert (written.model, written.tasks) == ("scratch:1x64", ("toy/grammar",))
    assert (written.search.trials, written.search.hours) == (new_study.DEFAULT_TRIALS, 3.0)


def test_an_answer_that_cannot_be_right_is_asked_for_again(tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    write_notes(tmp_path)
    file = "My notes-1.csv"
    answers = ("missing.csv", "glue/rtee", file, "missing.csv", "none", "classfy", "", "text",
               "note", "kin", "kind", "/no/folder", "scratch", "many", "2", "0")  # fmt: skip
    result = raysearch("init", input="".join(f"{answer}\n" for answer in answers))
    assert result.exit_code == 0, result.output
    for text in (
        "there is no file 'missing.csv'",
        "no task named 'glue/rtee'; did you mean 'glue/rte'?",
        "did you mean 'classify'?",
        "no column named 'text'",
        "did you mean 'kind'?",
        "no folder '/no/folder'",
        "columns of My notes-1.csv: note, kind",
    ):
        assert text in result.output
    assert result.output.count("there is no file") == 2
    assert study.load("study.yaml").search.trials == 2


def test_init_names_every_problem_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, texts in (
        ((), ("--tasks", "--model", "no terminal can be asked")),
        (("--tasks", "glue/rtee,nothing", "--model", "x"), ("'glue/rte'?", "'nothing'")),
        (("--tasks", "glue/rtee", "--model", "/nowhere/x"), ("'glue/rte'?", "'/nowhere/x'")),
        (("--tasks", "glue/rte", "--model", "/nowhere/x"), ("no folder '/nowhere/x'",)),
        (("--tasks", "glue/rte", "--model", "scratch", "--data", "."), ("no folder RTE",)),
    ):
        result = raysearch("init", "mine.yaml", *arguments)
        assert result.exit_code == 2, result.output
        assert all(text in result.output for text in texts), result.output
    assert list(tmp_path.iterdir()) == []


def write_notes(folder):
    rows = "".join(f"a note {n},{'yes' if n % 3 else 'no'}\n" for n in range(30))
    (folder / "My notes-1.csv").write_text(f"note,kind\n{rows}")


def test_init_takes_own_files_and_reads_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notes(tmp_path)
    options = ("--train", "My notes-1.csv", "--text", "note", "--label", "kind")
    result = raysearch("init", "mine.yaml", *options, "--model", "scratch:1x64")
    assert result.exit_code == 0, result.output
    assert "  raysearch run mine.yaml\n" in result.output
    written = study.load("mine.yaml")
    assert written.tasks == ("own/my_notes_1",)
    assert written.own["my_notes_1"].hold_out == 0.1
    checked = raysearch("check", "mine.yaml")
    assert checked.exit_code == 0, checked.output
    assert "has 2 labels, in this order: no, yes" in checked.output


# A row of a user's file for each head, the options of init, and the answers to its questions.
OWN = {
    "classify": (
        lambda n: {"note": f"note {n}", "kind": ("yes", "no")[n % 2]},
        {"text": "note", "label": "kind"},
        ("note", "kind"),
    ),
    "regress": (
        lambda n: {"first": f"note {n}", "second": "a note", "label": n / 7},
        {"text": "first,second"},
        ("first, second", ""),
    ),
    "choose": (
        lambda n: {"asked": f"which is {n}", "a": "one", "b": "two", "right": "AB"[n % 2]},
        {"text": "asked", "options": "a,b", "label": "right"},
        ("asked", "a,b", "right"),
    ),
    "tag": (
        lambda n: {"tokens": ["Ann", "saw", str(n)], "ner": ["B-P", "O", "O"]},
        {"label": "ner"},
        ("", "ner"),
    ),
    "span": (
        lambda n: {"context": f"it is {n}", "question": "what is it",
                   "answers": {"text": ["it"], "answer_start": [0]}},
        {},
        ("", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", ["options", "questions"])
@pytest.mark.parametrize("head", OWN)
def test_a_study_of_own_data_of_every_head_passes_check_at_once(
    head, way, tmp_path, monkeypatch, terminal
):
    monkeypatch.chdir(tmp_path)
    row, options, answers = OWN[head]
    for name, first in (("train", 0), ("dev", 40)):
        write_rows(tmp_path / f"{name}.jsonl", [row(first + n) for n in range(40)])
    if way == "options":
        given = {"train": "train.jsonl", "dev": "dev.jsonl", "head": head, "model": "scratch"}
        flags = [text for name, x in {**given, **options}.items() for text in (f"--{name}", x)]
        result = raysearch("init", "mine.yaml", *flags)
        assert "separated by commas" not in result.output
    else:
        lines = ("train.jsonl", "dev.jsonl", head, *answers, "scratch", "", "")
        result = raysearch("init", "mine.yaml", input="".join(f"{line}\n" for line in lines))
    assert result.exit_code == 0, result.output
    checked = raysearch("check", "mine.yaml")
    assert checked.exit_code == 0, checked.output
    assert "train 40 dev 40" in " ".join(checked.output.split())
    task = study.load("mine.yaml").task("own/train")
    assert task.head == head


def test_a_file_to_predict_may_come_later_and_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notes(tmp_path)
    flags = ("--text", "note", "--label", "kind", "--model", "scratch", "--test", "new.csv")
    assert raysearch("init", "mine.yaml", "--train", "My notes-1.csv", *flags).exit_code == 0
    absent = f"own/my_notes_1 test: {tmp_path / 'new.csv'} is not there; `raysearch predict`"
    assert absent in " ".join(raysearch("check", "mine.yaml").output.split())
    (tmp_path / "new.csv").write_text("note\na new one\n")
    assert "is not there" not in raysearch("check", "mine.yaml").output


def test_what_the_head_of_an_own_task_needs_is_asked_for_by_its_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notes(tmp_path)
    result = raysearch(
        "init", "--train", "My notes-1.csv", "--head", "choose", "--model", "scratch"
    )
    assert result.exit_code == 2
    places = [line.split()[0] for line in result.output.splitlines()[1:]]
    assert places == ["--text", "--options", "explained"]


def test_a_division_that_leaves_no_dev_row_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"q": "which one", "a": "this", "b": "that", "label": n % 2} for n in range(30)]
    write_rows(tmp_path / "quiz.jsonl", rows)
    flags = ("--head", "choose", "--text", "q", "--options", "a,b", "--model", "scratch")
    result = raysearch("init", "quiz.yaml", "--train", "quiz.jsonl", *flags)
    assert result.exit_code == 2
    assert "rows with the same 'q' stay on one side, and these have 1" in result.output


def test_init_names_broken_rows_and_writes_a_study_that_leaves_them_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notes(tmp_path)
    with (tmp_path / "My notes-1.csv").open("a") as file:
        file.write(",yes\nlost\n")
    options = (
        "--train",
        "My notes-1.csv",
        "--text",
        "note",
        "--label",
        "kind",
        "--model",
        "scratch",
    )
    result = raysearch("init", "mine.yaml", *options)
    assert result.exit_code == 2
    assert result.output.startswith("mine.yaml is not written: 2 problems\n")
    assert "`--leave-out 2` of init, would leave these 2 rows out" in result.output
    assert not (tmp_path / "mine.yaml").exists()
    result = raysearch("init", "mine.yaml", *options, "--leave-out", "2")
    assert result.exit_code == 0, result.output
    assert study.load("mine.yaml").leave_out == 2
    assert raysearch("check", "mine.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--options", "a,b"), "add --train"),
        (("--train", "My notes-1.csv", "--text", "nope", "--label", "kind"), "nope"),
        (("--train", "My notes-1.csv", "--head", "classfy"), "did you mean 'classify'"),
        (("--train", "none.csv", "--head", "classfy"), "there is no file 'none.csv'"),
        (("--train", "missing.csv", "--text", "note"), "missing.csv"),
        (("--train", "My notes-1.csv", "--tasks", "glue/rte"), "leave out --tasks"),
        (("--dev", "My notes-1.csv", "--text", "note"), "add --train"),
    ],
)
def test_init_refuses_own_files_that_do_not_fit(options, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notes(tmp_path)
    result = raysearch("init", "mine.yaml", *options, "--model", "scratch")
    assert result.exit_code == 2, result.output
    assert text in result.output
    assert not (tmp_path / "mine.yaml").exists()
