"""A run at a cluster that has no node but its head: nodes come, and go after it.

Ray's fake provider starts the nodes as processes beside the head; the autoscaler is the real one,
in the version that `ray up` starts on clouds. `ray.cluster_utils.AutoscalingCluster` does the same,
but reads a file that the wheel of Ray lacks, as the type `fake_multinode` does, and ends every Ray
on the machine.
"""

import pytest
import yaml
from hosts import network, wait_until
from marks import over_hosts
from ray_hosts import RAY, TOKEN, Cluster, raylets, running

pytestmark = over_hosts()
# What Ray asks of a file, and fills in for the providers that it knows.
EMPTY = """
initialization_commands setup_commands head_setup_commands worker_setup_commands
head_start_ray_commands worker_start_ray_commands cluster_synced_files
"""
HEAD_ID = "f" * 56  # the fake provider's name of the head
IDLE = 6  # seconds after which a node without work goes
MARGIN = 30  # seconds for the autoscaler to see it, and for the node's processes to end
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
STUDY = """
tasks: [toy/grammar]
model: scratch:1x64
space:
  EPOCH: {choice: [6, 8]}
fixed: {BSZ: 16, LR: 1e-3, max_length: 32}
search: {sampler: grid}
"""


def config():
    """The file of an autoscaler with one type of nodes, of which there are 0 to 3."""
    return {
        "cluster_name": "fake",
        "max_workers": 3,
        "idle_timeout_minutes": IDLE / 60,
        "upscaling_speed": 1.0,
        "auth": {},
        "file_mounts": {},
        **{field: [] for field in EMPTY.split()},
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
        },
        "available_node_types": {
            "ray.head.default": {
                "resources": {"CPU": 0}, "node_config": {}, "max_workers": 0,
            },
            "worker": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 3},
        },
        "head_node_type": "ray.head.default",
    }  # fmt: skip


@pytest.fixture
def from_zero(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "fake.yaml").write_text(yaml.safe_dump(config()))
    with network(ENVIRONMENT, shared=(folder,)) as net:
        yield Cluster(net, 0, f"--autoscaling-config={folder}/fake.yaml")


def nodes(cluster):
    """How many nodes run beside the head, on its host."""
    return len(raylets(cluster.head)) - 1


def test_nodes_come_from_zero_and_go_after_the_run(from_zero, tmp_path):
    output = tmp_path / "out.txt"
    assert nodes(from_zero) == 0
    from_zero.head.path("/root/toy.yaml").write_text(STUDY)
    process = from_zero.start("run", "toy.yaml", output=output)
    wait_until(lambda: len(running(from_zero.events())) == 2, "a trial on each of two nodes", 150)
    assert nodes(from_zero) == 2
    assert process.wait(timeout=100) == 0, output.read_text()[-3000:]
    assert {event["status"] for event in from_zero.of("end")} <= {"finished", "degenerate"}
    assert len(from_zero.of("end")) == 2
    assert {event["attempt"] for event in from_zero.of("attempt")} == {1}
    wait_until(lambda: nodes(from_zero) == 0, "the end of all nodes", IDLE + MARGIN)
    status = from_zero.head.check("python", "-c", RAY, "status")
    assert "From request_resources:\n (none)\nPending Demands:\n (no resource demands)" in status
