"""Real runs of small studies in this process: queue, worker, session and exports, without Ray."""

import json
from dataclasses import replace
from types import SimpleNamespace

import torch

from raysearch import __version__, results, storage, study
from raysearch.run_folder import Journal
from raysearch.run_folder.checkpoint_folder import CheckpointFolder
from raysearch.run_folder.events import AttemptEvent
from raysearch.search import data_preparation
from raysearch.search.chain_starts import whole_starts
from raysearch.search.null_progress import NullProgress
from raysearch.search.reuse import OtherRuns
from raysearch.search.session import Session
from raysearch.search.trial_queue import QueueState, TrialQueue
from raysearch.workers import worker as workers
from raysearch.workers.messages import Decision, TrainedModel, TrialReport
from raysearch.workers.worker import Worker


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


def run_locally(folder, data, raw, monkeypatch, reuse=(), trained=None):
    """Run a study to its end in a run folder, and return the folder.

    Args:
        folder: the run folder.
        data: the data folder.
        raw: the mapping of the study.
        monkeypatch: pytest's.
        reuse: run folders whose trials answer those of the run.
        trained: a list that gets the records of the trials that are trained.
    """
    without_ray(monkeypatch)
    folder.mkdir(parents=True)
    searched, journal, published = study.parse(raw), Journal(folder), {}
    content = dict.fromkeys(searched.tasks, "x")
    facts = {"data": str(data), "content": content, "raysearch": __version__,
             "study": study.as_mapping(searched), "lanes": {}}  # fmt: skip
    storage.write_atomically(folder / "study.yaml", study.dump(searched))
    storage.write_atomically(folder / "provenance.json", json.dumps(facts))
    session = Session.__new__(Session)
    session.folder, session.study, session.journal, session.data = folder, searched, journal, data
    answers = OtherRuns([str(run) for run in reuse], folder.parent).answering(searched, content)
    session.queue = TrialQueue(searched, journal, content, reuse=answers)
    broker = SimpleNamespace(publish_data=published.__setitem__)
    session.preparation = data_preparation.BackgroundPreparation(
        searched, data, broker, lambda line: None
    )
    session.view = NullProgress(session.queue, lambda: 1)
    while not isinstance(record := session.queue.next(), QueueState):
        if record.is_over:  # another run has answered it
            continue
        if record.task not in published:  # a task may start from the winner of another
            task = searched.resolve(record.task)
            session.preparation._provide(task.name, whole_starts(folder, task, journal))
        _train(session, record, published[record.task])
        trained = [] if trained is None else trained
        trained.append(record)
    session.tidy()
    journal.close()
    results.write_exports(folder)
    return folder


def _train(session, record, data):
    """Let a worker train a trial, and record what it reports and leaves."""
    queue = session.queue
    broker = ToyBroker(data, replace(queue.request(record), serial=1))
    checkpoints = CheckpointFolder(session.folder)
    Worker(broker=broker, lane="lane-1", recipe=session.study.recipe, checkpoints=checkpoints,
           checkpoint_interval=1e9).work()  # fmt: skip
    (attempt,) = broker.attempts
    queue.journal.write(AttemptEvent(trial=record.id, at=0.0, attempt=1, plan=attempt.plan))
    for _, message in broker.messages:
        if isinstance(message, TrialReport):
            queue.report(record, message.report, 1)
        else:
            assert message.error is None, message.error
            if record.id in broker.models:
                model = broker.models[record.id]
                weights = model.weights if queue.wants_weights(record, message.status) else None
                session._keep_model(record, replace(model, weights=weights))
            queue.end(record, message.status)
