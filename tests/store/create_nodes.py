"""Create the nodes of a cluster file by Ray's own AWS provider, and print what EC2 says of them.

It runs in the environment of the EC2 server, whose endpoint AWS_ENDPOINT_URL names: nothing is
sent to a node. Its argument is the cluster file.
"""

import json
import sys
from pathlib import Path

import boto3
import yaml
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config
from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_NODE_STATUS, TAG_RAY_USER_NODE_TYPE

config = prepare_config(yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8")))
region = config["provider"]["region"]
ec2, iam = boto3.client("ec2", region_name=region), boto3.client("iam", region_name=region)
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
group = ec2.create_security_group(GroupName="raysearch", Description="raysearch", VpcId=vpc)
image = ec2.describe_images()["Images"][0]["ImageId"]
for node_type in config["available_node_types"].values():
    node = node_type["node_config"]  # the lines marked EDIT, and what `ray up` finds out
    node |= {"ImageId": image, "SecurityGroupIds": [group["GroupId"]], "SubnetIds": [subnet]}
    name = node["IamInstanceProfile"]["Name"]
    iam.create_instance_profile(InstanceProfileName=name)

provider = AWSNodeProvider(config["provider"], config["cluster_name"])
for name, count in (("head", 1), ("gpu", config["available_node_types"]["gpu"]["max_workers"])):
    tags = {
        TAG_RAY_NODE_KIND: "head" if name == config["head_node_type"] else "worker",
        TAG_RAY_NODE_STATUS: "uninitialized",
        TAG_RAY_USER_NODE_TYPE: name,
    }
    for _ in range(count):  # Ray asks for 1 to `count` nodes at once; this server starts 1
        provider.create_node(dict(config["available_node_types"][name]["node_config"]), tags, 1)

instances = [
    instance
    for reservation in ec2.describe_instances()["Reservations"]
    for instance in reservation["Instances"]
]
volumes = ec2.describe_volumes()["Volumes"]
alive = provider.non_terminated_nodes({})
provider.terminate_nodes(alive)
left = provider.non_terminated_nodes({})
answer = {"instances": instances, "volumes": volumes, "alive": alive, "left": left}
print(json.dumps(answer, default=str))
