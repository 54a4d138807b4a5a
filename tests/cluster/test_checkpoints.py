"""A trial whose host is lost goes on at another host, from its checkpoint on the driver's host."""

import time
from pathlib import Path

import pytest
from hosts import wait_until
from marks import over_hosts
from ray_hosts import PORT, RAY, RUN, cluster

pytestmark = over_hosts()
NODE = """
import ray, sys
ray.init(address=sys.argv[1], log_to_driver=False)
print("node", *[n["NodeID"] for n in ray.nodes() if n["NodeManagerHostname"] == sys.argv[2]])
"""


@pytest.fixture
def hosts():
    with cluster(workers=2) as made:
        yield made


def give_notice(hosts, host) -> None:
    """Tell Ray that a host is taken away, as the autoscaler does of a spot instance."""
    address = f"{hosts.head.address}:{PORT}"
    said = hosts.head.check("python", "-c", NODE, address, host.name)
    node = said.split("node ")[-1].strip()
    reason = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=spot"]
    options = [f"--address={address}", f"--node-id={node}", "--deadline-remaining-seconds=30"]
    hosts.head.check("python", "-c", RAY, "drain-node", *options, *reason)


@pytest.mark.parametrize("notice", [False, True], ids=["lost", "taken away after a notice"])
def test_a_trial_goes_on_at_another_host_from_its_checkpoint(hosts, notice, tmp_path) -> None:
    search = "" if notice else ", checkpoint_every: 2"
    process = hosts.run(output := tmp_path / "out.txt", trials=1, epochs=12, search=search)
    hosts.wait_for("report", 1, process)
    (begun,) = hosts.of("attempt")
    (lost,) = (host for host in hosts.workers if host.name == begun["host"])
    checkpoints = hosts.head.path(f"{RUN}/checkpoints")
    if notice:
        assert not checkpoints.exists()
        give_notice(hosts, lost)
    wait_until(lambda: list(checkpoints.glob("*.pt")), "a checkpoint on the head")
    assert not lost.path(f"{RUN}").exists()
    lost.kill()
    at = time.time()
    process.wait(timeout=120)
    assert process.returncode == 0, output.read_text()[-3000:]
    first, second = hosts.of("attempt")
    assert (first["from_step"], second["attempt"]) == (0, 2)
    assert second["from_step"] > 0
    assert second["host"] != first["host"]
    assert [event["status"] for event in hosts.of("end")] == ["finished"]
    assert not list(checkpoints.glob("*"))
    print(f"went on after {second['at'] - at:.0f} s at step {second['from_step']}")
    said = Path(output).read_text()
    assert (f"{lost.name} leaves the cluster in" in said) is notice
