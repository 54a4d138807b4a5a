"""The hosts themselves, and that a cluster of them refuses who lacks its token; without a run."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hosts import NETWORK, missing, network, wait_until
from ray_hosts import PORT, RAY, cluster

WHY_NOT = missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")]
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
SERVE = "import socket, sys; socket.create_server((sys.argv[1], 9000)).accept()"


def reaches(host, address, port=9000):
    """Whether a host can connect to a port of another one."""
    return host.run("python", "-c", CONNECT, address, str(port)).returncode == 0


def test_hosts_reach_each_other_and_nothing_else(tmp_path: Path) -> None:
    with network() as net:
        first, second = net.add(), net.add()
        routes = first.check("ip", "route")
        assert routes.split()[:3] == [f"{NETWORK}.0/24", "dev", "eth0"]
        assert len(routes.splitlines()) == 1, "a route leads out"
        links = re.findall(r"^\d+: (\w+)", first.check("ip", "link"), flags=re.MULTILINE)
        assert {"lo", "eth0"} <= set(links)
        assert not reaches(first, second.address)
        # A server takes one connection and ends.
        server = second.start("python", "-c", SERVE, second.address, output=tmp_path / "out")
        time.sleep(0.5)
        second.cut()
        assert not reaches(first, second.address)
        second.heal()
        assert reaches(first, second.address)
        assert server.wait(timeout=10) == 0


def test_a_host_has_its_own_files_processes_and_name(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("")
    with network({"TOKEN": "abc"}) as net:
        first, second = net.add(), net.add()
        assert first.check("hostname").strip() == first.name != second.name
        for folder in ("/root", "/tmp", "/dev/shm"):
            first.path(f"{folder}/mark").write_text("first")
            assert first.check("cat", f"{folder}/mark") == "first"
            assert second.run("cat", f"{folder}/mark").returncode
            assert not Path(folder, "mark").exists()
        assert first.run("ls", str(tmp_path)).returncode
        assert "TOKEN=abc" in first.check("env").splitlines()
        assert len(first.check("ps", "-eo", "pid=").split()) <= 4


def test_a_killed_host_and_a_failing_block_leave_nothing(tmp_path: Path) -> None:
    def mounts():
        return Path("/proc/self/mounts").read_text()

    def links():
        return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout

    before, seen = (mounts(), links()), []

    def fail():
        with network() as net:
            first, second = net.add(), net.add()
            sleeper = first.start("sleep", "1000", output=tmp_path / "out")
            seen.extend(p for h in (first, second) for p in h.processes())
            first.kill()
            assert sleeper.wait(timeout=10)
            assert second.run("true").returncode == 0
            raise ValueError("a test fails")

    with pytest.raises(ValueError, match="a test fails"):
        fail()
    assert len(seen) >= 4
    assert not [process for process in seen if Path(f"/proc/{process}").exists()]
    assert (mounts(), links()) == before


def test_hosts_end_with_the_process_that_started_them_even_if_it_is_killed() -> None:
    code = "import time, hosts; n = hosts.Network(); a = n.add(); b = n.add()\n"
    code += "print(a.init, b.init, n._switch.pid, flush=True); time.sleep(1000)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parent
    )
    seen = process.stdout.readline().split()
    assert len(seen) == 3
    assert all(Path("/proc", pid.decode()).exists() for pid in seen)
    process.kill()
    process.communicate()
    gone = [Path("/proc", pid.decode(), "cwd") for pid in seen]  # a zombie has none
    wait_until(lambda: not any(path.exists() for path in gone), "the end of the hosts", 20)


@pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs Debian's openssh-server")
def test_root_of_a_host_reaches_the_others_by_ssh() -> None:
    with network() as net:
        first, second = net.add(), net.add()
        net.start_ssh()
        command = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
        assert first.check(*command, second.address, "hostname").strip() == second.name
        assert second.check(*command, first.address, "hostname").strip() == first.name
        second.path("/root/.ssh/authorized_keys").write_text("")
        assert "Permission denied" in first.run(*command, second.address, "hostname").stdout


@pytest.mark.cluster
@pytest.mark.ray
@pytest.mark.parametrize("token", [None, "f" * 64], ids=["none", "another"])
def test_a_host_without_the_token_does_not_join(one_head, token) -> None:
    stranger = one_head.net.add()
    with_token = [f"RAY_AUTH_TOKEN={token}"] if token else ["-u", "RAY_AUTH_TOKEN"]
    address = f"{one_head.head.address}:{PORT}"
    join = ["start", f"--address={address}", f"--node-ip-address={stranger.address}"]
    done = stranger.run("env", *with_token, "python", "-c", RAY, *join, timeout=100)
    assert done.returncode, done.stdout
    assert "token" in done.stdout.lower()
    assert not stranger.processes("ray::")


@pytest.fixture(scope="module")
def one_head():
    with cluster(workers=0) as made:
        yield made
