"""Hosts on this machine: processes in namespaces of their own, on a bridge that leads nowhere else.

Each host has its own network, processes, mounts, name and shared memory; /tmp, /root and /dev/shm
are its own. The bridge lies in a namespace of its own too, and no host has a route: what a host
sends reaches other hosts or itself. Nothing here has a name that outlives its processes: when
this process ends, however it does, the kernel removes the hosts with all that they run.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
NETWORK = "10.77.0"
NAMES = [("127.0.0.1", "localhost"), *((f"{NETWORK}.{n}", f"host{n}") for n in range(1, 21))]
HIDDEN = ("/root", "/tmp", "/run", "/dev/shm")  # each host has its own, empty at its start

# A host's first process: it mounts, says that it is there, and lives until its input ends.
INIT = """
set -e
hostname {name}
mount -t tmpfs stage /mnt
number=0
for kept in {kept}; do
    number=$((number + 1)); mkdir /mnt/$number; mount --rbind "$kept" /mnt/$number
done
for hidden in {hidden}; do mount -t tmpfs -o mode=1777 "$hidden" "$hidden"; done
chmod 700 /root
number=0
for kept in {kept}; do
    number=$((number + 1)); mkdir -p "$kept"; mount --move /mnt/$number "$kept"
done
umount /mnt
mkdir -p /run/names
printf '{names}' > /run/names/hosts
mount --bind /run/names/hosts /etc/hosts
: > /run/names/resolv.conf
mount --bind /run/names/resolv.conf /etc/resolv.conf
echo ready
cat > /dev/null
exit 0
"""


@cache
def missing(*programs: str) -> str | None:
    """Return why this machine cannot have hosts, or None if it can.

    Args:
        programs: that a test needs besides, each with the Debian package that has it, as in
            `sshd (openssh-server)`.
    """
    if sys.platform != "linux" or os.geteuid():
        return "hosts on this machine need Linux and root"
    needed = ("ip (iproute2)", "unshare (util-linux)", "nsenter (util-linux)", "ps (procps)")
    lacking = [tool for tool in (*needed, *programs) if not shutil.which(tool.split()[0])]
    if lacking:
        return f"hosts on this machine need, with Debian's packages: {', '.join(lacking)}"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "ip", "link", "add",
         "probe", "type", "veth", "peer", "name", "probe1"], capture_output=True, text=True,
    )  # fmt: skip
    return f"hosts on this machine: {tried.stderr.strip()}" if tried.returncode else None


class Host:
    """A host of a `Network`.

    Attributes:
        name: its host name.
        address: on the bridge.
        init: process id of its first process, as this process sees it.
    """

    def __init__(self, network: "Network", number: int) -> None:
        self.network = network
        self.name, self.address = f"host{number}", f"{NETWORK}.{number}"
        self.port = f"port{number}"
        self._unshare = self._start()
        self.init = _child(self._unshare.pid)
        try:
            self._connect()
        except BaseException:
            self.kill()
            raise

    def command(self, *command: str) -> list[str]:
        """Return the command line that runs a command in this host."""
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            **self.network.environment,
        }
        inside = ["nsenter", f"--target={self.init}", "--all", "--wdns=/root", "env", "-i"]
        return [*inside, *(f"{name}={value}" for name, value in environment.items()), *command]

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command in this host to its end, and return what it said and its exit code."""
        return subprocess.run(
            self.command(*command),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )

    def check(self, *command: str, timeout: float = 60) -> str:
        """Run a command in this host, and return its output; it must succeed."""
        done = self.run(*command, timeout=timeout)
        assert not done.returncode, f"{self.name}: {shlex.join(command)}\n{done.stdout[-3000:]}"
        return done.stdout

    def start(self, *command: str, output: Path) -> subprocess.Popen[bytes]:
        """Start a command in this host; its output goes to a file outside."""
        with output.open("ab") as out:
            return subprocess.Popen(
                self.command(*command), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def path(self, inside: str) -> Path:
        """Return where this process finds a file of the host, as long as the host is alive."""
        return Path(f"/proc/{self.init}/root{inside}")

    def processes(self, *titles: str) -> list[int]:
        """Return the process ids, as this process sees them, whose titles begin so; else all."""
        space = os.readlink(f"/proc/{self.init}/ns/pid")
        whole_lines = ["ps", "-ww", "-eo", "pid=,args="]
        listed = subprocess.run(whole_lines, capture_output=True, text=True).stdout
        rows = [line.split(None, 1) for line in listed.splitlines()]
        return [
            int(row[0])
            for row in rows
            if len(row) == 2 and row[1].startswith(titles or "") and _pid_space(row[0]) == space
        ]

    def cut(self) -> None:
        """Take the link to the bridge down, as when a cable is pulled."""
        self.network.bridge("ip", "link", "set", self.port, "down")

    def heal(self) -> None:
        """Take the link up again."""
        self.network.bridge("ip", "link", "set", self.port, "up")

    def kill(self) -> None:
        """End all processes of the host at once; its link goes with them."""
        self._unshare.kill()
        self._unshare.wait()
        if self._unshare.stdin:
            self._unshare.stdin.close()
        wait_until(lambda: not Path(f"/proc/{self.init}").exists(), f"the end of {self.name}", 30)

    def _start(self) -> subprocess.Popen[str]:
        kept = [sys.base_prefix, sys.prefix, str(ROOT), *map(str, self.network.shared)]
        kept = [path for path in kept if path.startswith(tuple(f"{h}/" for h in HIDDEN))]
        script = INIT.format(
            name=self.name,
            names="".join(f"{address} {name}\\n" for address, name in NAMES),
            kept=" ".join(map(shlex.quote, kept)),
            hidden=" ".join(HIDDEN),
        )
        spaces = ["--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--mount-proc"]
        process = subprocess.Popen(
            ["unshare", *spaces, "--kill-child", "bash", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "ready\n", f"{self.name} does not start: {said}{process.stdout.read()}"
        return process

    def _connect(self) -> None:
        peer = ["peer", "name", "eth0", "netns", str(self.init)]
        self.network.bridge("ip", "link", "add", self.port, "type", "veth", *peer)
        self.network.bridge("ip", "link", "set", self.port, "master", "bridge", "up")
        self.check("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.check("ip", "link", "set", "eth0", "up")
        self.check("ip", "link", "set", "lo", "up")


class Network:
    """A bridge in a namespace of its own, and its hosts.

    Args:
        environment: variables of all commands in the hosts.
        shared: folders that all hosts and this process share, as over NFS.
    """

    def __init__(
        self, environment: dict[str, str] | None = None, shared: tuple[Path, ...] = ()
    ) -> None:
        self.environment, self.shared = environment or {}, shared
        self.hosts: list[Host] = []
        self._switch = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo ready; cat > /dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._switch.stdout is not None
        assert self._switch.stdout.readline() == b"ready\n"
        self.bridge("ip", "link", "add", "bridge", "type", "bridge")
        self.bridge("ip", "link", "set", "bridge", "up")

    def bridge(self, *command: str) -> None:
        """Run a command where the bridge is."""
        subprocess.run(["nsenter", f"--target={self._switch.pid}", "--net", *command], check=True)

    def add(self) -> Host:
        """Start one more host."""
        self.hosts.append(Host(self, len(self.hosts) + 1))
        return self.hosts[-1]

    def start_ssh(self) -> None:
        """Start an SSH server on each host that has none; root of every host is let in by one key.

        A host that is added later is reached after another call.
        """
        key = self.hosts[0].path("/root/.ssh/id_ed25519")
        if not key.exists():
            self.hosts[0].check("mkdir", "-m", "700", "/root/.ssh")
            inside = "/root/.ssh/id_ed25519"
            self.hosts[0].check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", inside)
        public = key.with_suffix(".pub").read_text()
        for host in self.hosts:
            folder = host.path("/root/.ssh")
            folder.mkdir(mode=0o700, exist_ok=True)
            (folder / "id_ed25519").write_text(key.read_text())
            (folder / "id_ed25519").chmod(0o600)
            (folder / "authorized_keys").write_text(public)
            known = [f"{other.address} {public}" for other in self.hosts]
            (folder / "known_hosts").write_text("".join(known))
            if not host.processes("sshd", "/usr/sbin/sshd"):
                _start_sshd(host)

    def close(self) -> None:
        """End all hosts and the bridge."""
        for host in self.hosts:
            host.kill()
        self._switch.kill()
        self._switch.communicate()


@contextmanager
def network(
    environment: dict[str, str] | None = None, shared: tuple[Path, ...] = ()
) -> Iterator[Network]:
    """Give a network without hosts, and end it with all hosts that were added."""
    made = Network(environment, shared)
    try:
        yield made
    finally:
        made.close()


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> float:
    """Wait until a condition holds, and return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def _start_sshd(host: Host) -> None:
    host.check("mkdir", "-p", "-m", "755", "/run/sshd")
    options = [f"ListenAddress={host.address}", "PasswordAuthentication=no"]
    options += ["HostKey=/root/.ssh/id_ed25519", "PermitRootLogin=prohibit-password"]
    given = [part for option in options for part in ("-o", option)]
    host.check("/usr/sbin/sshd", "-f", "/dev/null", *given)


def _child(parent: int) -> int:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True)
    return int(listed.stdout)


def _pid_space(process: str) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/pid")
    except OSError:  # it has ended
        return ""
