"""Weights & Biases' offline mode: what its files hold of an exported run, read back."""

import json
import struct

import pytest
from support.driven_runs import RTE, STUDY, drive, search_end
from support.written_runs import write_data, write_run
from test_callbacks import Following

import raysearch
from raysearch.errors import InputError
from raysearch.tracking.exporter import run_key

pytestmark = pytest.mark.slow
wandb = pytest.importorskip(
    "wandb", reason="wandb is not installed: pip install 'raysearch[wandb]'"
)
SMALL = STUDY | {"tasks": [RTE], "published": [], "confirm": {"top": 1, "seeds": [11]}}
BLOCK = 2**15  # bytes of a block of a log
SMALL |= {"search": {"sampler": "random", "trials": 8}}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Nothing of this machine's settings, and a folder of its own."""
    for name in ("WANDB_MODE", "WANDB_BASE_URL", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)


def log_records(content):
    """The records of a file of wandb: a log as LevelDB has them, behind 7 bytes of its own."""
    assert content.startswith(b":W&B")
    at, parts = 7, []
    while at < len(content):
        if (left := BLOCK - at % BLOCK) < 7:  # no room for a head: zeros
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        parts.append(content[at + 7 : at + 7 + size])
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


def held(folder):
    """What each offline run holds: id -> its records of each kind."""
    from wandb.proto import wandb_internal_pb2

    found = {}
    for path in sorted(folder.glob("offline-run-*/run-*.wandb")):
        kinds = {"config": {}, "history": [], "summary": {}, "artifacts": []}
        for data in log_records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.HasField("run"):
                run = record.run
                kinds |= {"id": run.run_id, "name": run.display_name, "project": run.project}
                kinds |= {"group": run.run_group, "job": run.job_type}
                for item in run.config.update:
                    kinds["config"][item.key] = json.loads(item.value_json)
            elif record.HasField("history"):
                items = {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json)
                    for item in record.history.item
                }
                kinds["history"].append(items)
            elif record.HasField("summary"):
                for item in record.summary.update:
                    kinds["summary"][item.key or ".".join(item.nested_key)] = json.loads(
                        item.value_json
                    )
            elif record.HasField("request") and record.request.HasField("log_artifact"):
                kinds["artifacts"].append(record.request.log_artifact.artifact)
            elif record.HasField("artifact"):
                kinds["artifacts"].append(record.artifact)
        found.setdefault(kinds["id"], []).append(kinds)
    return found


def test_a_run_is_written_whole_and_once(tmp_path):
    folder = write_run(tmp_path / "small", write_data(tmp_path / "data"))
    exporter = raysearch.WandbExporter()
    assert exporter.place == "wandb; `wandb sync` sends it"
    run = raysearch.replay(folder, exporter)
    runs = held(tmp_path / "wandb")
    key = run_key(run)
    assert set(runs) == {key, *(f"{key}-{trial}" for trial in run.records.trials)}
    record = list(run.records.trials.values())[-1]
    (trial,) = runs[f"{key}-{record.id}"]
    assert (trial["name"], trial["project"]) == ("glue/rte confirm 3 seed 12", "small")
    assert (trial["group"], trial["job"]) == ("small", "confirm")
    assert (trial["config"]["LR"], trial["config"]["EPOCH"]) == (1e-3, {"steps": 4})
    assert trial["config"]["raysearch"]["trial"] == record.id
    steps = [(row["_step"], row["dev/accuracy"], row["train/loss"]) for row in trial["history"]]
    assert steps == [(50, 0.4, 0.5), (100, 0.8, 0.5)]
    assert (trial["summary"]["score"], trial["summary"]["raysearch.status"]) == (0.8, "finished")
    (whole,) = runs[key]
    assert whole["summary"]["result/glue-rte"] == 0.775
    (artifact,) = whole["artifacts"]
    names = {entry.path for entry in artifact.manifest.contents}
    assert {"table.md", "glue-rte/best.yaml"} <= names
    for again in (exporter, raysearch.WandbExporter(folder=tmp_path)):
        raysearch.replay(folder, again)
        assert {
            name: len(found) for name, found in held(tmp_path / "wandb").items()
        } == dict.fromkeys(runs, 1)


def test_a_live_run_that_is_stopped_and_resumed_gives_what_its_export_gives(tmp_path):
    folder = tmp_path / "small"
    first = Following(folder, raysearch.WandbExporter(folder=tmp_path / "live"))
    drive(folder, SMALL, most=5, outcome=search_end, around=first)
    second = Following(folder, raysearch.WandbExporter(folder=tmp_path / "live"))
    drive(folder, SMALL, outcome=search_end, around=second)
    assert first.run.notes == second.run.notes == ()
    run = raysearch.replay(folder, raysearch.WandbExporter(folder=tmp_path / "after"))
    live, after = held(tmp_path / "live" / "wandb"), held(tmp_path / "after" / "wandb")
    assert live.keys() == after.keys()
    key = run_key(run)
    for trial in run.records.trials.values():
        name = f"{key}-{trial.id}"
        (exported,), followed = after[name], live[name][-1]
        for kinds in (exported, followed):
            for row in (*kinds["history"], kinds["summary"]):
                for clock in ("_timestamp", "_runtime", "_wandb", "_wandb.runtime"):
                    row.pop(clock, None)
        assert followed["history"] == exported["history"]
        assert [row["_step"] for row in exported["history"]] == [r.step for r in trial.reports]
        assert followed["summary"] == exported["summary"]


def test_the_mode_is_offline_unless_a_server_is_named(tmp_path, monkeypatch):
    assert raysearch.WandbExporter().mode == "offline"
    named = raysearch.WandbExporter("https://wandb.example.org")
    assert (named.mode, named.place) == ("online", "https://wandb.example.org")
    monkeypatch.setenv("WANDB_BASE_URL", "https://other.example.org")
    assert raysearch.WandbExporter().place == "https://other.example.org"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert raysearch.WandbExporter("https://wandb.example.org").mode == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(InputError, match="'disabled', by which nothing is exported"):
        raysearch.WandbExporter()
