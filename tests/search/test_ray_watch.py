"""The watch over Ray's processes on the driver's node."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raysearch.search import ray_watch
from raysearch.search.ray_watch import is_alive, watched
from raysearch.workers import ray_processes
from raysearch.workers.ray_processes import end_agents, own_sessions

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def child():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def watch_in_a_process(folder, grace, ends_itself):
    """What a process says and how it ends whose watch sees a dead raylet."""
    code = f"""
import time
from pathlib import Path
from raysearch.search import ray_watch
ray_watch.INTERVAL, ray_watch.GRACE = 0.01, {grace}
ray_watch.local_processes = lambda: {{"raylet": 2**22 + 1}}
with ray_watch.watched(Path({str(folder)!r})) as watch:
    watch.start()
    while watch.error is None:
        time.sleep(0.01)
    watch.stop()
    time.sleep({0 if ends_itself else 60})
print("ended by itself")
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_a_run_that_hangs_after_the_raylets_death_is_ended_with_the_resume_hint(tmp_path):
    ended = watch_in_a_process(tmp_path, grace=0.1, ends_itself=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"\n{tmp_path}: Ray's processes on this machine have died: the raylet\n"
        f"the trials that have ended are kept; go on with: raysearch resume {tmp_path}\n"
        "explained in docs/cluster.md#faults\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [("os._exit(1)", 1), ("os.kill(os.getpid(), 9)", -9)])
def test_a_run_that_is_ended_from_outside_python_leaves_the_resume_hint(tmp_path, end, code):
    program = f"""
import os
from pathlib import Path
from raysearch.search import ray_watch
ray_watch.local_processes = dict
with ray_watch.watched(Path({str(tmp_path)!r})) as watch:
    watch.start()
    {end}
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr == (
        f"\n{tmp_path}: the run's process was killed, or ended by Ray, whose processes here have"
        " died\n"
        f"the trials that have ended are kept; go on with: raysearch resume {tmp_path}\n"
        "explained in docs/cluster.md#faults\n"
    )


@pytest.mark.ray
def test_a_run_whose_raylet_is_asked_to_end_leaves_the_resume_hint(tmp_path):
    program = f"""
import os, signal, time
from pathlib import Path
import numpy
from raysearch.search import ray_cluster, ray_watch
from raysearch.workers.ray_processes import own_raylet
with ray_watch.watched(Path({str(tmp_path)!r})) as watch, ray_cluster.connect("local", 1):
    watch.start()
    data = ray_cluster.ray.put(numpy.zeros(10**6))
    os.kill(own_raylet(), signal.SIGTERM)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode in (1, 2)  # Ray's C++ code is faster than the watch
    assert ended.stderr.count(f"go on with: raysearch resume {tmp_path}\n") == 1


@pytest.mark.slow
def test_a_run_that_ends_by_itself_after_the_raylets_death_is_let_be(tmp_path):
    ended = watch_in_a_process(tmp_path, grace=30, ends_itself=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended by itself\n", "")


def test_nothing_is_noticed_while_rays_processes_live_or_once_they_may_end(
    child, monkeypatch, tmp_path
):
    monkeypatch.setattr(ray_watch, "local_processes", lambda: {"raylet": child.pid})
    monkeypatch.setattr(ray_watch, "INTERVAL", 0.01)
    with watched(tmp_path) as watch:
        watch.start()
        watch.stop()
        child.kill()
    assert watch.error is None


def test_a_zombie_is_dead(child):
    assert is_alive(child.pid)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid)


def test_rays_processes_are_started_in_sessions_of_their_own():
    before = ray_processes.services.ConsolePopen
    with own_sessions():
        started = ray_processes.services.ConsolePopen(["sleep", "60"])
    assert os.getsid(started.pid) == started.pid != os.getsid(0)
    assert ray_processes.services.ConsolePopen is before
    started.kill()
    started.wait()


def test_the_agents_of_a_raylet_are_ended_and_no_other_process():
    script = (
        "(exec -a ray::DashboardAgent sleep 60) & (exec -a ray::RuntimeEnvAgent sleep 60) &"
        " (exec -a ray::Lane sleep 60) & echo $(jobs -p); read; kill $(jobs -p)"
    )
    with subprocess.Popen(
        ["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as raylet:
        dashboard, environment, lane = map(int, raylet.stdout.readline().split())
        titles = [Path(f"/proc/{pid}/cmdline") for pid in (dashboard, environment, lane)]
        while not all(path.read_bytes().startswith(b"ray::") for path in titles):
            time.sleep(0.01)
        end_agents(lane)
        assert all(map(is_alive, (dashboard, environment, lane)))
        end_agents(raylet.pid)
        while any(map(is_alive, (dashboard, environment))):
            time.sleep(0.01)
        assert is_alive(lane)
        raylet.stdin.write("\n")
        raylet.stdin.flush()
