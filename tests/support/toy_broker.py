"""A broker in this process, for one worker: it hands out given requests and keeps messages."""

from types import SimpleNamespace

import torch

from raysearch.search import data_preparation
from raysearch.workers import worker as workers
from raysearch.workers.messages import Decision, TrainedModel


class ToyBroker:
    """Stands for Ray's handle of the broker: it hands out requests and keeps messages."""

    def __init__(self, data, *requests, decisions=()):
        self.data, self.requests, self.decisions = data, list(requests), list(decisions)
        self.messages, self.attempts, self.models, self.started = [], [], {}, 0
        self.machines, self.parameters = {}, {}

    def __getattr__(self, name):
        return SimpleNamespace(remote=getattr(self, f"on_{name}"))

    def on_worker_started(self, lane, memory_kills):
        self.started += 1
        return True

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

    def on_heartbeat(self, lane, serial, seconds, step, phase):
        return Decision.CONTINUE

    def on_report(self, lane, serial, message):
        self.messages.append((serial, message))
        return self.decisions.pop(0) if self.decisions else Decision.CONTINUE

    def on_put_model(self, trial, model):
        predictions, weights = model
        self.models[trial] = TrainedModel(weights=weights, predictions=predictions)


def without_ray(monkeypatch):
    """Let Ray's references be the values themselves."""
    monkeypatch.setattr(data_preparation, "ray", SimpleNamespace(put=lambda x: x, get=lambda x: x))
    monkeypatch.setattr(workers.ray, "put", lambda x: x)
    monkeypatch.setattr(workers.ray, "get", lambda x: x)
    node = SimpleNamespace(get_node_id=lambda: "node")
    monkeypatch.setattr(workers.ray, "get_runtime_context", lambda: node)
    monkeypatch.setattr(workers, "worker_device", lambda: torch.device("cpu"))
