"""Cluster files: Ray takes those that ship, and `check` refuses what does not fit."""

import logging
import re
import shlex
import subprocess
import sys

import pytest
import typer
import yaml
from ray.autoscaler._private.util import prepare_config
from support.paths import ROOT
from typer.testing import CliRunner

from raysearch.cli.commands import app
from raysearch.preflight import Lanes, cluster_nodes
from raysearch.search.cluster_file import load_cluster, security_notes

AWS = ROOT / "cluster.yaml"
LAUNCHED = [AWS, *(ROOT / "clusters" / f"{name}.yaml" for name in ("local", "gcp", "azure"))]
KUBERAY = ROOT / "clusters" / "kuberay"
VERBS = typer.main.get_command(app).commands


def filled(path, folder):
    """A copy of a shipped file whose places are filled in."""
    lines = path.read_text().splitlines()
    text = "\n".join(re.sub(r"EDIT", "mine", line.partition("#")[0]) for line in lines)
    text = text.replace("192.0.2.", "10.0.0.")
    copy = folder / path.name
    copy.write_text(text)
    return copy


@pytest.fixture
def aws(tmp_path):
    return filled(AWS, tmp_path)


def check(*arguments):
    done = CliRunner().invoke(app, ["check", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("path", LAUNCHED, ids=lambda path: path.stem)
def test_ray_takes_the_files_that_ship_and_their_nodes_are_safe(path, tmp_path):
    config = load_cluster(filled(path, tmp_path))
    assert security_notes(config) == []
    for field in ("head_start_ray_commands", "worker_start_ray_commands"):
        stop, start = config[field]
        assert stop == "~/venv/bin/ray stop"
        assert start.startswith("export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0;")
        assert "~/venv/bin/ray start" in start
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][1]
    tokens = [mount for mount in config["file_mounts"] if mount.endswith("/.ray/auth_token")]
    assert config["file_mounts"][tokens[0]] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]
    assert any("-c ~/constraints.txt ~/dist/raysearch-" in c for c in config["setup_commands"])


def test_the_nodes_on_aws_are_what_the_guide_says(aws):
    config = load_cluster(aws)
    head, gpu = (config["available_node_types"][name] for name in ("head", "gpu"))
    assert (config["idle_timeout_minutes"], config["max_workers"]) == (10, 4)
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert "--num-cpus=0 --num-gpus=0" in config["head_start_ray_commands"][1]
    assert (gpu["min_workers"], gpu["max_workers"]) == (0, 4)
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in head["node_config"]
    for node in (head["node_config"], gpu["node_config"]):
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        (disk,) = node["BlockDeviceMappings"]
        assert (disk["Ebs"]["Encrypted"], disk["Ebs"]["VolumeSize"]) == (True, 150)
        assert len(node["SecurityGroupIds"]) == 1  # Ray's own group lets in SSH from everywhere
        assert node["IamInstanceProfile"]["Name"].startswith("raysearch-")
    assert any("pip install -q boto3" in command for command in config["head_setup_commands"])


def test_a_file_as_it_ships_says_what_is_to_be_filled_in():
    code, _, text = check(AWS)
    assert code == 2
    assert "available_node_types.head.node_config.ImageId  'ami-EDIT' is still to be" in text
    assert "cluster.yaml: 4 problems" in text
    code, _, text = check(ROOT / "clusters" / "local.yaml")
    assert code == 2
    assert "provider.worker_ips[1]  '192.0.2.12' is still to be filled in" in text


def test_a_cluster_file_and_a_study_are_refused_together(tmp_path):
    (tmp_path / "mine.yaml").write_text("tasks: [toy/gramar]\nmodel: scratch\n")
    code, _, text = check(tmp_path / "mine.yaml", "--cluster", ROOT / "clusters" / "local.yaml")
    assert code == 2
    assert "local.yaml: 3 problems" in text
    assert "no task named 'toy/gramar'" in text


def test_a_valid_file_shows_its_nodes(aws):
    code, out, _ = check(aws)
    assert code == 0
    assert "head: up to 1, 0 CPU, 0 GPU\n  gpu: up to 4, 8 CPU, 1 GPU" in out


def test_rays_own_log_is_no_part_of_the_output(aws, caplog, monkeypatch):
    lines = aws.read_text().splitlines()
    aws.write_text("\n".join(line for line in lines if "  max_workers" not in line))
    log = logging.getLogger("ray")
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    with caplog.at_level(logging.INFO, "ray"):
        prepare_config(yaml.safe_load(aws.read_text()))
        assert "setting max workers for gpu to 4" in caplog.messages
        caplog.clear()
        assert check(aws)[::2] == (0, "")
        assert (caplog.messages, log.level) == ([], logging.INFO)


def test_every_problem_of_a_file_is_told_with_its_place(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "cluster_nme: x\nprovider: {region: a}\nmax_workers: 1.5\n"
        "available_node_types: {a: {resources: {CPU: 0.5}, node_config: {}}, b: [1]}\n"
    )
    code, _, text = check(bad)
    assert code == 2
    lines = [line.split(maxsplit=1) for line in text.splitlines()[1:]]
    assert lines == [
        ["file", "'cluster_name' is missing"],
        ["file", "no field named 'cluster_nme'; did you mean 'cluster_name'?"],
        ["available_node_types.a.resources.CPU", "has to be a whole number, got 0.5"],
        ["available_node_types.b", "has to be a mapping, got [1]"],
        ["max_workers", "has to be a whole number, got 1.5"],
        ["provider", "'type' is missing"],
        ["explained", "in docs/cluster.md#a-cluster-with-ray-up"],
    ]


@pytest.mark.parametrize(
    ("changed", "to", "text"),
    [
        ("type: aws", "type: awz", "no provider of Ray named 'awz'"),
        ("head_node_type: head", "head_node_type: hed", "`head_node_type` must be one of"),
        ("min_workers: 0", "min_workers: 9", "`max_workers` is smaller than the sum"),
        ("cluster_name: raysearch", "cluster_name: [", "not YAML"),
        ("max_workers: 4", "max_workers: 4\nmax_workers: 5", "appears twice"),
    ],
)
def test_what_ray_refuses_later_is_refused(aws, changed, to, text):
    aws.write_text(aws.read_text().replace(changed, to, 1))
    code, _, told = check(aws)
    assert code == 2
    assert text in told
    assert "Traceback" not in told


def test_what_aws_needs_is_asked_for_where_ray_would_fail_later(aws):
    text = aws.read_text().replace("region:", "regoin:").replace("InstanceType:", "InstanceTyp:")
    aws.write_text(text)
    code, _, err = check(aws)
    assert code == 2
    assert "provider  " in err
    assert "AWS needs `region`; there: type, regoin" in err
    assert err.count("AWS needs `InstanceType`; there: InstanceTyp") == 2


@pytest.mark.parametrize("name", ["none.yaml", "quickstart.yaml"])
def test_another_file_in_the_place_of_a_cluster_s_is_one_problem(name):
    code, _, err = check("quickstart", "--cluster", ROOT / "search_spaces" / name)
    assert code == 2
    assert "1 problem\n" in err
    assert ("no such file" if name == "none.yaml" else "not a file for `ray up`") in err


def test_a_file_without_tokens_is_told(aws):
    aws.write_text(aws.read_text().replace("RAY_AUTH_MODE=token RAY", "RAY"))
    assert len(security_notes(load_cluster(aws))) == 2


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--gpus-per-worker", 1], 0, "cluster: at most 4 lanes of 1 x 1 CPU, 1 GPU"),
        (["--gpus-per-worker", 0.5], 0, "cluster: at most 8 lanes of 1 x 1 CPU, 0.5 GPU"),
        (["--workers-per-lane", 2], 0, "cluster: at most 2 lanes of 2 x 1 CPU, 1 GPU"),
        (["--gpus-per-worker", 2], 2, "a worker needs 1 CPU, 2 GPU, and no node type holds it"),
        (["--lanes", 5], 2, "5 lanes of 1 x 1 CPU, 1 GPU asked for, the cluster holds 4"),
    ],
)
def test_a_study_is_refused_whose_lane_no_node_holds(aws, options, code, text):
    result = check("quickstart", "--cluster", aws, *options)
    assert result[0] == code
    assert text in result[1 + (code == 2)]


def test_nodes_that_are_not_known_are_told(aws, tmp_path):
    local = filled(ROOT / "clusters" / "local.yaml", tmp_path)
    code, out, _ = check("quickstart", "--cluster", local)
    assert code == 0
    assert "what a node of local.cluster.node has is not known here" in out
    code, _, text = check("quickstart", "--lanes", 2)
    assert code == 2
    assert "add --cluster" in text


@pytest.mark.parametrize(
    ("name", "resources"),
    [
        ("m5.xlarge", {"CPU": 4}),
        ("c6i.12xlarge", {"CPU": 48}),
        ("g5.12xlarge", {"CPU": 48, "GPU": 4}),
        ("p4d.24xlarge", {"CPU": 96, "GPU": 8}),
        ("g5.3xlarge", None),
        ("t3.medium", None),
        ("", None),
    ],
)
def test_the_resources_of_instance_types(name, resources):
    assert cluster_nodes.instance_resources(name) == resources


def test_lanes_use_the_largest_nodes_up_to_the_cluster_s_limit():
    config = {
        "provider": {"type": "gcp"}, "max_workers": 3, "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0},
            "small": {"resources": {"CPU": 3}, "node_config": {}, "max_workers": 3},
            "large": {"resources": {"CPU": 8}, "node_config": {}, "max_workers": 2},
        },
    }  # fmt: skip
    # 4 + 4 workers on the two large nodes, 1 on a small one and 1 on the head.
    assert cluster_nodes.lanes_at_most(Lanes(cpus=2), config) == 10
    assert cluster_nodes.lanes_at_most(Lanes(cpus=2, workers=3), config) == 3


def test_a_worker_lies_on_one_gpu_and_impossible_lanes_are_refused():
    node = {"resources": {"CPU": 8, "GPU": 2}, "node_config": {}, "max_workers": 0}
    config = {
        "provider": {"type": "gcp"}, "max_workers": 0, "head_node_type": "head",
        "available_node_types": {"head": node},
    }  # fmt: skip
    assert cluster_nodes.lanes_at_most(Lanes(gpus=0.6), config) == 2
    assert cluster_nodes.lanes_at_most(Lanes(gpus=0.5), config) == 4
    (problem,) = cluster_nodes.cluster_lane_problems(Lanes(cpus=0), config)
    assert problem.text == "0 cores for a worker, a number above 0 would do"


@pytest.mark.slow
def test_a_study_is_checked_without_ray():
    code = (
        "import sys; from typer.testing import CliRunner; from raysearch.cli.commands import app;"
        "done = CliRunner().invoke(app, ['check', 'quickstart']); assert done.exit_code == 0;"
        "assert 'ray' not in sys.modules and 'jsonschema' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def kuberay_cluster(name):
    manifest = yaml.safe_load((KUBERAY / name).read_text())
    assert manifest["apiVersion"] == "ray.io/v1"
    spec = manifest["spec"]
    return manifest, spec["rayClusterSpec"] if manifest["kind"] == "RayJob" else spec


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_the_manifests_of_kubernetes_have_what_their_definitions_ask_for(name):
    _, spec = kuberay_cluster(name)
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"] is True
    head, (gpu,) = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert (gpu["minReplicas"], gpu["replicas"], gpu["groupName"]) == (0, 0, "gpu")
    assert {"rayStartParams", "template", "maxReplicas"} <= set(gpu)
    for group in (head, gpu):
        (container,) = group["template"]["spec"]["containers"]
        assert {"name", "image", "resources"} <= set(container)
        assert group["template"]["spec"]["volumes"]


def test_the_manifests_describe_one_cluster_and_the_version_of_ray_is_the_pinned_one():
    (_, cluster), (job, of_job) = map(kuberay_cluster, ("raycluster.yaml", "rayjob.yaml"))
    assert cluster == of_job
    assert f"ray=={cluster['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    taken(job["spec"]["entrypoint"])


def taken(command):
    """Parse a command of ours, as the command line would."""
    _, name, *arguments = shlex.split(command)
    VERBS[name].make_context(name, arguments, resilient_parsing=False)


@pytest.mark.parametrize("name", ["slurm.sbatch", "skypilot.yaml"])
def test_the_scripts_parse_and_their_commands_are_ours(name, tmp_path):
    text = (ROOT / "clusters" / name).read_text()
    script = text if name.endswith("sbatch") else yaml.safe_load(text)["run"]
    subprocess.run(["bash", "-n"], input=script.encode(), check=True)
    commands = re.findall(r"raysearch (?:run|resume) [^\"\n&]*", script)
    assert len(commands) == 2
    options = re.search(r"OPTIONS=\"(.*)\"", script)
    for command in commands:
        taken(command.replace("$OPTIONS", options[1] if options else ""))
    assert "RAY_AUTH_MODE" in text
    assert "RAY_USAGE_STATS_ENABLED" in text


def test_ray_s_symmetric_run_takes_the_options_of_the_script():
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

    text = (ROOT / "clusters" / "slurm.sbatch").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"symmetric-run (.*?) -- ", text)
    words = shlex.split(line.replace('"$SLURM_JOB_NUM_NODES"', "2"))
    left = curate_and_validate_ray_start_args(words)
    assert [word.partition("=")[0] for word in left] == [
        "--num-cpus", "--num-gpus", "--dashboard-host"
    ]  # fmt: skip
