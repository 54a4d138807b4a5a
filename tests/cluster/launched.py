"""A cluster brought up by clusters/local.yaml over SSH, from a host that is not part of it.

The file is used as it ships, but for the lines that its user edits, and one setup command: the
hosts take the virtual environment and the checkout of this machine, where the file installs a
wheel from a package index that these hosts do not reach.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hosts import ROOT, Host, Network, network

FILE = ROOT / "clusters" / "local.yaml"
FOLDER = "/root/checkout"  # on the host that launches
INSTALL = "- python3 -m venv ~/venv && ~/venv/bin/pip install -q -c ~/constraints.txt "
INSTALL += "~/dist/raysearch-*.whl"
PYTHONPATH = f"echo 'export PYTHONPATH={ROOT} OMP_NUM_THREADS=1' >> ~/.bashrc"
SHARED = f"- ln -sfn {sys.prefix} ~/venv && {{ grep -qs PYTHONPATH ~/.bashrc || {PYTHONPATH}; }}"
RAY_TITLES = ("ray::", "/ray/core/src", "raylet", "gcs_server", "ray/dashboard", "ray/_private")


def cluster_file(head: Host, workers: list[Host]) -> str:
    """Return clusters/local.yaml with its marked lines filled in for hosts of this machine."""
    changes = {
        r"head_ip: .*": f"head_ip: {head.address}",
        r"worker_ips: .*": f"worker_ips: [{', '.join(host.address for host in workers)}]",
        r"ssh_user: .*": "ssh_user: root",
        re.escape(INSTALL): SHARED,
    }
    text = FILE.read_text()
    for pattern, line in changes.items():
        text, count = re.subn(pattern, lambda _, line=line: line, text)
        assert count == 1, f"{FILE.name}: {count} lines are as {pattern}"
    return text


class Launched:
    """A host that launches, a head and its workers.

    Attributes:
        desk: the host on which `ray up` runs; it is not part of the cluster.
        head: the host of `head_ip`.
        workers: the hosts of `worker_ips`.
    """

    def __init__(self, net: Network, workers: int) -> None:
        self.net = net
        self.desk, self.head, *self.workers = [net.add() for _ in range(workers + 2)]
        net.start_ssh()
        self.desk.check("mkdir", "-p", f"{FOLDER}/dist", f"{FOLDER}/clusters")
        for name in ("constraints.txt", "dist/raysearch-0-py3-none-any.whl"):
            self.desk.path(f"{FOLDER}/{name}").write_text("")
        self.ray("get-auth-token", "--generate")

    @property
    def cluster(self) -> list[Host]:
        """The head and the workers."""
        return [self.head, *self.workers]

    def command(self, command: str) -> list[str]:
        """Return a shell command on the launching host, in the checkout."""
        return ["bash", "-c", f"cd {FOLDER} && {command}"]

    def ray(self, *options: str, timeout: float = 170) -> str:
        """Run `ray` on the launching host, and return its output; it must succeed."""
        return self.desk.check(*self.command(f"ray {' '.join(options)}"), timeout=timeout)

    def up(self, *options: str) -> str:
        """Write the cluster file for the hosts of now, and run `ray up` as the file says."""
        text = cluster_file(self.head, self.workers)
        self.desk.path(f"{FOLDER}/clusters/local.yaml").write_text(text)
        (command,) = re.findall(r"^# +(.*ray up clusters/local.yaml)$", text, re.MULTILINE)
        return self.desk.check(*self.command(" ".join([command, "-y", *options])), timeout=170)

    def exec(self, command: str, timeout: float = 170) -> str:
        """Run a command on the head by `ray exec`."""
        return self.ray("exec", "clusters/local.yaml", f"'{command}'", timeout=timeout)

    def nodes(self) -> int:
        """Return how many nodes are active, as `ray status` on the head counts them."""
        text = self.head.check("bash", "-ic", "~/venv/bin/ray status").partition("Pending:")[0]
        return sum(map(int, re.findall(r"^ (\d+) local.cluster.node", text, re.MULTILINE)))


def ray_processes(host: Host) -> list[str]:
    """Return the command lines of Ray's processes on a host."""
    lines = [Path(f"/proc/{process}/cmdline") for process in host.processes()]
    texts = [path.read_bytes().replace(b"\0", b" ").decode() for path in lines if path.exists()]
    return [text for text in texts if any(title in text for title in RAY_TITLES)]


@contextmanager
def launched(workers: int) -> Iterator[Launched]:
    """Give hosts with what `ray up` needs, and end them with all that runs there."""
    with network() as net:
        yield Launched(net, workers)
