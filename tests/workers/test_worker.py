"""A lane's worker with a toy broker: requests, decisions, checkpoints. No Ray is started."""

from types import SimpleNamespace

import pytest
import torch

from raysearch import study
from raysearch.search import data_preparation
from raysearch.workers import worker as workers
from raysearch.workers.messages import Decision, TrialEnd, TrialReport, TrialRequest
from raysearch.workers.worker import Worker

TOY = "toy/grammar"
STUDY = {"tasks": [TOY], "model": "scratch:1x64", "fixed": {"EPOCH": 1, "epoch_examples": 128}}


class ToyBroker:
    """Stands for Ray's handle of the broker: it hands out requests and keeps messages."""

    def __init__(self, data, *requests, decisions=()):
        self.data, self.requests, self.decisions = data, list(requests), list(decisions)
        self.messages, self.attempts, self.models, self.started = [], [], {}, 0
        self.machines, self.parameters = {}, {}

    def __getattr__(self, name):
        return SimpleNamespace(remote=getattr(self, f"on_{name}"))

    def on_worker_started(self, lane):
        self.started += 1

    def on_record_machine(self, node, facts):
        self.machines[node] = facts

    def on_record_parameters(self, task, total, trained):
        self.parameters[task] = (total, trained)

    def on_get_data(self, task):
        return self.data

    def on_next_request(self, lane, after):
        return self.requests.pop(0) if self.requests else None

    def on_attempt_started(self, lane, serial, progress):
        self.attempts.append(progress)

    def on_heartbeat(self, lane, serial, seconds, step):
        pass

    def on_report(self, lane, serial, message):
        self.messages.append((serial, message))
        return self.decisions.pop(0) if self.decisions else Decision.CONTINUE

    def on_put_model(self, trial, model):
        self.models[trial] = model[0]


@pytest.fixture
def data(monkeypatch, tmp_path):
    """What the preparation publishes for the toy task; Ray's references are the values."""
    toy_ray = SimpleNamespace(put=lambda x: x, get=lambda x: x)
    monkeypatch.setattr(data_preparation, "ray", toy_ray)
    monkeypatch.setattr(workers.ray, "put", toy_ray.put)
    monkeypatch.setattr(workers.ray, "get", toy_ray.get)
    node = SimpleNamespace(get_node_id=lambda: "node")
    monkeypatch.setattr(workers.ray, "get_runtime_context", lambda: node)
    monkeypatch.setattr(workers, "_device", lambda: torch.device("cpu"))
    published = {}
    broker = SimpleNamespace(publish_data=SimpleNamespace(remote=published.__setitem__))
    preparation = data_preparation.BackgroundPreparation(
        study.parse(STUDY), tmp_path, broker, lambda line: None
    )
    preparation._provide(TOY)
    return published[TOY]


def request(serial, trial="a", **values):
    configuration = {**STUDY["fixed"], "LR": 1e-3, **values.pop("configuration", {})}
    return TrialRequest(
        trial=trial, task=TOY, configuration=configuration, seed=1, serial=serial, **values
    )


def work(broker, folder):
    worker = Worker(broker=broker, lane="lane-1", recipe="finetune", checkpoints=str(folder),
                    checkpoint_interval=0.0)  # fmt: skip
    worker.work()
    return worker


def kinds(broker):
    """Return the serial, the class and the status of every message."""
    return [
        (serial, type(m), m.report.status if isinstance(m, TrialReport) else m.status)
        for serial, m in broker.messages
    ]


def reports(broker, serial=1):
    """Return the reports of a request."""
    messages = [message for number, message in broker.messages if number == serial]
    return [message.report for message in messages if isinstance(message, TrialReport)]


@pytest.mark.slow
def test_a_worker_serves_requests_until_its_lane_closes(data, tmp_path):
    broker = ToyBroker(data, request(1), request(2, "b", keep=True, attempt=3))
    work(broker, tmp_path / "checkpoints")
    assert broker.started == 1
    assert broker.machines["node"]["cores"] >= 1
    weights = broker.models["b"].weights  # with all rows of the word embedding
    assert broker.parameters[TOY] == (sum(x.size for x in weights.values()),) * 2
    attempts = [(a.trial, a.attempt, a.from_step) for a in broker.attempts]
    assert attempts == [("a", 1, 0), ("b", 3, 0)]
    assert set(broker.models) == {"b"}  # the only one that is kept
    assert broker.models["b"].predictions
    first, second = ([m for s, m in broker.messages if s == serial] for serial in (1, 2))
    for messages, attempt in ((first, 1), (second, 3)):
        *before, end = messages
        assert isinstance(end, TrialEnd)
        assert end.seconds >= before[-1].report.seconds
        assert {message.attempt for message in before} == {attempt}
    # A trial does not depend on the one before.
    assert [r.scores for r in reports(broker, 1)] == [r.scores for r in reports(broker, 2)]


def test_a_stopped_trial_leaves_no_end_and_no_weights_and_the_next_one_runs(data, tmp_path):
    rungs = {"rungs": (0.5,), "keep": True}
    broker = ToyBroker(
        data, request(1, **rungs), request(2, "b", **rungs), decisions=[Decision.STOP]
    )
    work(broker, tmp_path / "checkpoints")
    assert kinds(broker)[0] == (1, TrialReport, "running")
    assert [serial for serial, _ in broker.messages].count(1) == 1
    assert kinds(broker)[-1][:2] == (2, TrialEnd)
    assert set(broker.models) == {"b"}


def test_an_error_ends_its_trial_as_failed_with_the_traceback_and_the_next_one_runs(data, tmp_path):
    broken = request(1, configuration={"LR": "not a number"})
    broker = ToyBroker(data, broken, request(2, "b"))
    work(broker, tmp_path / "checkpoints")
    assert kinds(broker)[0] == (1, TrialEnd, "failed")
    assert "ValidationError" in broker.messages[0][1].error
    assert kinds(broker)[-1][:2] == (2, TrialEnd)


@pytest.mark.slow
def test_an_attempt_continues_from_the_checkpoint_of_the_last_one(data, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "HEARTBEAT", 0.0)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    rungs = {"rungs": (0.5,)}
    whole = ToyBroker(data, request(1, **rungs))
    work(whole, folder)
    assert list(folder.iterdir()) == []  # the checkpoint of an ended trial is removed
    stopped = ToyBroker(data, request(1, **rungs), decisions=[Decision.STOP])
    work(stopped, folder)
    assert [path.name for path in folder.iterdir()] == ["a.pt"]
    resumed = ToyBroker(data, request(1, attempt=2, **rungs))
    worker = work(resumed, folder)
    assert resumed.attempts[0].from_step > 0
    assert [report.step for report in worker.reports] == [report.step for report in reports(whole)]
    last, known = reports(resumed)[-1], reports(whole)[-1]
    assert (last.step, last.scores) == (known.step, known.scores)


def test_a_damaged_checkpoint_is_ignored(data, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "a.pt").write_bytes(b"torn")
    broker = ToyBroker(data, request(1))
    work(broker, folder)
    assert broker.attempts[0].from_step == 0
    assert kinds(broker)[-1][1] is TrialEnd
