"""The statement of runs whose journals are known: what old runs lack, escaping, verdicts."""

import json
import shutil
import subprocess

import pytest
from support.run_folders import Script, write_study

from raysearch import results, study
from raysearch.run_folder.recorded_facts import read_facts
from raysearch.search.provenance import begin_session, provenance

RTE = "glue/rte"
NASTY = r"50 % of x_1 & {y} #2 ~ \end{document} ^ <b> ![i](http://x) | $z$"
STUDY = {
    "name": "known",
    "tasks": [RTE],
    "model": "scratch",
    "space": {"LR": {"log": [1e-5, 1e-3]}, "BSZ": {"choice": [16, 32]}},
    "search": {"trials": 4, "sampler": "random"},
    "deviations": [NASTY],
}


def known_run(folder, **changes):
    """A search of four whole trials, whose accuracies are 50, 60, 70 and 80 percent."""
    write_study(folder, **{**STUDY, **changes})
    script = Script(folder)
    for rate, score in ((1e-5, 0.5), (2e-5, 0.6), (3e-5, 0.7), (4e-5, 0.8)):
        script.trial(RTE, {"LR": rate, "BSZ": 32}, {"accuracy": score}, seconds=90.0)
    script.journal.close()


def points_of(folder):
    results.write_exports(folder)
    text = (folder / "reproducibility.md").read_text()
    return dict(enumerate(text.split("\n## "))), text


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (False, "No trial is stopped early."),
        (
            True,
            "compares trials at 25 %, 50 % of their own schedules; the best 50 % go on.",
        ),
        ({"rule": "median", "at": [0.3]}, "Median stopping compares trials at 30 % of their own"),
        ({"rule": "hyperband", "keep": 0.25}, "the best 25 % of a bracket go on."),
    ],
)
def test_the_statement_tells_how_trials_are_stopped_early(tmp_path, settings, sentence):
    known_run(tmp_path, search={**STUDY["search"], "stop_early": settings})
    _, text = points_of(tmp_path)
    assert sentence in text


def test_a_run_without_recorded_facts_says_so_and_nothing_else_is_lost(tmp_path):
    known_run(tmp_path)
    points, text = points_of(tmp_path)
    assert "number of parameters was not recorded" in points[1]
    assert "hardware was not recorded" in points[3]
    assert "RTE (not recorded)" in points[13]
    assert "command lines of the sessions: not recorded" in points[15]
    assert "A trial took 90.0 seconds on average; all 4 trials together took 0.10" in points[4]
    assert "We trained 4 models (4 search), of which 4 finished" in points[7]
    assert "- glue/rte LR: log-uniform from 1e-5 to 0.001" in points[8]
    assert "- glue/rte BSZ: one of {16, 32}" in points[8]
    assert "doc_stride" not in points[8]  # which only heads of spans and tags read
    # The sample's standard deviation and linear quartiles of 50, 60, 70, 80.
    assert "n = 4, mean 65.00, sd 12.91, quartiles 57.50, 65.00, 72.50" in points[11]
    # The best of two drawn without replacement: (60 + 2 x 70 + 3 x 80) / 6.
    assert "1 65.00 (0.03 h), 2 73.33 (0.05 h), 4 80.00 (0.10 h)" in points[11]
    assert "RTE: accuracy 80.00 (a single seed" in points[12]
    assert text.count("\n**C") == 4


def test_the_method_of_choosing_is_told_as_the_study_has_it(tmp_path):
    search = {**STUDY["search"], "hold_out": 0.4}
    confirm = {"top": 2, "choose": [21, 22, 23], "race": True, "seeds": [11, 12]}
    write_study(tmp_path, **{**STUDY, "search": search, "confirm": confirm})
    text = points_of(tmp_path)[0][9]
    assert "on the 60 % of its examples that are not held out" in text
    assert "The best 2 of each task are trained again with the seeds 21, 22, 23; one that" in text
    assert "it alone is trained with the seeds 11, 12, whose median is printed" in text


def test_a_model_in_a_folder_is_named_without_the_way_to_it(tmp_path):
    write_study(tmp_path, **{**STUDY, "model": "/home/me/models/bert-small"})
    assert "We fine-tune bert-small with the recipe" in points_of(tmp_path)[0][1]


def test_what_a_run_recorded_is_told(tmp_path):
    known_run(tmp_path)
    facts = provenance(study.load(tmp_path / "study.yaml"))
    facts |= {"data": "data", "content": {RTE: "a-b"}}
    facts["lanes"] = {"count": None, "workers": 2, "per_gpu": "auto", "mps": False}
    machine = {
        "cpu": "EPYC", "cores": 16, "memory_gib": 128.0, "system": "Linux", "python": "3.11",
        "gpus": ["H200, 139 GiB"], "gpus_on_node": 8, "driver": "570.1", "cuda": "12.8",
        "cudnn": "9.10.2", "nccl": "2.27.3",
    }  # fmt: skip
    facts["machines"] = {"n1": machine, "its id after Ray started again": machine}
    facts["commit"] = "c0ffee"
    facts["parameters"] = {RTE: {"total": 22_700_000, "trained": 22_000_000}}
    split = {"examples": 2490, "used": 2490, "rows": 2490, "left_out": "1 example left out"}
    labels = {"entailment": 1249, "not_entailment": 1241}
    facts["splits"] = {RTE: {"train": split | {"labels": labels}}}
    (tmp_path / "provenance.json").write_text(json.dumps(facts))
    told, notes = read_facts(tmp_path)
    assert not notes
    begin_session(tmp_path)
    # The journal was made by hand, so the run's own check of identities is passed over.
    view = _view(tmp_path)
    text = results.statement.to_markdown(results.statement.statement(view))
    assert "22,700,000 parameters, 22,000,000 of them trained" in text
    assert "8 GPUs (H200, 139 GiB), driver 570.1, CUDA 12.8, cuDNN 9.10.2, NCCL 2.27.3" in text
    assert "Trials ran on EPYC CPU with 16 cores" in text
    later = told_commit(tmp_path)
    assert f"We use raysearch {facts['raysearch']} (commits c0ffee, {later}) with" in text
    assert "labels: entailment 1,249 (50.2 %), not_entailment 1,241 (49.8 %)" in text
    assert "left out: 1 example left out" in text
    assert "requirements.lock lists all dependencies" in text
    assert "each trial runs in a lane of: workers 2, cpus 1, per_gpu auto\n" in text
    assert told.lanes == facts["lanes"]


def told_commit(folder):
    commit = read_facts(folder)[0].sessions[-1].commit
    return commit or "of no git checkout"


def _view(folder):
    from raysearch.results.paper_table import leading_configurations, paper_table
    from raysearch.results.run_results import RunResults
    from raysearch.results.score_intervals import RunIntervals
    from raysearch.run_folder import read_journal

    searched, records = study.load(folder / "study.yaml"), read_journal(folder)
    return RunResults(
        folder=folder,
        study=searched,
        records=records,
        facts=read_facts(folder)[0],
        table=paper_table(searched, records),
        leaders=leading_configurations(searched, records),
        intervals=RunIntervals(folder, lambda line: None),
    )


@pytest.mark.parametrize(
    ("section", "value"),
    [("machines", [1]), ("splits", {RTE: {"train": {"examples": -1}}}), ("sessions", "x" * 9)],
)
def test_a_damaged_fact_is_told_and_left_out(tmp_path, section, value):
    (tmp_path / "provenance.json").write_text(json.dumps({section: value, "python": "3.11"}))
    facts, notes = read_facts(tmp_path)
    assert notes == [f"provenance.json: {section} is damaged; the statement leaves it out."]
    assert facts.python == "3.11"
    assert not getattr(facts, section)


def test_foreign_texts_are_escaped_in_both_forms(tmp_path):
    known_run(tmp_path)
    _, text = points_of(tmp_path)
    assert "&lt;b> !\\[i](http://x)" in text
    tex = (tmp_path / "reproducibility.tex").read_text()
    line = next(line for line in tex.splitlines() if "of x" in line)
    assert line == (
        r"\item {}50 \% of x\_1 \& \{y\} \#2 \textasciitilde{} \textbackslash{}end\{document\}"
        r" \textasciicircum{} \textless{}b\textgreater{} ![i](http://x) \textbar{} \$z\$"
    )
    assert tex.count(r"\begin{itemize}") == tex.count(r"\end{itemize}") > 10
    assert tex.count(r"\paragraph{") == 17 + 4


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_the_latex_form_compiles(tmp_path):
    known_run(tmp_path / "run")
    results.write_exports(tmp_path / "run")
    page = tmp_path / "page.tex"
    body = "\\input{run/reproducibility.tex}"
    page.write_text(f"\\documentclass{{article}}\\begin{{document}}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", page.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
