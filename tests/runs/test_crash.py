"""A run is killed in every way that there is, and ends with exactly its planned trials."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import descendants, reports, start, wait_for_reports

import raysearch
from raysearch import run_folder

pytestmark = pytest.mark.ray

STUDY = """
tasks: [toy/grammar]
model: scratch:1x64
space:
  BSZ: {choice: [16, 32]}
  LR: {log: [1e-4, 1e-2]}
fixed: {EPOCH: 2, max_length: 32, evaluations: 4}
search: {trials: 6, stop_early: {at: [0.5], keep: 0.5}}
confirm: {top: 1, seeds: [11, 12]}
"""


WORKER, LANE = "ray::RayTrainWorker", ["ray::Lane", "ray::Resource"]


def program(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().decode().partition("\0")[0]


def kill(process: subprocess.Popen, *titles: str) -> None:
    """Kill the first process of a run that has one of these titles."""
    os.kill(next(processes(process, *titles)), signal.SIGKILL)


def processes(process: subprocess.Popen, *titles: str) -> Iterator[int]:
    """Processes of a run that have one of these titles."""
    return (found for title in titles for found in descendants(process.pid, title))


@pytest.mark.skipif(sys.platform != "linux", reason="finds Ray's processes with ps")
def test_a_run_survives_kill_9_of_each_of_its_processes_and_says_how_to_go_on(
    tmp_path: Path,
) -> None:
    """That of the driver itself is in test_two_stages."""
    (tmp_path / "toy.yaml").write_text(STUDY)
    run = tmp_path / "runs" / "toy"
    process = start(tmp_path, "run", "toy.yaml")
    wait_for_reports(run, 2, process)
    lanes = set(processes(process, *LANE))
    before = set(processes(process, WORKER))
    kill(process, WORKER)
    wait_for_reports(run, reports(run) + 3, process)
    while not set(processes(process, WORKER)) - before:
        assert process.poll() is None
        time.sleep(0.1)
    now = set(processes(process, *LANE))  # another one may still have been starting before
    assert lanes <= now, "a lane did not start its worker again"
    for titles in (LANE, ["ray::TrialBroker"]):
        kill(process, *titles)
        wait_for_reports(run, reports(run) + 3, process)
    raylet = next(p for p in descendants(process.pid, "/") if "raylet/raylet" in program(p))
    os.kill(raylet, signal.SIGKILL)
    assert process.wait(timeout=60) == 2
    first = (tmp_path / "out.txt").read_text()
    assert "Ray's processes on this machine have died" in first
    assert first.count("raysearch resume") == 1
    assert "Traceback" not in first

    # SIGTERM to the process group, as `timeout` and SLURM send it, does what Ctrl-C does.
    process = start(tmp_path, "resume", "runs/toy", start_new_session=True)
    wait_for_reports(run, reports(run) + 1, process)
    os.kill(next(processes(process, WORKER)), signal.SIGSTOP)  # it hangs
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 130
    spent = sum(record.seconds for record in run_folder.read_journal(run).trials.values())

    said = (tmp_path / "out.txt").read_text()[len(first) :]
    assert said.count("raysearch resume") == 1
    assert "Traceback" not in said
    assert "SIGTERM" not in said
    resumed = start(tmp_path, "resume", "runs/toy")
    assert resumed.wait(timeout=480) == 0, (tmp_path / "out.txt").read_text()[-3000:]
    has_its_planned_trials(run)
    records = run_folder.read_journal(run)
    assert sum(record.seconds for record in records.trials.values()) > spent


def has_its_planned_trials(run: Path) -> None:
    """Six trials of the search and two of the confirmation, each ended once; three sessions."""
    events = [json.loads(line) for line in (run / run_folder.JOURNAL_NAME).read_text().splitlines()]
    ends = Counter(event["trial"] for event in events if event["event"] == "end")
    assert set(ends.values()) == {1}, "a trial ended twice"
    records = run_folder.read_journal(run)
    assert len(records.of("toy/grammar", "search")) == 6
    assert len(records.of("toy/grammar", "confirm")) == 2
    assert all(r.is_over and r.status != "failed" for r in records.trials.values())
    assert len(records.sessions) == 3
    assert any(record.attempts > 1 for record in records.trials.values())
    again = raysearch.paper_table(raysearch.load(run / "study.yaml"), records)
    assert again.row("Result").cells[0].text != "-"
