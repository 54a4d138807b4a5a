"""Real runs in this process: all of a run but Ray, Tune and the processes of lanes."""

import time
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import ray
import torch
from ray.tune.search import Searcher

import raysearch
from raysearch import study
from raysearch.run_folder.checkpoint_folder import CheckpointFolder
from raysearch.search import ray_cluster, ray_watch
from raysearch.search import session as sessions
from raysearch.workers import worker as workers
from raysearch.workers.messages import Decision, TrainedModel
from raysearch.workers.shared_values import SharedValues
from raysearch.workers.worker import LaneGone, Worker

_LANE = "lane-1"  # also Tune's name of its trial


class LocalBroker(SharedValues):
    """Stands for Tune, the lane and the broker between the driver's `TuneAdapter` and a worker."""

    def __init__(self, hang=None, on_restart=None):
        super().__init__()
        self.adapter = self.progress = None

    @property
    def actor(self):
        """The handle that workers have: its calls are made at once."""
        return _Handle(self)

    def train(self, adapter, recipe, folder):
        """Train what the adapter suggests, to the end, and raise what stops it."""
        self.adapter = adapter
        Worker(broker=self.actor, lane=_LANE, recipe=recipe, checkpoints=CheckpointFolder(folder),
               checkpoint_interval=1e9).work()  # fmt: skip
        adapter.poll()

    def worker_started(self, lane, memory_kills):
        return True

    def next_request(self, lane, after):
        suggested = Searcher.FINISHED if self.adapter.error else self.adapter.suggest(_LANE)
        if suggested == Searcher.FINISHED:
            return None
        return replace(suggested["request"], serial=after + 1)

    def get_data(self, task):
        while task not in self._data:
            if self.adapter.preparation.error:
                raise LaneGone
            time.sleep(0.005)
        return self._data[task]

    def attempt_started(self, lane, serial, progress):
        self.progress = replace(progress, lane=1)

    def heartbeat(self, lane, serial, seconds, step, phase):
        return Decision.CONTINUE

    def report(self, lane, serial, message):
        event = replace(message, progress=self.progress)
        if self.adapter.on_event(_LANE, event):
            return Decision.CONTINUE
        self.adapter.on_end(_LANE, event)
        self.progress = None
        return Decision.STOP

    def pop_model(self, trial, weights):
        if (left := super().pop_model(trial)) is None:
            return None
        return TrainedModel(weights=left[1] if weights else None, predictions=left[0])

    def running_attempts(self):
        return [self.progress] if self.progress else []

    def close(self):
        """Do nothing: there is no process."""


class _Handle:
    def __init__(self, broker):
        self.broker = broker

    def __getattr__(self, name):
        return SimpleNamespace(remote=getattr(self.broker, name))


def train_here(monkeypatch):
    """Let all runs train in this process, one trial after another, without Ray."""
    node = SimpleNamespace(get_node_id=lambda: "node")
    monkeypatch.setattr(ray, "put", lambda value: value)
    monkeypatch.setattr(ray, "get", lambda reference: reference)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: node)
    monkeypatch.setattr(workers, "worker_device", lambda: torch.device("cpu"))
    watch = SimpleNamespace(error=None, start=lambda: None, stop=lambda: None)
    monkeypatch.setattr(ray_cluster, "connect", lambda address: nullcontext({"CPU": 2.0}))
    monkeypatch.setattr(ray_watch, "watched", lambda folder: nullcontext(watch))
    monkeypatch.setattr(sessions, "BrokerLink", LocalBroker)
    monkeypatch.setattr(sessions, "cluster_nodes", dict)
    monkeypatch.setattr(sessions.Session, "limit", lambda self: 1)
    monkeypatch.setattr(sessions.Session, "_wait_for_lane", lambda self: None)
    monkeypatch.setattr(sessions.Session, "_tune", _train)


def _train(session, adapter, broker, scratch):
    broker.broker.train(adapter, session.study.recipe, session.folder)


class _Trained(raysearch.Callback):
    def __init__(self, records):
        self.records = records

    def on_trial_end(self, run, record):
        if not record.reused_from:
            self.records.append(record)


def run_locally(folder, data, raw, monkeypatch, reuse=(), trained=None):
    """Run a study to its end in this process, and return the run folder.

    Args:
        folder: the run folder.
        data: the data folder.
        raw: the mapping of the study.
        monkeypatch: pytest's.
        reuse: run folders whose trials answer those of the run.
        trained: a list that gets the records of the trials that are trained.
    """
    train_here(monkeypatch)
    calls = [] if trained is None else [_Trained(trained)]
    raysearch.run(study.parse(raw), data=data, storage=folder.parent, name=folder.name,
                  reuse=reuse, callbacks=calls)  # fmt: skip
    return folder
