"""What a run records of itself: command lines without secrets, packages, machines, data."""

import json
import subprocess
from types import SimpleNamespace

import pyarrow as pa
import pytest
import torch

from raysearch.command_line import command_line
from raysearch.data.encoding_cache import Prepared
from raysearch.run_folder.recorded_facts import read_facts
from raysearch.search import provenance, ray_cluster
from raysearch.search.provenance import add_facts, begin_session, package_list
from raysearch.search.split_facts import split_facts
from raysearch.tasks import get
from raysearch.workers import machine


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["/usr/bin/raysearch", "run", "a b.yaml"], "raysearch run 'a b.yaml'"),
        (["r", "--storage", "s3://key:pass@host/runs"], "r --storage 's3://***@host/runs'"),
        (["r", "s3://b/x?access_key=A&secret_key=B&region=eu"],
         "r 's3://b/x?access_key=***&secret_key=***&region=eu'"),
        (["r", "https://x/y?X-Amz-Signature=ab12"], "r 'https://x/y?X-Amz-Signature=***'"),
        (["r", "--token", "abc", "--lanes", "2"], "r --token *** --lanes 2"),
        (["r", "--api-key=abc", "HF_TOKEN=hf_x"], "r '--api-key=***' 'HF_TOKEN=***'"),
        (["r", "--set", "max_length=128", "--tokenizer", "folder"],
         "r --set max_length=128 --tokenizer folder"),
        (["r", "--token", "-abc", "--token", "--lanes", "2"], "r --token *** --token --lanes 2"),
        (["r", "--apikey", "zz", "--apikey=z z"], "r --apikey *** '--apikey=***'"),
        (["r", "s3://b/x?accountkey=zz&region=eu"], "r 's3://b/x?accountkey=***&region=eu'"),
        (["r", "-H", "Authorization: Bearer abc"], "r -H 'Authorization: ***'"),
        (["r", "Authorization:", "Bearer", "abc"], "r Authorization: *** ***"),
        (["r", "a bearer abc d"], "r 'a bearer ***'"),
        (["r", '{"token": "a b", "x": 1}'], """r '{"token": ***, "x": 1}'"""),
        (["r", "https://me:pa/ss@host/x", "me:pw@host:6379"],
         "r 'https://***@host/x' '***@host:6379'"),
        (["r", "--set", "design=1", "max_tokens=8", "git@host:x", "10.0.0.1:6379"],
         "r --set design=1 max_tokens=8 git@host:x 10.0.0.1:6379"),
    ],
)  # fmt: skip
def test_a_command_line_is_kept_without_secrets(arguments, shown):
    assert command_line(arguments) == shown


def test_the_package_list_has_exact_versions():
    import numpy

    lines = package_list().splitlines()
    assert lines[0].startswith("# Python 3.")
    assert f"numpy=={numpy.__version__}" in lines
    assert lines[1:] == sorted(lines[1:], key=lambda line: line.partition("==")[0])


def test_a_machine_is_described_and_what_fails_is_unknown(monkeypatch):
    import torch

    def fails():
        raise RuntimeError("no NCCL in this build")

    gpu = SimpleNamespace(name="H200", total_memory=139 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(torch.cuda.nccl, "version", fails)
    facts = machine.worker_facts()
    assert facts["gpus"] == ["H200, 139 GiB"] * 2
    assert (facts["cudnn"], facts["nccl"]) == ("9.10.2", "unknown")
    assert facts["cores"] >= 1
    assert facts["memory_gib"] > 0


def _prepared(table, skipped=""):
    return Prepared(table=table, path=None, padding={}, digest="", cached=False, skipped=skipped)


def _facts(name, **columns):
    task, table = get(name), pa.table(columns)
    return split_facts(task, task.dev[0], _prepared(table, "2 left out"), table)


def test_labels_are_counted_by_example():
    facts = _facts("glue/rte", id=["a", "b", "c"], label=[1, 0, 1])
    assert facts["labels"] == {"entailment": 1, "not_entailment": 2}
    assert (facts["examples"], facts["rows"], facts["left_out"]) == (3, 3, "2 left out")
    rows = _facts("race/middle", id=["a"] * 4 + ["b"] * 4, label=[2] * 4 + [0] * 4)
    assert rows["labels"] == {"option 1": 1, "option 3": 1}
    assert (rows["examples"], rows["rows"]) == (2, 8)
    tags = _facts("xtreme/panx", id=["a", "b"], label=[[0, -100, 1], [0]])
    assert list(tags["labels"].values()) == [2, 1]
    numbers = _facts("glue/stsb", id=["a", "b"], label=[1.0, 4.0])
    assert numbers["label_statistics"] == {
        "lowest": 1.0, "highest": 4.0, "mean": 2.5, "deviation": 1.5,
    }  # fmt: skip


def test_a_long_command_line_is_cut_and_can_be_read_back(tmp_path, monkeypatch):
    facts = {"raysearch": "0.2.0", "data": "d", "content": {}, "lanes": {}}
    (tmp_path / "provenance.json").write_text(json.dumps(facts))
    monkeypatch.setattr("sys.argv", ["raysearch", "x" * 5000])
    begin_session(tmp_path)
    read, notes = read_facts(tmp_path)
    assert not notes
    command = read.sessions[0].command
    assert len(command) == 4096
    assert command.endswith("xxx ... (cut: 5,010 characters)")


def _git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_that_of_the_code_and_of_no_checkout_around_it(tmp_path):
    package = tmp_path / "lib" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    assert provenance._commit(package) is None
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "commit", "-q", "--allow-empty", "-m", "of something else")
    assert provenance._commit(package) is None
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "the package")
    commit = _git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "other").write_text("")
    assert provenance._commit(package) == commit
    (package / "__init__.py").write_text("x = 1")
    assert provenance._commit(package) == f"{commit}-dirty"


def test_facts_of_later_sessions_join_those_of_earlier_ones(tmp_path):
    facts = {"raysearch": "0.2.0", "data": "d", "content": {}, "lanes": {}}
    (tmp_path / "provenance.json").write_text(json.dumps(facts))
    add_facts(tmp_path, {"machines": {"n1": {"cpu": "a"}}})
    add_facts(tmp_path, {"machines": {"n2": {"cpu": "b"}}, "splits": {}})
    read = json.loads((tmp_path / "provenance.json").read_text())
    assert read["machines"] == {"n1": {"cpu": "a"}, "n2": {"cpu": "b"}}
    assert read["data"] == "d"


def test_the_nodes_of_a_cluster_are_told_with_host_and_resources(monkeypatch, tmp_path):
    node = {"NodeID": "ab12", "Alive": True, "NodeManagerHostname": "gpu-1",
            "Resources": {"GPU": 4.0, "CPU": 8.0, "node:10.0.0.2": 1.0}}  # fmt: skip
    gone = {**node, "NodeID": "cd34", "Alive": False}
    monkeypatch.setattr(ray_cluster.ray, "nodes", lambda: [node, gone])
    nodes = ray_cluster.cluster_nodes()
    assert nodes == {"ab12": {"host": "gpu-1", "resources": "8 CPU, 4 GPU"}}
    (tmp_path / "provenance.json").write_text(json.dumps({"nodes": nodes}))
    assert read_facts(tmp_path)[0].nodes == nodes


def test_a_device_is_named_by_its_index_on_the_node_and_its_model(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Toy 9000")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert machine.device_name(torch.device("cuda", 1)) == "3: Toy 9000"
    assert machine.device_name(torch.device("cuda", 2)) == "2: Toy 9000"
    assert machine.device_name(torch.device("cpu")) == "cpu"
