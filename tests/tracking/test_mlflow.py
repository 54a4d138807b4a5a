"""MLflow's own store, on this machine: what it holds of an exported run, read back by MLflow."""

import socket

import pytest
from support.callbacks import CallLog
from support.driven_runs import NAME, RTE, STUDY, drive, search_end
from support.written_runs import write_data, write_run
from test_callbacks import Following

import raysearch
from raysearch.errors import InputError
from raysearch.tracking.exporter import plain_name

pytestmark = pytest.mark.slow
mlflow = pytest.importorskip(
    "mlflow", reason="MLflow is not installed: pip install 'raysearch[mlflow]'"
)
SMALL = STUDY | {"tasks": [RTE], "published": [], "confirm": {"top": 1, "seeds": [11]}}


@pytest.fixture(params=["sqlite", "files"])
def uri(request, tmp_path, monkeypatch):
    """A store in a file of SQLite, or in files; nothing may leave this machine."""

    def refuse(*where, **more):
        raise AssertionError(f"a connection to {where}")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path}/m.db" if request.param == "sqlite" else f"file://{tmp_path}/store"


def content(uri, name):
    """All that an experiment holds, by the names of MLflow's runs."""
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name)
    found = {}
    for run in client.search_runs([experiment.experiment_id]):
        metrics = {
            name: [
                (m.step, m.value, m.timestamp)
                for m in client.get_metric_history(run.info.run_id, name)
            ]
            for name in run.data.metrics
        }
        listed = client.list_artifacts(run.info.run_id)
        for folder in [file.path for file in listed if file.is_dir]:
            listed += client.list_artifacts(run.info.run_id, folder)
        files = [file.path for file in listed if not file.is_dir]
        tags = {n: t for n, t in run.data.tags.items() if n.startswith("raysearch.")}
        facts = (run.info.status, run.info.start_time, run.info.end_time, run.data.params)
        parent = run.data.tags.get("mlflow.parentRunId")
        assert run.info.run_name not in found
        found[run.info.run_name] = (*facts, tags, metrics, sorted(files), parent)
    return found


def test_a_run_is_exported_whole_and_once(tmp_path, uri):
    folder = write_run(tmp_path / "small", write_data(tmp_path / "data"))
    raysearch.replay(folder, raysearch.MLflowExporter(uri))
    held = content(uri, "small")
    assert len(held) == 5
    status, start, end, params, tags, metrics, _, parent = held["glue/rte confirm 3 seed 12"]
    record = list(raysearch.open_run(folder).records.trials.values())[-1]
    assert (status, start, end) == ("FINISHED", 1000 * record.began, 1000 * record.ended)
    assert (params["LR"], params["BSZ"], params["EPOCH"]) == ("0.001", "8", "{'steps': 4}")
    assert (tags["raysearch.trial"], tags["raysearch.status"]) == (record.id, "finished")
    assert (tags["raysearch.phase"], tags["raysearch.seed"]) == ("confirm", "12")
    times = [round(1000 * report.at) for report in record.reports]
    assert metrics["dev/accuracy"] == [(50, 0.4, times[0]), (100, 0.8, times[1])]
    assert metrics["score"] == [(100, 0.8, 1000 * record.ended)]
    assert metrics["device_hours"][0][1] == 0.01
    above = held["small"]
    assert above[3]["model"] == "scratch:1x64"
    assert above[5]["result/glue-rte"][0][1] == 0.775
    assert {"table.md", "table.json", "glue-rte/best.yaml", "study.yaml"} <= set(above[6])
    assert parent is not None
    assert {row[7] for row in held.values()} == {None, parent}
    for exporter in (raysearch.MLflowExporter(uri), raysearch.MLflowExporter(uri)):
        raysearch.replay(folder, exporter)
        assert content(uri, "small") == held


def test_a_live_run_that_is_stopped_and_resumed_gives_what_its_export_gives(tmp_path, uri):
    folder, live = tmp_path / "small", raysearch.MLflowExporter(uri, "live")
    first = Following(folder, live)
    drive(folder, SMALL, most=6, outcome=search_end, around=first)
    assert first.run.notes == ()
    states = {row[0] for row in content(uri, "live").values()}
    assert states == {"KILLED", "FINISHED", "FAILED"}
    second = Following(folder, raysearch.MLflowExporter(uri, "live"))
    drive(folder, SMALL, outcome=search_end, around=second)
    assert second.run.notes == ()
    raysearch.replay(folder, raysearch.MLflowExporter(uri, "after"))
    after, live = content(uri, "after"), content(uri, "live")
    parents = [{row[7] for row in held.values()} - {None} for held in (after, live)]
    assert [len(parent) for parent in parents] == [1, 1]

    def comparable(held):
        # The result of the whole run has been written at the end of each session.
        return {n: (*row[:5], row[5] if row[7] else None, row[6]) for n, row in held.items()}

    assert comparable(live) == comparable(after)
    assert {row[0] for row in after.values()} == {"FINISHED", "FAILED"}
    assert len(after) == 18


def test_a_study_with_a_foreign_name_and_strange_trials_is_exported(tmp_path, uri):
    few = {"search": {"sampler": "random", "trials": 6}, "confirm": {"top": 1, "seeds": [11]}}
    folder = drive(tmp_path / "a 'name' \u00e9", STUDY | few, lanes=3, outcome=search_end)
    run = raysearch.replay(folder, raysearch.MLflowExporter(uri), CallLog())
    held = content(uri, "a name \u00e9")
    assert len(held) == len(run.records.trials) + 1
    assert held["a name \u00e9"][4]["raysearch.study"] == plain_name(NAME)
    failed = [row for row in held.values() if row[0] == "FAILED"]
    assert 'alert("x")' in failed[0][4]["raysearch.error"]
    statuses = {row[4].get("raysearch.status") for row in held.values()}
    assert statuses == {None, "finished", "failed", "diverged"}


def test_a_deleted_experiment_and_an_unknown_store_are_refused(tmp_path, uri):
    folder = drive(tmp_path / "small", SMALL, most=2)
    raysearch.replay(folder, raysearch.MLflowExporter(uri))
    client = mlflow.MlflowClient(tracking_uri=uri)
    client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
    with pytest.raises(InputError, match="'small' was deleted"):
        raysearch.replay(folder, raysearch.MLflowExporter(uri))
    with pytest.raises(InputError, match="tracking URI"):
        raysearch.MLflowExporter("unheard://of")
