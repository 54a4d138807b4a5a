"""The nodes of cluster.yaml, as Ray's AWS provider asks for them, on a server of EC2 here."""

from collections import Counter
from pathlib import Path

import pytest
from moto_server import run_in_environment
from support.paths import ROOT

PROGRAM = (Path(__file__).parent / "create_nodes.py").read_text()


@pytest.fixture(scope="module")
def created(server):
    """What EC2 says of a head and all workers that cluster.yaml allows; no node is reached."""
    settings = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
        "AWS_EC2_METADATA_DISABLED": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return run_in_environment(PROGRAM, str(ROOT / "cluster.yaml"), **settings)


def nodes(created, kind):
    tags = [({t["Key"]: t["Value"] for t in i["Tags"]}, i) for i in created["instances"]]
    return [node for values, node in tags if values["ray-node-type"] == kind]


def test_one_head_on_demand_and_four_workers_on_spot_are_started(created) -> None:
    types = Counter(i["InstanceType"] for i in created["instances"])
    assert types == {"m5.xlarge": 1, "g5.2xlarge": 4}
    (head,) = nodes(created, "head")
    assert "InstanceLifecycle" not in head
    assert {node["InstanceLifecycle"] for node in nodes(created, "worker")} == {"spot"}


def test_nodes_are_tagged_and_have_their_own_roles(created) -> None:
    for kind, name in (("head", "head"), ("worker", "gpu")):
        for node in nodes(created, kind):
            tags = {tag["Key"]: tag["Value"] for tag in node["Tags"]}
            assert tags["ray-cluster-name"] == "raysearch"
            assert tags["ray-user-node-type"] == name
            profile = node["IamInstanceProfile"]["Arn"]
            assert profile.endswith(f":instance-profile/raysearch-{kind}")
            assert [group["GroupName"] for group in node["SecurityGroups"]] == ["raysearch"]


def test_metadata_needs_a_token_and_disks_are_encrypted_and_go_with_their_nodes(created) -> None:
    for node in created["instances"]:
        options = node["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpEndpoint"]) == ("required", "enabled")
        assert options["HttpPutResponseHopLimit"] == 1
        assert [d["Ebs"]["DeleteOnTermination"] for d in node["BlockDeviceMappings"]] == [True]
    disks = [(v["Size"], v["VolumeType"], v["Encrypted"]) for v in created["volumes"]]
    assert disks == [(150, "gp3", True)] * 5


def test_the_provider_knows_its_nodes_and_ends_them(created) -> None:
    assert len(created["alive"]) == 5
    assert created["left"] == []
