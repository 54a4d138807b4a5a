"""Where fp16 on a CPU is told: by a check, by a dry run, and by the run itself."""

import pytest
from support.local_runs import train_here
from typer.testing import CliRunner

from raysearch.cli.commands import app
from raysearch.search import cluster_options
from raysearch.workers import machine

TOLD = "precision fp16 without a GPU"
SETTINGS = ["--trials", "1", "--set", "precision=fp16", "--set", "EPOCH={steps: 1}"]
SETTINGS += ["--set", "BSZ=16", "--set", "WARMUP=0", "--set", "dev_examples=20"]


def printed(*words):
    done = CliRunner().invoke(app, [*words, *SETTINGS])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.mark.parametrize(("gpus", "count"), [(0.0, 1), (1.0, 0)])
def test_a_check_and_a_dry_run_tell_fp16_where_there_is_no_gpu(gpus, count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = {"CPU": 2.0, "GPU": gpus}
    monkeypatch.setattr(cluster_options, "local_resources", lambda: here)
    monkeypatch.setattr(machine, "local_resources", lambda: here)
    assert printed("check", "quickstart").count(TOLD) == count
    assert printed("run", "quickstart", "--dry-run").count(TOLD) == count


@pytest.mark.slow
def test_a_run_tells_fp16_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    train_here(monkeypatch)
    assert printed("run", "quickstart").count(TOLD) == 1
