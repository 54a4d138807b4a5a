"""Run: a run folder in Python. What it gives is compared with the files of the run folder."""

import base64
import json
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import optuna
import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.driven_runs import NAME, PANX, RTE, STUDY, drive, search_end
from support.written_runs import write_data, write_run
from test_html_report import Page

import raysearch
from raysearch.errors import InputError
from raysearch.results import write_exports
from raysearch.run_folder import JOURNAL_NAME, Journal
from raysearch.search import optuna_file
from raysearch.search.samplers import OptunaStudy

COST = "device_hours"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of two tasks, with failed, diverged, stopped and degenerate trials."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    drive(folder, STUDY, lanes=3, outcome=search_end)
    write_exports(folder, report=True)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    return raysearch.open_run(folder)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A finished run of one task, with kept predictions."""
    root = tmp_path_factory.mktemp("single")
    return raysearch.open_run(write_run(root / "run", write_data(root / "data")))


def parquet(folder, task, name):
    """A parquet file as pandas reads it, with the types of columns that may be null."""
    table = pq.read_table(folder / task.replace("/", "-") / f"{name}.parquet")
    return table.to_pandas().convert_dtypes(dtype_backend="numpy_nullable")


def same(frame, other):
    pd.testing.assert_frame_equal(
        frame.convert_dtypes(dtype_backend="numpy_nullable").reset_index(drop=True), other
    )


@pytest.mark.parametrize("task", [RTE, PANX])
def test_trials_and_reports_are_those_of_the_parquet_files(folder, run, task):
    same(run.trials(task), parquet(folder, task, "trials"))
    reports = run.reports(task)
    assert reports.columns[0] == "task"
    assert set(reports["task"]) == {task}
    same(reports.drop(columns="task"), parquet(folder, task, "reports"))


def test_all_tasks_stand_below_each_other_and_columns_keep_their_types(run):
    trials, reports = run.trials(), run.reports()
    assert list(trials["task"].unique()) == list(reports["task"].unique()) == [RTE, PANX]
    assert len(trials) == len(run.records.trials) == len(run.trials(RTE)) + len(run.trials(PANX))
    assert trials[["number", "seed", "hp.BSZ", "hp.WARMUP.steps"]].dtypes.unique() == ["Int64"]
    assert str(trials["began"].dtype) == "datetime64[us, UTC]"
    assert trials["score"].dtype == trials["hp.LR"].dtype == "float64"
    assert trials.loc[trials["status"] == "failed", "score"].isna().all()
    assert trials.groupby("task")[COST].sum().sum() == pytest.approx(run.records.device_hours)
    assert set(reports["trial"]) <= set(trials["id"])


def test_the_table_prints_itself_and_gives_texts_and_values(folder, single):
    table = single.table()
    assert str(table) == (single.folder / "table.md").read_text()
    texts, values = table.to_frame(), table.to_frame(values=True)
    assert texts.loc["Result", "RTE"] == "77.5"
    assert values.loc["Result", "RTE"] == pytest.approx(0.775)
    assert (texts.loc["LR", "RTE"], values.loc["LR", "RTE"]) == ("0.001", 1e-3)
    by_system = raysearch.open_run(folder).table().to_frame(values=True)
    assert list(by_system.columns) == ["RTE", "panx"]
    published = json.loads((folder / "table.json").read_text())["rows"]
    assert [row["value"]["RTE"] for row in published] == [
        value if value == value else None for value in by_system["RTE"]
    ]


def test_rows_of_several_systems_are_told_apart_in_the_frame():
    table = raysearch.paper_table(raysearch.load("roberta-glue"))
    frame = table.to_frame()
    assert frame.index.names == (["system", "row"] if table.rows[0].system else ["row"])
    assert list(frame.iloc[0]) == [cell.text for cell in table.rows[0].cells]


@pytest.mark.parametrize("task", [RTE, PANX])
def test_the_optuna_study_holds_what_study_db_holds(run, tmp_path, task):
    facts = run.study.resolve(task)
    asker = OptunaStudy(facts.space, "random", 0, facts.selection_metric)
    optuna_file.export(tmp_path / "study.db", "s", asker, run.records.of(task, "search"))
    stored = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'study.db'}")
    study = run.optuna_study(task)
    assert study.study_name == NAME
    assert study.direction == stored.direction
    compared = [
        (t.number, t.state, t.values, t.params, t.intermediate_values, t.user_attrs)
        for t in study.trials
    ]
    assert compared == [
        (t.number, t.state, t.values, t.params, t.intermediate_values, t.user_attrs)
        for t in stored.trials
    ]
    assert study.best_value == stored.best_value
    assert {t.state.name for t in study.trials} >= {"COMPLETE", "PRUNED"}


def test_a_study_with_two_objectives_has_both(tmp_path):
    search = {"sampler": "nsga2", "trials": 4, "minimize": COST}
    raw = STUDY | {"tasks": [RTE], "search": search, "published": []}
    drive(tmp_path / "run", raw)
    study = raysearch.open_run(tmp_path / "run").optuna_study()
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert all(len(trial.values) == 2 for trial in study.trials)


def test_the_figures_are_the_charts_of_the_report(folder, run):
    page = Page((folder / "report.html").read_text())
    keys = [a["id"] for tag, a, _ in page.elements if tag == "figure"]
    for task, slug in ((RTE, "glue-rte"), (PANX, "xtreme-panx")):
        figures = run.figures(task)
        assert [f"{slug}-{key}" for key in figures] == [k for k in keys if k.startswith(slug)]
    history = run.figures(RTE)["history"]
    assert history.to_frame().shape == (len(history.rows), len(history.columns))
    assert len(history.rows) == 16
    assert history.summary.startswith("16 trials of the search")


def test_a_figure_is_a_whole_picture_that_loads_nothing(run):
    for figure in run.figures(RTE).values():
        root = ElementTree.fromstring(figure.svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        texts = [e.text for e in root.iter() if e.tag.endswith("text")]
        assert figure.title in texts
        style = next(e.text for e in root.iter() if e.tag.endswith("style"))
        assert not re.search(r"var\(|url\(|@import|https?:", style)
        assert not [e for e in root.iter() if e.tag.endswith(("script", "image", "use"))]
        width = float(root.get("width"))
        legend = list(root)[-1]
        for entry in (e for e in legend if e.tag.endswith("text")):
            assert float(entry.get("x")) + 5 * len(entry.text) < width
        assert figure._repr_svg_() == figure.svg


def test_a_notebook_shows_run_table_and_figures_as_texts_and_never_as_tags(run):
    for shown in (run._repr_html_(), run.table()._repr_html_()):
        page = Page(shown)
        assert not {tag for tag, _, _ in page.elements} & {"script", "b", "style", "link"}
        assert any("<b>BERT</b>" in text for _, text in page.texts)
    figures = run.figures(PANX)
    page = Page(figures._repr_html_())
    images = [a for tag, a, _ in page.elements if tag == "img"]
    assert [image["alt"] for image in images] == [figure.title for figure in figures.values()]
    first = base64.b64decode(images[0]["src"].partition("base64,")[2]).decode()
    assert first == next(iter(figures.values())).svg


def test_a_run_says_its_state_and_is_read_while_it_goes_on(folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    lines = (copy / JOURNAL_NAME).read_text().splitlines(keepends=True)
    (copy / JOURNAL_NAME).write_text("".join(lines[:60]) + lines[60][:20])
    stopped = raysearch.open_run(copy)
    assert (stopped.state, stopped.interrupted) == ("not finished", True)
    journal = Journal(copy)
    live = raysearch.open_run(copy)
    journal.close()
    assert (live.state, live.interrupted) == ("not finished", False)  # the state is of now
    assert len(live.trials()) == len(live.records.trials) < 40
    assert "not finished" in live._repr_html_()
    assert live.figures(PANX).missing == ("No trial has begun yet.",)
    assert live.reports(PANX).empty
    assert raysearch.open_run(folder).state == "complete"


def test_tasks_are_named_right_or_refused(run, single):
    assert list(single.figures()) == list(single.figures("glue/rte"))
    assert len(single.optuna_study().trials) == 2
    for ask in (run.trials, run.reports, run.optuna_study, run.figures):
        with pytest.raises(InputError, match=r"no task named 'glue/rtt'; did you mean 'glue/rte'"):
            ask("glue/rtt")
    for ask in (run.optuna_study, run.figures):
        with pytest.raises(InputError, match=f"2 tasks, one of them is needed: {RTE}, {PANX}"):
            ask()


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no study\.yaml here: not a run folder"):
        raysearch.open_run(tmp_path)
    with pytest.raises(InputError, match="not a run folder"):
        raysearch.open_run(tmp_path / "missing")


@pytest.mark.slow
def test_reading_a_run_loads_neither_ray_nor_torch(single):
    code = (
        "import sys, raysearch\n"
        "run = raysearch.open_run(sys.argv[1])\n"
        "loaded = lambda: {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded() & {'ray', 'torch', 'transformers', 'pandas', 'pyarrow', 'optuna'}\n"
        "run.trials(), run.reports(), run.table(), run.figures(), run.optuna_study()\n"
        "raysearch.replay(sys.argv[1])\n"
        "assert not loaded() & {'ray', 'torch', 'transformers'}\n"
        "assert {'pandas', 'pyarrow', 'optuna'} <= loaded()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(single.folder)], check=True)
