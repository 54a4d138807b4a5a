"""A dry run shows what a run would begin, and leaves everything as it is."""

import hashlib
import os
import subprocess
import sys
from contextlib import closing

import pytest
import yaml
from support.local_runs import run_locally
from support.queues import PLAN
from support.written_runs import RTE, STUDY, write_data, write_run
from typer.testing import CliRunner

from raysearch import study
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.preflight import Lanes
from raysearch.run_folder import Journal, read_journal
from raysearch.run_folder.events import AttemptEvent
from raysearch.search import new_run, run_start
from raysearch.search.dry_run import dry_resume, dry_run
from raysearch.search.kept_weights import keeps_predictions
from raysearch.search.proposals import Proposals

TOY = "toy/grammar"
WIDE = {
    "name": "wide",
    "tasks": [TOY],
    "model": "scratch:1x64",
    "space": {"LR": {"log": [1e-4, 1e-2]}, "BSZ": {"choice": [16, 32]}},
    "search": {"sampler": "tpe", "trials": 8},
    "confirm": {"top": 1, "seeds": [11, 12]},
}
OPTIONS = {"address": "local", "lanes": None, "wait_for_nodes": None, "sampler": None}


def raysearch(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def plan_of(raw, storage, **options):
    places = {"data": "data", "storage": storage, "name": None, "reuse": ()}
    return dry_run(study.parse(raw), **{**places, **OPTIONS, **options})


def contents(folder):
    """Every path below a folder, with its time and a hash of its content."""
    return {
        path: (
            path.stat().st_mtime_ns,
            path.is_file() and hashlib.sha256(path.read_bytes()).digest(),
        )
        for path in folder.rglob("*")
    }


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", lambda file: None)
    return write_data(tmp_path / "data")


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_the_trials_that_are_shown_are_those_that_a_run_begins_with(sampler, tmp_path):
    space = {"LR": {"choice": [1e-4, 1e-3, 2e-3]}, "BSZ": {"choice": [16, 32]}}
    raw = {**WIDE, "space": space, "search": {"sampler": sampler, "trials": 4}}
    (task,) = plan_of(raw, tmp_path).tasks
    searched = study.parse(raw)
    content = run_start.content_of(searched, tmp_path)
    with closing(Journal(tmp_path)) as journal:
        proposals = Proposals(searched, journal, content, 1)
        begun = [proposals.next(TOY) for _ in range(4)]
        assert [(r.id, r.number) for r in task.records] == [(r.id, r.number) for r in begun]
    assert (task.planned["search"], task.planned["confirm"]) == (4, 2)


def test_a_dry_run_writes_nothing_starts_no_ray_and_says_what_a_run_needs(tmp_path):
    (tmp_path / "wide.yaml").write_text(yaml.safe_dump(WIDE))
    before = contents(tmp_path)
    program = (
        "import sys\nfrom raysearch.cli import main\n"
        "sys.argv = ['raysearch', 'run', 'wide.yaml', '--lanes', '1', '--dry-run']\n"
        "try:\n    code = main()\nexcept SystemExit as end:\n    code = end.code\n"
        "assert not {'ray', 'torch'} & {*sys.modules}\nsys.exit(code)"
    )
    environment = {**os.environ, "COLUMNS": "200", "RAYSEARCH_CACHE": str(tmp_path / "cache")}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert contents(tmp_path) == before
    for text in (
        "search 0",
        "8 of the search and 2 of the confirmation to come",
        "run folder: runs/wide, new",
        "disk: at most 2 folders of weights at once",
        "lanes: 1 lane of 1 CPU, on this machine",
        "dry run: nothing was started, and no run folder was written",
    ):
        assert text in result.stdout


def test_what_other_runs_answer_is_counted_and_named(data, tmp_path):
    first = write_run(tmp_path / "first", data)
    before = contents(tmp_path)
    result = raysearch("run", write_study(tmp_path), "--data", data, "--reuse", first, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "search 0, from first" in result.output
    assert "search 1, from first" in result.output
    assert "other runs answer 2 of the first 2" in result.output
    assert "trials are taken from:" in result.output
    (tmp_path / "again.yaml").unlink()
    assert contents(tmp_path) == before


def write_study(folder):
    (folder / "again.yaml").write_text(yaml.safe_dump({**STUDY, "name": "again"}))
    return folder / "again.yaml"


def test_a_dry_resume_shows_what_was_interrupted_first_and_changes_nothing(data, tmp_path):
    folder = write_run(tmp_path / "small", data)
    longer = {**STUDY, "space": {"LR": {"choice": [1e-4, 1e-3, 5e-3]}}}
    begun = start_run(tmp_path / "longer", study.parse(longer), data)
    before = contents(tmp_path)
    result = raysearch("resume", tmp_path / "longer", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "search 0 again" in result.output
    assert "search 1 " in result.output
    assert "3 of the search and 2 of the confirmation to come" in result.output
    assert "1 was interrupted and begins first" in result.output
    (task,) = dry_resume(tmp_path / "longer", data=None, trials=None, reuse=None, **OPTIONS).tasks
    assert task.records[0].id == begun
    over = raysearch("resume", folder, "--dry-run")
    assert over.exit_code == 0, over.output
    assert "no trials to come, 4 have ended" in over.output
    assert contents(tmp_path) == before


def start_run(folder, searched, data):
    """Write a run that was killed during its first trial; return the trial's id."""
    folder.mkdir()
    content = run_start.content_of(searched, data)
    new_run.write_new_run(folder, searched, study.checked_dump(searched), data, content, Lanes())
    with closing(Journal(folder)) as journal:
        record = Proposals(searched, journal, content, 1).next(RTE)
        journal.write(AttemptEvent(trial=record.id, attempt=1, at=1.0, plan=PLAN))
    return record.id


def test_a_dry_run_refuses_what_a_run_refuses_with_every_problem(data, tmp_path):
    folder = write_run(tmp_path / "runs" / "again", data)
    (data / "RTE" / "dev.tsv").unlink()
    result = raysearch("run", write_study(tmp_path), "--data", data, "--lanes", "999", "--dry-run")
    assert result.exit_code == 2
    for text in ("is there already", "dev.tsv", "999 lanes"):
        assert text in result.output
    with closing(Journal(folder)):
        result = raysearch("resume", folder, "--dry-run")
    assert result.exit_code == 2
    assert "another raysearch is running here" in result.output
    with pytest.raises(InputError, match="a folder with a copy would do"):
        dry_resume("s3://bucket/run", data=None, trials=None, reuse=None, **OPTIONS)


def test_a_task_that_waits_for_a_winner_says_so(data, tmp_path):
    tasks = {"tasks": [TOY, RTE], "per_task": {RTE: {"from": TOY}}}
    plan = plan_of({**WIDE, **tasks}, tmp_path, data=data)
    assert [task.source for task in plan.tasks] == ["", TOY]
    assert plan.tasks[1].records == ()


def test_a_run_that_is_not_there_names_those_that_are(data, tmp_path):
    folder = write_run(tmp_path / "runs" / "small", data)
    for command, *more in (
        ("table",),
        ("report",),
        ("resume",),
        ("compare", folder),
        ("predict", "--to", "predicted"),
        ("verify",),
        ("pack", "--to", "packed.zip"),
    ):
        result = raysearch(command, "smal", *more)
        assert result.exit_code == 2
        assert "did you mean 'runs/small'?" in result.output, result.output
    assert "it holds runs: runs/small" in raysearch("resume", "runs").output
    assert "there are: runs/small" in raysearch("resume", "other").output
    assert read_journal(folder).trials


@pytest.mark.slow
def test_a_dry_run_asks_for_the_predictions_that_a_run_keeps(tmp_path, monkeypatch):
    """A trial that only chooses the winner keeps none, so none are needed of another run's."""
    raw = {
        "tasks": [TOY],
        "model": "scratch:1x64",
        "space": {"LR": {"choice": [1e-3, 2e-3]}},
        "fixed": {"EPOCH": {"steps": 2}, "WARMUP": 0, "max_length": 32, "evaluations": 1},
        "search": {"sampler": "grid"},
        "confirm": {"top": 2, "choose": [21], "seeds": [11]},
    }
    folder = tmp_path / "run"
    run_locally(folder, tmp_path, raw, monkeypatch)
    records = read_journal(folder).trials
    kept = {path.stem for path in folder.rglob("predictions/*.parquet")}
    printed = {name for name, record in records.items() if record.seed == 11}
    assert {record.seed for record in records.values()} >= {11, 21}
    assert kept == printed
    searched = study.load(folder / "study.yaml")
    assert kept == {name for name, r in records.items() if keeps_predictions(searched, r)}
