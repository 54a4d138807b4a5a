"""Ray over hosts of this machine, a run of the command on its head, and what its journal says."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from hosts import Host, Network, network, wait_until

PORT = 6379
TOKEN = "0123456789abcdef" * 4  # of these hosts only
RAY = "from ray.scripts.scripts import main; main()"
RAYSEARCH = "from raysearch.cli.commands import main; main()"
RUN = "/root/runs/toy"
_STUDY = """
tasks: [toy/grammar]
model: scratch:1x64
space:
  BSZ: {{choice: [16, 32]}}
  LR: {{log: [1e-4, 1e-2]}}
fixed: {{EPOCH: {epochs}, max_length: 32, evaluations: {epochs}}}
search: {{sampler: random, trials: {trials}{search}}}
"""


def study_text(trials: int, epochs: int, search: str = "") -> str:
    """Return a study of short trials; `search` has more settings of its search."""
    return _STUDY.format(trials=trials, epochs=epochs, search=search)


class Cluster:
    """A head host without CPUs, on which the command runs, and worker hosts with one each.

    Args:
        net: of the hosts, which are added here.
        workers: how many worker hosts.
        head_options: more options of `ray start` on the head.

    Attributes:
        net: of the hosts.
        head: the first host.
        workers: the others that were added.
    """

    def __init__(self, net: Network, workers: int, *head_options: str) -> None:
        self.net, self.head = net, net.add()
        self._options = ["--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false"]
        self._options += head_options
        self._start_ray(self.head, *self._options)
        self.workers: list[Host] = []
        for _ in range(workers):
            self.add_worker()

    def add_worker(self) -> Host:
        """Start one more host that joins with one CPU."""
        self.workers.append(host := self.net.add())
        self._join(host)
        return host

    def restart(self) -> None:
        """End Ray on all hosts, and start it there again."""
        for host in (self.head, *self.workers):
            host.check("python", "-c", RAY, "stop", "--force", timeout=60)
        self._start_ray(self.head, *self._options)
        for host in self.workers:
            self._join(host)

    def _join(self, host: Host) -> None:
        self._start_ray(host, f"--address={self.head.address}:{PORT}", "--num-cpus=1")

    def run(
        self, output: Path, trials: int, epochs: int = 4, search: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start a study on the cluster, from its head; `search` has more of its settings."""
        study = study_text(trials, epochs, search)
        self.head.path("/root/toy.yaml").write_text(study)
        return self.start("run", "toy.yaml", output=output)

    def start(self, *command: str, output: Path) -> subprocess.Popen[bytes]:
        """Start the command line on the head."""
        address = f"--address={self.head.address}:{PORT}"
        return self.head.start("python", "-c", RAYSEARCH, *command, address, output=output)

    def _start_ray(self, host: Host, *options: str) -> None:
        small = ["--object-store-memory=100000000", "--disable-usage-stats"]
        address = f"--node-ip-address={host.address}"
        host.check("python", "-c", RAY, "start", address, *small, *options, timeout=120)

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the run's journal so far."""
        path = self.head.path(f"{RUN}/journal.jsonl")
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind so far."""
        return [event for event in self.events() if event["event"] == kind]

    def wait_for(self, kind: str, count: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until the journal of a running command has as many events of a kind."""

        def there() -> bool:
            enough = len(self.of(kind)) >= count
            assert enough or process.poll() is None, f"the run has ended: {process.returncode}"
            return enough

        wait_until(there, f"{count} events '{kind}'", 120)


@contextmanager
def cluster(workers: int = 2, token: str = TOKEN) -> Iterator[Cluster]:
    """Give a cluster of hosts that ask for a token, and end it with all that runs there."""
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    with network(environment) as net:
        yield Cluster(net, workers)


def raylets(host: Host) -> list[int]:
    """Return the process ids of Ray's nodes on a host."""
    package = find_spec("ray")  # which does not import it
    assert package is not None
    assert package.origin is not None
    return host.processes(f"{Path(package.origin).parent}/core/src/ray/raylet/raylet ")


def trials_begun_again(events: list[dict[str, Any]]) -> set[str]:
    """Return the trials with an attempt after their end, or with two ends."""
    ended: Counter[str] = Counter()
    again = set()
    for event in events:
        if event["event"] == "end":
            ended[event["trial"]] += 1
        if ended[event.get("trial", "")] > (event["event"] == "end"):
            again |= {event["trial"]} if event["event"] in ("end", "attempt", "report") else set()
    return again


def running(events: list[dict[str, Any]]) -> dict[str, int]:
    """Return the trials that have begun and not ended, each with its lane's number."""
    over = {event["trial"] for event in events if event["event"] == "end"}
    begun = {event["trial"]: event["lane"] for event in events if event["event"] == "attempt"}
    return {trial: lane for trial, lane in begun.items() if trial not in over}


def attempts(events: list[dict[str, Any]]) -> Counter[str]:
    """Return how often each trial was begun."""
    return Counter(event["trial"] for event in events if event["event"] == "attempt")


def longest_silence(events: list[dict[str, Any]], lane: int, since: float) -> float:
    """Return the longest time in seconds without a report, an end or a new trial of a lane.

    What follows after the last trial of the run has begun is not counted: a lane may be done then.

    Args:
        events: of a journal.
        lane: its number in the attempts.
        since: what came before is not counted; seconds since 1970.
    """
    lanes: dict[str, int] = {}
    times, last_begin = [since], since
    for event in events:
        if event["event"] == "attempt":
            lanes[event["trial"]] = event["lane"]
            last_begin = max(last_begin, event["at"])
        if lanes.get(event.get("trial", "")) == lane and event.get("at", 0) > since:
            times.append(event["at"])
    times = [*(at for at in times if at < last_begin), last_begin]
    return max(later - earlier for earlier, later in pairwise(times)) if times[1:] else 0.0
