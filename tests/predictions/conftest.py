"""What the tests of scoring share."""

import pytest
from support.local_runs import run_locally
from support.small_data import SETTINGS, write_data
from typer.testing import CliRunner

from raysearch.cli.commands import app


@pytest.fixture
def command():
    """Runs `raysearch score`; gives its exit code, output and error output."""

    def run(*arguments):
        done = CliRunner().invoke(app, ["score", *map(str, arguments)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def local_run(tmp_path, monkeypatch):
    """Runs a study of tasks on small data, two seeds confirmed; gives run and data folder."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))

    def run(*names, search=(), space=(), **fixed):
        data = write_data(tmp_path / "data", *names)
        fixed = {"BSZ": 8, "EPOCH": 2, "evaluations": 2, "LR": 1e-2, **fixed}
        per_task = {name: {"fixed": SETTINGS[name]} for name in names if name in SETTINGS}
        raw = {"name": "small", "tasks": [*names], "model": "scratch:1x16", "space": dict(space),
               "fixed": {n: value for n, value in fixed.items() if n not in space},
               "per_task": per_task, "search": {"trials": 1, **dict(search)},
               "confirm": {"top": 1, "seeds": [11, 12]}}  # fmt: skip
        return run_locally(tmp_path / "run", data, raw, monkeypatch), data

    return run
