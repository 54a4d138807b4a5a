"""A study over three hosts, while hosts are killed and added and a link is cut."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hosts import wait_until
from marks import over_hosts
from ray_hosts import attempts, cluster, longest_silence, running, trials_begun_again

pytestmark = over_hosts()
TRIALS = 24  # work enough for one lane until Ray has noticed, after 20 s, that a host is gone
END = 200  # seconds within which the rest of a run ends


@pytest.fixture
def hosts():
    with cluster(workers=2) as made:
        yield made


def ends_well(hosts, process, output: Path) -> list[dict]:
    """Wait for the run's end; it has done each planned trial once."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=END)
    events = hosts.events()
    assert process.returncode == 0, f"{output.read_text()[-3000:]}\n{events[-5:]}"
    ends = [event["trial"] for event in events if event["event"] == "end"]
    assert len(ends) == len(set(ends)) == TRIALS
    statuses = {event["status"] for event in events if event["event"] == "end"}
    assert statuses <= {"finished", "degenerate"}  # so short a trial may learn nothing
    assert not trials_begun_again(events)
    return events


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_host_costs_only_what_it_was_training(hosts, killed, tmp_path) -> None:
    process = hosts.run(output := tmp_path / "out.txt", TRIALS, epochs=3)
    hosts.wait_for("end", 1, process)
    wait_until(lambda: len(running(hosts.events())) == 2, "two trials at once")
    trials = running(hosts.events())
    hosts.workers[killed].kill()
    at = time.time()
    events = ends_well(hosts, process, output)
    repeated = {trial for trial, count in attempts(events).items() if count > 1}
    assert repeated <= set(trials)
    assert len(repeated) <= 1
    for lane in {lane for trial, lane in trials.items() if trial not in repeated}:
        assert longest_silence(events, lane, at) < 10


def test_a_lane_starts_on_a_host_that_joins(hosts, tmp_path) -> None:
    process = hosts.run(tmp_path / "out.txt", trials=100)
    hosts.wait_for("attempt", 1, process)
    added = hosts.add_worker()
    wait_until(lambda: 3 in running(hosts.events()).values(), "a trial in a third lane", 90)
    assert added.processes("ray::RayTrainWorker")
    assert set(attempts(hosts.events()).values()) == {1}


def test_a_link_cut_for_30_seconds_loses_no_trial_and_the_lane_comes_back(hosts, tmp_path) -> None:
    process = hosts.run(output := tmp_path / "out.txt", TRIALS)
    hosts.wait_for("end", 1, process)
    cut = hosts.workers[0]
    cut.cut()
    time.sleep(30)
    cut.heal()
    wait_until(lambda: cut.processes("ray::RayTrainWorker"), "a lane on the healed host", 60)
    ends_well(hosts, process, output)
