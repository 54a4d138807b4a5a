"""Studies that ship, with a tiny random encoder of their family: a trial trains as they say."""

import math

import pytest
from support.local_runs import run_locally
from support.small_data import write_data
from support.superglue_toys import write_commonsense_qa, write_superglue

from raysearch import study
from raysearch.run_folder.journal import read_journal

# Of each study: the family of its model, tasks of it, and settings that small data asks for.
CASES = {
    "modernbert-glue": (
        "modernbert",
        ("glue/mnli", "glue/rte", "glue/stsb"),
        ("precision=fp32", "max_length=32", "EPOCH=2"),
    ),
    "superglue": (
        "bert",
        tuple(f"superglue/{name}" for name in ("boolq", "cb", "copa", "wic", "wsc", "record")),
        ("max_length=32", "qa_length=12", "EPOCH=1"),
    ),
    "roberta-commonsense-qa": (
        "roberta",
        ("csqa/rand",),
        ("precision=fp32", "max_length=32", "qa_length=12", "EPOCH={steps: 6}", "WARMUP=0.1"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_trial_of_the_published_setting_trains(name, toy_folder, tmp_path, monkeypatch):
    family, tasks, settings = CASES[name]
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data"
    write_data(data, *(task for task in tasks if task.startswith("glue/")))
    write_superglue(data)
    write_commonsense_qa(data)
    shipped = study.load(
        name, tasks=[*tasks], model=str(toy_folder(family)), trials=1, set=[*settings]
    )
    raw = {**study.as_mapping(shipped), "confirm": {}}
    raw["search"] = {**raw["search"], "sampler": "random"}
    del raw["search"]["stop_early"]
    folder = run_locally(tmp_path / "run", data, raw, monkeypatch)
    records = [*read_journal(folder).trials.values()]
    assert [record.task for record in records] == [*tasks]
    for record in records:
        assert record.configuration in shipped.resolve(record.task).initial_points
        assert record.status in ("finished", "degenerate"), (record.task, record.status)
        assert all(math.isfinite(report.loss) for report in record.reports)
