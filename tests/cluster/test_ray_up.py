"""clusters/local.yaml as it ships: up, studies by `ray exec` and `ray job submit`, down.

The tests share one cluster, in their order; each of them also runs alone.
"""

import json
from collections import Counter

import pytest
from hosts import wait_until
from launched import FOLDER, launched, ray_processes
from marks import over_hosts
from ray_hosts import raylets, study_text

from raysearch.run_folder import JOURNAL_NAME

pytestmark = over_hosts("sshd (openssh-server)", "ssh (openssh-client)", "rsync (rsync)")
TRIALS = 6
# Each host has the cores of this machine, so a lane takes all of them.
RUN = "~/venv/bin/raysearch run ~/{name}.yaml --storage ~/runs --address auto --cpus-per-worker 2"


@pytest.fixture(scope="module")
def brought_up():
    with launched(workers=2) as made:
        made.up()
        wait_until(lambda: made.nodes() == 3, "three nodes", 100)
        yield made


def send_study(cluster, name):
    """Write a study on the launching host, and send it to the head."""
    study = study_text(TRIALS, epochs=1)
    cluster.desk.path(f"{FOLDER}/{name}.yaml").write_text(study)
    cluster.ray("rsync-up", "clusters/local.yaml", f"{name}.yaml", f"/root/{name}.yaml")


def hosts_of_trials(cluster, name):
    """How many trials each host has run; all planned trials have ended well."""
    lines = cluster.head.path(f"/root/runs/{name}/{JOURNAL_NAME}").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    ends = [event["status"] for event in events if event["event"] == "end"]
    assert len(ends) == TRIALS
    assert set(ends) <= {"finished", "degenerate"}
    return Counter(event["host"] for event in events if event["event"] == "attempt")


def test_a_study_runs_on_all_hosts_by_ray_exec(brought_up):
    send_study(brought_up, "executed")
    output = brought_up.exec(RUN.format(name="executed"))
    assert "runs/executed" in output
    counts = hosts_of_trials(brought_up, "executed")
    assert set(counts) == {host.name for host in brought_up.cluster}
    assert counts.total() == TRIALS, "a trial has run twice"


def test_a_study_runs_on_all_hosts_by_ray_job_submit(brought_up, tmp_path):
    send_study(brought_up, "submitted")
    forward = brought_up.command("exec ray dashboard clusters/local.yaml")
    process = brought_up.desk.start(*forward, output=tmp_path / "dashboard.txt")
    try:
        listens = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8265"]
        wait_until(lambda: not brought_up.desk.run(*listens).returncode, "the dashboard", 60)
        submit = "ray job submit --address http://127.0.0.1:8265 -- "
        submit += f"bash -c '{RUN.format(name='submitted')}'"
        without = brought_up.desk.run(*brought_up.command(f"RAY_AUTH_MODE=disabled {submit}"))
        assert without.returncode
        assert "401" in without.stdout or "token" in without.stdout.lower()
        command = brought_up.command(f"RAY_AUTH_MODE=token {submit}")
        assert "succeeded" in brought_up.desk.check(*command, timeout=170)
    finally:
        process.kill()
        process.wait()
    counts = hosts_of_trials(brought_up, "submitted")
    assert set(counts) == {host.name for host in brought_up.cluster}


def test_who_has_no_token_is_refused(brought_up):
    stranger = brought_up.net.add()
    stranger.path("/root/toy.yaml").write_text(study_text(TRIALS, epochs=1))
    address = f"--address={brought_up.head.address}:6379"
    command = ["python", "-c", "from raysearch.cli.commands import main; main()"]
    for token in ([], ["RAY_AUTH_TOKEN=" + "f" * 64]):
        variables = ["env", "RAY_AUTH_MODE=token", *token]
        done = stranger.run(*variables, *command, "run", "toy.yaml", address, timeout=60)
        assert done.returncode == 2
        assert "token" in done.stdout.lower()
        assert "Traceback" not in done.stdout
    dashboard = f"exec 3<>/dev/tcp/{brought_up.head.address}/8265"
    assert stranger.run("bash", "-c", dashboard).returncode, "the dashboard is open to the network"


def test_a_host_is_added_while_the_others_go_on(brought_up):
    before = [raylets(host) for host in brought_up.cluster]
    assert all(before)
    brought_up.workers.append(brought_up.net.add())
    brought_up.net.start_ssh()
    brought_up.up("--no-restart")
    wait_until(lambda: brought_up.nodes() == 4, "four nodes", 100)
    assert [raylets(host) for host in brought_up.cluster[:3]] == before


def test_ray_down_leaves_no_process_of_ray_on_any_host(brought_up):
    assert all(raylets(host) for host in brought_up.cluster)
    brought_up.ray("down", "-y", "clusters/local.yaml")
    assert {host.name: ray_processes(host) for host in brought_up.cluster} == {
        host.name: [] for host in brought_up.cluster
    }
