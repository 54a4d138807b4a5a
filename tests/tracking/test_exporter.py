"""The exporter's logic, with a service that only notes what it is given."""

import pytest
from support.driven_runs import NAME, RTE, STUDY, drive, search_end
from support.run_folders import Script, write_study
from support.written_runs import write_data, write_run
from typer.testing import CliRunner

import raysearch
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.results import write_exports
from raysearch.run_folder import JOURNAL_NAME, read_journal
from raysearch.tracking import exporter, mlflow_exporter, wandb_exporter
from raysearch.tracking.exporter import Exporter

SMALL = STUDY | {"tasks": [RTE], "published": [], "confirm": {"top": 1, "seeds": [11]}}
POINT = {"BSZ": 16, "LR": 1e-4, "WARMUP": 16, "weight_decay": 0.1}


class Noting(Exporter):
    """A service in memory: trial -> what it was given. Several exporters may write to one."""

    def __init__(self, service):
        super().__init__()
        self.service, self.written = service, 0

    def begin_run(self, run, key):
        self.key = key

    def begin_trial(self, run, record):
        known = self.service.setdefault((self.key, record.id), {"steps": [], "end": None})
        if known["end"]:
            return None
        return max(known["steps"], default=-1)

    def log(self, record, reports):
        self.written += len(reports)
        self.service[self.key, record.id]["steps"] += [report.step for report in reports]

    def end_trial(self, run, record):
        self.written += 1
        ended = record.status if record.is_over else None
        self.service[self.key, record.id]["end"] = ended

    def end_run(self, run):
        self.service[self.key] = exporter.run_values(run)


def expected(folder):
    """What a service must have of the trials of a run folder that have begun to train."""
    return {
        record.id: {
            "steps": [report.step for report in record.reports],
            "end": record.status if record.is_over else None,
        }
        for record in read_journal(folder).trials.values()
        if record.attempts
    }


def trials(service):
    return {key[1]: value for key, value in service.items() if isinstance(key, tuple)}


def test_a_run_is_exported_once_however_often(tmp_path):
    drive(tmp_path, STUDY, lanes=3, outcome=search_end)
    service = {}
    first = Noting(service)
    raysearch.replay(tmp_path, first)
    assert trials(service) == expected(tmp_path)
    afterwards = {}
    Noting(afterwards).export(tmp_path)
    assert afterwards == service
    once = repr(service)
    for again in (first, Noting(service)):
        written = again.written
        raysearch.replay(tmp_path, again)
        again.export(tmp_path)
        assert repr(service) == once
        assert again.written == written


def test_what_earlier_sessions_did_not_export_is_exported_at_the_end(tmp_path):
    drive(tmp_path, SMALL, most=6, outcome=search_end)
    service = {}
    last = Noting(service)
    last.on_run_end(raysearch.open_run(tmp_path))  # as a resumed run without new trials calls it
    assert trials(service) == expected(tmp_path)
    assert read_journal(tmp_path).unfinished
    drive(tmp_path, SMALL, outcome=search_end)
    raysearch.replay(tmp_path, last)
    assert trials(service) == expected(tmp_path)


def test_reports_that_an_attempt_repeats_are_exported_once(tmp_path):
    write_study(tmp_path, **SMALL)
    script = Script(tmp_path)
    trial = script.begin(RTE, POINT)
    script.attempt(trial)
    for step in (25, 50, 75):
        script.report(trial, step, {"accuracy": 0.5})
    script.attempt(trial, attempt=2)
    for step in (25, 50, 75, 100):
        script.report(trial, step, {"accuracy": 0.5}, attempt=2)
    script.end(trial, "finished", 0.5, {"accuracy": 0.5})
    script.close()
    service = {}
    raysearch.replay(tmp_path, Noting(service))
    assert trials(service)[trial]["steps"] == [25, 50, 75, 100]


def test_an_export_that_failed_goes_on_with_the_next_call(tmp_path):
    drive(tmp_path, SMALL, most=4, outcome=search_end)
    service = {}

    class Away(Noting):
        count = 0

        def log(self, record, reports):
            self.count += 1
            if self.count % 2:
                raise ConnectionError("no answer")
            super().log(record, reports)

    away = Away(service)

    class Guarded(raysearch.Callback):
        """What the thread of a live run does with exceptions."""

        def on_report(self, *values):
            self._try(away.on_report, *values)

        def on_trial_end(self, *values):
            self._try(away.on_trial_end, *values)

        def on_run_end(self, run):
            self._try(away.on_run_end, run)
            self._try(away.on_run_end, run)

        def _try(self, call, *values):
            try:
                call(*values)
            except ConnectionError:
                assert away.count % 2

    raysearch.replay(tmp_path, Guarded())
    assert away.count > 8
    assert trials(service) == expected(tmp_path)


def test_two_runs_of_one_study_are_told_apart_and_a_copy_is_the_same(tmp_path):
    keys = []
    for name in ("one", "two"):
        drive(tmp_path / name, SMALL, most=2)
        keys.append(exporter.run_key(raysearch.open_run(tmp_path / name)))
    assert keys[0] == keys[1]  # toys: they began at the same moment
    text = (
        (tmp_path / "two" / JOURNAL_NAME).read_text().replace('"at":1700000000.0', '"at":17.0', 1)
    )
    (tmp_path / "two" / JOURNAL_NAME).write_text(text)
    assert exporter.run_key(raysearch.open_run(tmp_path / "two")) != keys[0]


def test_values_and_names_of_foreign_texts_are_ones_that_services_take(tmp_path):
    drive(tmp_path, STUDY, most=9, outcome=search_end)
    run = raysearch.open_run(tmp_path)
    records = list(run.records.trials.values())
    for record in records:
        tags = exporter.tags(run, record, "k")
        assert tags["raysearch.trial"] == record.id
        assert all(isinstance(text, str) for text in tags.values())
        numbers = [exporter.report_values(r) for r in record.reports]
        assert all(type(x) in (int, float) for values in numbers for x in values.values())
    failed = next(record for record in records if record.status == "failed")
    assert "alert" in exporter.tags(run, failed, "k")["raysearch.error"]
    assert exporter.plain_name(NAME) == "report ><script>alert(1)<script>"
    assert exporter.plain_name("a/b\x1b[31m#?%:\\ \u202e") == "a b x1b[31m u202e"
    assert exporter.plain_name(" // ") == "run"
    assert len(exporter.plain_name("x" * 900)) == 100
    assert exporter._metric_name("train/../l\u00f6ss{R1}//x") == "train/l_ss_R1_/x"
    assert exporter._metric_name("//") == "_"


def test_settings_and_results_are_those_of_the_trial(tmp_path):
    folder = write_run(tmp_path / "run", write_data(tmp_path / "data"))
    run = raysearch.open_run(folder)
    last = list(run.records.trials.values())[-1]
    settings = exporter.settings(run, last)
    assert (settings["LR"], settings["BSZ"], settings["EPOCH"]) == (1e-3, 8, {"steps": 4})
    assert exporter.report_values(last.reports[-1]) == {
        "progress": 1.0,
        "seconds": 10.0,
        "train/loss": 0.5,
        "train/learning_rate": 1e-5,
        "dev/accuracy": 0.8,
    }
    assert exporter.result_values(run, last) == {
        "score": 0.8,
        "best/accuracy": 0.8,
        "last/accuracy": 0.8,
        "total_seconds": 36.0,
        "device_hours": 0.01,
    }
    assert exporter.run_values(run) == {"result/glue-rte": 0.775, "device_hours": 0.04}
    write_exports(folder, report=True)
    files = {"/".join(filter(None, (f, p.name))) for f, p in exporter.result_files(run)}
    assert files == {
        "table.md", "table.tex", "table.csv", "table.json", "reproducibility.md", "report.html",
        "study.yaml", "glue-rte/best.yaml",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "package"),
    [(raysearch.MLflowExporter, "mlflow"), (raysearch.WandbExporter, "wandb")],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, make, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(InputError, match=rf"pip install 'raysearch\[{package}\]'` would do"):
        make()


def test_the_command_exports_and_refuses_other_services(tmp_path, monkeypatch):
    drive(tmp_path / "run", SMALL, most=4)
    made, service = [], {}

    class Made(Noting):
        place = "a service \x1b[31m"

        def __init__(self, uri, project):
            super().__init__(service)
            made.append((uri, project))

    monkeypatch.setattr(raysearch.tracking, "MLflowExporter", Made)
    command = ["export", str(tmp_path / "run"), "--to", "mlflow", "--uri", "u", "--project", "p"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert result.output == f"4 trials of {tmp_path / 'run'}: a service \\x1b[31m\n"
    assert made == [("u", "p")]
    assert len(trials(service)) == 4
    result = CliRunner().invoke(app, ["export", str(tmp_path / "run"), "--to", "mlfow"])
    assert result.exit_code == 2
    assert "no service named 'mlfow'; did you mean 'mlflow'" in result.output
    result = CliRunner().invoke(app, ["export", str(tmp_path), "--to", "mlflow"])
    assert "no study.yaml here: not a run folder" in result.output


def test_the_exporters_import_their_packages_only_when_they_are_made():
    for module in (mlflow_exporter, wandb_exporter):
        assert not {"mlflow", "wandb"} & vars(module).keys()
