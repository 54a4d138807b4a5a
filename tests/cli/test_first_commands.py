"""The first hour: `raysearch` alone, `doctor` and `init`."""

import sys
from collections import namedtuple
from importlib import metadata

import pytest
import yaml
from typer.testing import CliRunner

from raysearch import diagnosis, study
from raysearch.cli import new_study
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


def test_init_asks_on_a_terminal_for_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []

    def prompt(question, default=None, type=str):
        asked.append(question.split(":")[0])
        return {"model": "scratch", "hours at most (0": 3.0}.get(asked[-1], default)

    monkeypatch.setattr(new_study.typer, "prompt", prompt)
    empty = new_study.Answers(tasks="toy/grammar", model=None, trials=None, hours=None)
    answers = new_study.ask(empty)
    assert asked == ["model", "configurations to try per task", "hours at most (0"]
    assert answers == new_study.Answers(
        tasks="toy/grammar", model="scratch", trials=new_study.DEFAULT_TRIALS, hours=3.0
    )


def test_init_names_every_problem_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, texts in (
        ((), ("--tasks", "--model", "no terminal can be asked")),
        (("--tasks", "glue/rtee,nothing", "--model", "x"), ("'glue/rte'?", "'nothing'")),
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


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--train", "My notes-1.csv", "--text", "nope", "--label", "kind"), "nope"),
        (("--train", "My notes-1.csv", "--head", "classfy"), "did you mean 'classify'"),
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
