"""The daemon of NVIDIA's MPS, with a script in its place."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from support.fake_mps import install

from raysearch.workers import mps


@pytest.fixture
def control(tmp_path, monkeypatch):
    """Puts the script on the path, and returns its log; no other MPS runs here."""
    monkeypatch.setattr(mps, "TIMEOUT", 5.0)
    monkeypatch.delenv(mps.PIPES, raising=False)
    if (process := mps._running()) is not None:
        pytest.skip(f"MPS runs here, process {process}")
    return partial(install, tmp_path, monkeypatch)


@pytest.fixture
def scratch(tmp_path):
    (folder := tmp_path / "s").mkdir()
    return folder


def test_a_daemon_of_its_own_serves_the_block_and_ends_with_it(control, scratch):
    log, notes = control(), []
    with mps.mps_daemon(scratch, notes.append) as environment:
        assert environment == {mps.PIPES: str(scratch / "mps"), mps.LOGS: str(scratch / "mps-log")}
        assert mps._running() == mps._daemon(environment)
        with mps.mps_daemon(scratch, notes.append) as other:  # as of another run on this machine
            assert other == {}
    assert mps._running() is None
    assert notes[0] == "NVIDIA's MPS is started: lanes that share a GPU compute at the same time"
    assert notes[1].startswith("MPS is not used: a daemon of MPS runs already (process ")
    assert len(notes) == 2
    served = [line for line in log.read_text().splitlines() if line.startswith("served")]
    assert served == ["served get_server_list", "served quit -t 5"]


def test_the_daemon_ends_when_the_block_is_left_by_an_error(control, scratch):
    control()
    with pytest.raises(KeyboardInterrupt), mps.mps_daemon(scratch, print):
        raise KeyboardInterrupt
    assert mps._running() is None


def test_a_daemon_that_does_not_obey_is_ended_by_a_signal(control, scratch, monkeypatch):
    control("stubborn")
    monkeypatch.setattr(mps, "TIMEOUT", 1.0)
    with mps.mps_daemon(scratch, print):
        pass
    assert mps._running() is None


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (None, "there is no nvidia-cuda-mps-control; it comes with NVIDIA's driver"),
        ("refuses", "nvidia-cuda-mps-control ends with code 1: an instance runs already"),
    ],
)
def test_a_run_goes_on_without_mps_and_says_why(control, scratch, mode, reason):
    if mode:
        control(mode)
    notes = []
    with mps.mps_daemon(scratch, notes.append) as environment:
        assert environment == {}
    assert notes == [f"MPS is not used: {reason}"]


def test_a_daemon_that_the_environment_names_is_left_alone(control, scratch, monkeypatch):
    log, notes = control(), []
    monkeypatch.setenv(mps.PIPES, "/tmp/of-the-user")
    with mps.mps_daemon(scratch, notes.append) as environment:
        assert environment == {}
    assert "CUDA_MPS_PIPE_DIRECTORY is set to /tmp/of-the-user" in notes[0]
    assert log.read_text() == ""


def test_a_folder_with_a_name_too_long_for_a_socket_is_refused(control, tmp_path):
    control()
    (folder := tmp_path / ("x" * 90)).mkdir()
    notes = []
    with mps.mps_daemon(folder, notes.append):
        pass
    assert "a shorter TMPDIR would do" in notes[0]


PROGRAM = """
import sys, time
from pathlib import Path
from raysearch.workers import mps
with mps.mps_daemon(Path(sys.argv[1]), lambda line: print(line, flush=True)):
    time.sleep(60)
"""


def test_ctrl_c_ends_the_daemon_with_the_program(control, scratch):
    """To the whole group, as a terminal sends it: the daemon itself is not of that group."""
    control()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(scratch)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, text=True,
    )  # fmt: skip
    assert "is started" in program.stdout.readline()
    daemon = mps._running()
    os.killpg(program.pid, signal.SIGINT)
    program.wait(30)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{daemon}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mps._running() is None
