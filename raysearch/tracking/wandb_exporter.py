"""Exports runs to Weights & Biases: one project for a run folder, one of its runs for each trial.

It is apart from the other exporters because it alone imports `wandb`, when it is made.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from ..results.html_report import REPORT
from ..results.run import Run
from ..run_folder import Record
from ..run_folder.events import ReportEvent
from ..storage import read_json, write_atomically
from . import exporter
from .exporter import Exporter

_MARK = "raysearch.json"  # in the folder of an offline run that was exported whole
_MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline"}


class WandbExporter(Exporter):
    """A callback that writes each trial to Weights & Biases; `replay` with it, a run that ended.

    A trial is a run of the project, in the group of the run folder, with the phase as its job type:
    its settings are the configuration, the numbers of each evaluation are logged at its step
    (`dev/accuracy`, `train/loss`, `train/learning_rate`), and the summary has `score`, `best/...`,
    `last/...`, its device hours and `raysearch.status`. A further run has the results of the whole
    run, and table, report and best.yaml as an artifact. Ids are made of the trials' ids: exporting
    a run again adds nothing.

    Without `uri` and without WANDB_MODE or WANDB_BASE_URL in the environment nothing leaves this
    machine: runs are written to the folder wandb/, and `wandb sync` sends them.

    Args:
        uri: of the server, such as https://api.wandb.ai, to which the trials are sent.
        project: its name; by default that of the run folder.
        folder: where the folder wandb/ is; by default that of WANDB_DIR, else the current one.

    Raises:
        InputError: the package wandb is missing, or WANDB_MODE says that nothing is recorded.
    """

    def __init__(
        self, uri: str | None = None, project: str | None = None, folder: str | Path | None = None
    ) -> None:
        super().__init__()
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        try:
            import wandb
        except ImportError as error:
            text = f"{error}: `pip install 'raysearch[wandb]'` would do"
            raise InputError("wandb", [Problem(location="packages", text=text)]) from None
        given = os.environ.get("WANDB_MODE", "online" if _names_server(uri) else "offline")
        if (mode := _MODES.get(given)) is None:
            text = f"is '{given}', by which nothing is exported; offline or online would do"
            raise InputError("wandb", [Problem(location="WANDB_MODE", text=text)])
        self.mode, self.uri, self.project = mode, uri, project
        self.folder = Path(folder or os.environ.get("WANDB_DIR") or ".")
        self._wandb: Any = wandb

    @property
    def place(self) -> str:
        """Where is exported to, in words."""
        if self.mode == "online":
            return self.uri or os.environ.get("WANDB_BASE_URL") or "the server of wandb"
        return f"{self.folder / 'wandb'}; `wandb sync` sends it"

    def begin_run(self, run: Run, key: str) -> None:
        """Remember the run: what stands for it is written at its end."""
        self._run_key, self._name = key, exporter.plain_name(run.folder.name)
        self._open: dict[str, Any] = {}  # trial -> its run of wandb

    def begin_trial(self, run: Run, record: Record) -> int | None:
        """Begin, or go on with, the run of a trial."""
        identity = f"{self._run_key}-{record.id}"
        if self._marks(identity):
            return None
        tags = exporter.tags(run, record, self._run_key)
        begun = self._init(
            identity,
            exporter.trial_name(record),
            record.phase,
            {**exporter.settings(run, record), "raysearch": _nested(tags)},
            [record.task[:64], record.phase, f"seed {record.seed}"],
        )
        if begun.resumed and begun.summary.get("raysearch.status"):
            begun.finish()
            return None
        self._open[record.id] = begun
        return begun.step - 1 if begun.resumed else -1

    def log(self, record: Record, reports: Sequence[ReportEvent]) -> None:
        """Add reports of a trial."""
        for report in reports:
            self._open[record.id].log(exporter.report_values(report), step=report.step)

    def end_trial(self, run: Run, record: Record) -> None:
        """Add the result of a trial, and close its run."""
        begun = self._open[record.id]
        if record.is_over:
            begun.summary.update(exporter.result_values(run, record))
            tags = exporter.tags(run, record, self._run_key)
            ends = ("raysearch.status", "raysearch.error")
            begun.summary.update({name: tags[name] for name in ends if name in tags})
        begun.finish(exit_code=1 if record.status in ("failed", "running") else 0)
        if record.is_over:
            self._write_mark(begun, record.status)
        del self._open[record.id]

    def end_run(self, run: Run) -> None:
        """Write the run that stands for the whole one, unless it is there as it would be."""
        values, files = exporter.run_values(run), exporter.result_files(run)
        digest = hashlib.sha256(repr((sorted(values.items()), run.interrupted)).encode())
        for folder, path in files:
            if path.name != REPORT:  # it has the time at which it was written
                digest.update(repr((folder, path.name)).encode() + path.read_bytes())
        state = digest.hexdigest()[:16]
        if state in self._marks(self._run_key):
            return
        begun = self._init(
            self._run_key, f"{self._name}, results", "results", exporter.run_settings(run), []
        )
        begun.summary.update({**values, "raysearch.interrupted": run.interrupted})
        artifact = self._wandb.Artifact(f"results-{self._run_key}", type="results")
        for folder, path in files:
            artifact.add_file(str(path), name="/".join(filter(None, (folder, path.name))))
        begun.log_artifact(artifact)
        begun.finish()
        self._write_mark(begun, state)

    def _init(
        self, identity: str, name: str, kind: str, config: dict[str, Any], tags: list[str]
    ) -> Any:
        """Begin a run of wandb that knows nothing of this process but what it is given."""
        settings = self._wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            save_code=False,
            login_timeout=60,
            x_disable_meta=True,
            x_save_requirements=False,
            x_disable_stats=True,
            x_disable_machine_info=True,
            **({"base_url": self.uri} if self.uri else {}),
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        return self._wandb.init(
            project=exporter.plain_name(self.project or self._name),
            group=self._name,
            id=identity,
            name=name[:128],
            job_type=kind,
            config=config,
            tags=tags,
            dir=str(self.folder),
            mode=self.mode,
            resume="allow",
            reinit="create_new",
            settings=settings,
        )

    def _marks(self, identity: str) -> set[str]:
        """Return in what states a run was exported whole to this machine."""
        patterns = [f"{name}/offline-run-*-{identity}/{_MARK}" for name in ("wandb", ".wandb")]
        paths = [path for pattern in patterns for path in self.folder.glob(pattern)]
        found = [read_json(path) for path in paths] if self.mode == "offline" else []
        return {str(mark.get("state")) for mark in found if isinstance(mark, dict)}

    def _write_mark(self, begun: Any, state: str) -> None:
        if self.mode == "offline":
            folder = Path(begun.settings.sync_dir)
            write_atomically(folder / _MARK, json.dumps({"state": state}) + "\n")


def _names_server(uri: str | None) -> bool:
    return bool(uri or os.environ.get("WANDB_BASE_URL"))


def _nested(tags: dict[str, str]) -> dict[str, str]:
    """Return what does not change of a trial's tags, without their prefix."""
    facts = {name.removeprefix("raysearch."): text for name, text in tags.items()}
    return {name: text for name, text in facts.items() if name not in ("status", "error")}
