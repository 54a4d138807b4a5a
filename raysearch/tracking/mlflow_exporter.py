"""Exports runs to MLflow: one experiment for a run folder, one of MLflow's runs for each trial.

It is apart from the other exporters because it alone imports `mlflow`, when it is made.
"""

import os
from collections.abc import Sequence
from typing import Any

from ..errors import InputError, Problem
from ..results.run import Run
from ..run_folder import Record
from ..run_folder.events import ReportEvent
from . import exporter
from .exporter import Exporter

_METRICS, _PARAMETERS = 900, 100  # in one request; MLflow takes 1000 things and 100 parameters
_PAGE = 1000  # of MLflow's runs


class MLflowExporter(Exporter):
    """A callback that writes each trial to MLflow as it goes; `replay` with it, a run that ended.

    A trial is a run below that of the whole run: its settings as parameters, the numbers of each
    evaluation as metrics at its step (`dev/accuracy`, `train/loss`, `train/learning_rate`); at its
    end `score`, `best/...`, `last/...` and its device hours; and tags that begin with "raysearch.":
    `trial`, `task`, `phase`, `seed`, `number`, `status`. The run above has the results, and table,
    report and best.yaml as artifacts. Exporting a run again adds nothing.

    Nothing is sent anywhere but to `uri`: MLflow's own telemetry is switched off unless the
    environment sets MLFLOW_DISABLE_TELEMETRY.

    Args:
        uri: of MLflow's tracking store: a server, sqlite:///FILE or a folder; by default that of
            MLFLOW_TRACKING_URI, else MLflow's local one in the current folder.
        experiment: the name of the experiment; by default that of the run folder.

    Raises:
        InputError: the package mlflow is missing, or does not know such a store.
    """

    def __init__(self, uri: str | None = None, experiment: str | None = None) -> None:
        super().__init__()
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            from mlflow import MlflowClient, entities
            from mlflow.exceptions import MlflowException
        except ImportError as error:
            text = f"{error}: `pip install 'raysearch[mlflow]'` would do"
            raise InputError("mlflow", [Problem(location="packages", text=text)]) from None
        try:
            self.client: Any = MlflowClient(tracking_uri=uri)
        except MlflowException as error:
            problem = Problem(location="tracking URI", text=str(error).splitlines()[0])
            raise InputError("mlflow", [problem]) from None
        self.experiment, self._entities = experiment, entities

    @property
    def place(self) -> str:
        """Where is exported to, in words."""
        return str(self.client.tracking_uri)

    def begin_run(self, run: Run, key: str) -> None:
        """Find or create the experiment and MLflow's run for the whole run."""
        self._experiment_id = self._find_experiment(run)
        self._run_key, self._found = key, self._exported(key)
        name = exporter.plain_name(run.folder.name)
        self._tags = {"raysearch.run": key, "raysearch.study": exporter.plain_name(run.study.name)}
        above = self._found.get("")
        if above is None:
            sessions = run.records.sessions
            above = self._create(name, sessions[0].at if sessions else 0.0, self._tags)
            self._log(above.info.run_id, settings=exporter.run_settings(run))
        elif run.state == "running":
            self.client.update_run(above.info.run_id, status="RUNNING")
        self._above: Any = above
        self._ids: dict[str, str] = {}  # trial -> id of MLflow's run

    def begin_trial(self, run: Run, record: Record) -> int | None:
        """Find or create MLflow's run of a trial."""
        tags = exporter.tags(run, record, self._run_key)
        settings = {name: str(value) for name, value in exporter.settings(run, record).items()}
        found = self._found.get(record.id)
        if found is None:
            tags |= {"raysearch.status": "running", "mlflow.parentRunId": self._above.info.run_id}
            created = self._create(exporter.trial_name(record), record.start_time, tags)
            self._ids[record.id] = created.info.run_id
            self._log(created.info.run_id, settings=settings)
            return -1
        if found.data.tags.get("raysearch.status") != "running":
            return None
        self._ids[record.id] = identity = found.info.run_id
        if not record.is_over:
            self.client.update_run(identity, status="RUNNING")
        # Parameters may be missing after a crash; the same ones again change nothing.
        self._log(identity, settings=settings)
        steps = [metric.step for metric in self.client.get_metric_history(identity, "progress")]
        return max(steps, default=-1)

    def log(self, record: Record, reports: Sequence[ReportEvent]) -> None:
        """Add reports of a trial."""
        self._log(
            self._ids[record.id],
            [m for r in reports for m in self._metrics(exporter.report_values(r), r.step, r.at)],
        )

    def end_trial(self, run: Run, record: Record) -> None:
        """Add the result of a trial, and how it has ended or is left."""
        identity, ended = self._ids[record.id], record.ended
        if ended is not None:
            step = record.reports[-1].step if record.reports else 0
            metrics = self._metrics(exporter.result_values(run, record), step, ended)
            # The tags say that the trial is whole.
            self._log(identity, metrics, tags=exporter.tags(run, record, self._run_key))
            status = "FAILED" if record.status == "failed" else "FINISHED"
            self._terminate(identity, status, ended)
        elif run.interrupted:
            self._terminate(identity, "KILLED", None)

    def end_run(self, run: Run) -> None:
        """Add the results of the whole run, its files, and how it has ended or is left."""
        identity = self._above.info.run_id
        known = self.client.get_run(identity).data.metrics
        values = exporter.run_values(run)
        new = {name: value for name, value in values.items() if known.get(name) != value}
        session = run.records.sessions[-1] if run.records.sessions else None
        at = (session.until or session.at) if session else 0.0
        self._log(identity, self._metrics(new, len(run.records.trials), at))
        for folder, path in exporter.result_files(run):
            self.client.log_artifact(identity, str(path), folder or None)
        if run.interrupted or run.state == "complete":
            self._terminate(identity, "KILLED" if run.interrupted else "FINISHED", at)

    def _find_experiment(self, run: Run) -> str:
        """Return the id of the experiment, which is created if it is missing.

        Raises:
            InputError: it was deleted.
        """
        name = exporter.plain_name(self.experiment or run.folder.name)
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name))
        if found.lifecycle_stage == "deleted":
            text = f"'{name}' was deleted at {self.place}: restore it, or give another name"
            raise InputError("mlflow", [Problem(location="experiment", text=text)])
        return str(found.experiment_id)

    def _exported(self, key: str) -> dict[str, Any]:
        """Return what MLflow has of a run: trial, or "" for the whole run -> MLflow's run."""
        found: dict[str, Any] = {}
        token = None
        while True:
            page = self.client.search_runs(
                [self._experiment_id],
                filter_string=f"tags.`raysearch.run` = '{key}'",
                max_results=_PAGE,
                page_token=token,
            )
            found |= {run.data.tags.get("raysearch.trial", ""): run for run in page}
            token = page.token
            if not token:
                return found

    def _create(self, name: str, began: float, tags: dict[str, str]) -> Any:
        return self.client.create_run(
            self._experiment_id, start_time=_milliseconds(began), tags=tags, run_name=name
        )

    def _metrics(self, values: dict[str, float], step: int, at: float) -> list[Any]:
        """Return numbers at a step and a Unix time as MLflow has them."""
        time, make = _milliseconds(at), self._entities.Metric
        return [make(name, value, time, step) for name, value in values.items()]

    def _log(
        self,
        identity: str,
        metrics: Sequence[Any] = (),
        settings: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Add numbers, settings and, with the last numbers, tags to one of MLflow's runs."""
        params = [self._entities.Param(name, text) for name, text in (settings or {}).items()]
        for start in range(0, len(params), _PARAMETERS):
            self.client.log_batch(identity, params=params[start : start + _PARAMETERS])
        before = max(0, len(metrics) - _METRICS)
        for start in range(0, before, _METRICS):
            part = metrics[start : min(start + _METRICS, before)]
            self.client.log_batch(identity, metrics=part)
        texts = [self._entities.RunTag(name, text) for name, text in (tags or {}).items()]
        if metrics or texts:
            self.client.log_batch(identity, metrics=metrics[before:], tags=texts)

    def _terminate(self, identity: str, status: str, at: float | None) -> None:
        time = None if at is None else _milliseconds(at)
        self.client.set_terminated(identity, status, end_time=time)


def _milliseconds(at: float) -> int:
    return round(1000 * at)
