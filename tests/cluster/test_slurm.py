"""clusters/slurm.sbatch on two nodes: stopped before the time limit, resumed by a second job."""

import json
import re
import sys
from pathlib import Path

import pytest
from hosts import ROOT
from marks import over_hosts
from ray_hosts import study_text, trials_begun_again
from slurm_hosts import PROGRAMS, slurm

from raysearch.run_folder import JOURNAL_NAME

pytestmark = over_hosts(*PROGRAMS)
TRIALS = 30
NODE = ("--gpus-per-node=0", "--cpus-per-task=1")


def script():
    """The file, for a study of the user's on nodes without GPUs."""
    text = (ROOT / "clusters" / "slurm.sbatch").read_text()
    text, studies = re.subn(r"^STUDY=\S+", "STUDY=$HOME/toy.yaml", text, flags=re.MULTILINE)
    text, lanes = re.subn("--gpus-per-worker 1", "--gpus-per-worker 0", text)
    assert (studies, lanes) == (1, 2)
    return text


def events(home: Path):
    """The events of the run's journal."""
    lines = (home / "runs" / "toy" / JOURNAL_NAME).read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    (folder / "data").mkdir(parents=True)
    (folder / "venv").symlink_to(sys.prefix)
    (folder / "toy.yaml").write_text(study_text(TRIALS, epochs=4))
    return folder


def test_a_job_stops_before_its_time_limit_and_the_next_one_finishes_the_run(home):
    with slurm(home, nodes=2) as cluster:
        # SLURM looks at time limits twice a minute: the signal comes after 90 to 120 seconds.
        limit = ("--time=3", "--signal=B:TERM@60")
        first = cluster.submit(script(), *NODE, *limit)
        job = cluster.wait(first, 200)
        log = (home / f"raysearch-{first}.log").read_text()
        assert (job["JobState"], job["ExitCode"]) == ("FAILED", "130:0"), log[-3000:]
        before = [event["trial"] for event in events(home) if event["event"] == "end"]
        assert 0 < len(before) < TRIALS
        assert f"raysearch resume {home}/runs/toy" in log
        assert {event["host"] for event in events(home) if event["event"] == "attempt"} == {
            "host1",
            "host2",
        }
        assert not [p for host in cluster.net.hosts for p in host.processes("ray::")]

        second = cluster.submit(script(), *NODE)
        job = cluster.wait(second, 300)
        log = (home / f"raysearch-{second}.log").read_text()
        assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), log[-3000:]
    ended = [event["trial"] for event in events(home) if event["event"] == "end"]
    assert len(ended) == len(set(ended)) == TRIALS
    assert ended[: len(before)] == before, "what had ended was changed"
    assert not trials_begun_again(events(home))
