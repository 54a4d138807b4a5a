"""Exports of run folders whose results are known, compared whole."""

import csv
import json
import shutil
import subprocess
import sys
import textwrap

import pyarrow.parquet as pq
import pytest
import yaml
from support.run_folders import Script, write_study

from raysearch import results, study
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.recipes import Hyperparameters
from raysearch.results import formatting
from raysearch.results.paper_table import paper_table
from raysearch.run_folder import JOURNAL_NAME, read_journal
from raysearch.tasks import TASKS, get
from raysearch.tasks.glue import AVERAGED

RTE, MRPC, MNLI, STSB = "glue/rte", "glue/mrpc", "glue/mnli", "glue/stsb"
SMALL = {"BSZ": 32, "LR": 2e-5, "WARMUP": 16}
LARGE = {"BSZ": 16, "LR": 1e-4, "WARMUP": {"steps": 50}}

STUDY = {
    "name": "known",
    "tasks": [MNLI, MRPC],
    "model": "scratch",
    "space": {
        "BSZ": {"choice": [16, 32]},
        "LR": {"log": [1e-5, 1e-3]},
        "WARMUP": {"choice": [16, {"steps": 50}]},
    },
    "fixed": {"EPOCH": 2.5, "clip": "none", "adam_betas": [0.9, 0.98]},
    "per_task": {MRPC: {"fixed": {"dropout": 0.2}}},
    "search": {"trials": 2, "stop_early": True},
    "confirm": {"top": 1, "seeds": [11, 12, 13]},
    "published": [
        {
            "row": "A & B",
            "source": "their_README",
            "model": "a/b",
            "results": {
                MNLI: {
                    "settings": {"BSZ": 32, "LR": 1e-5},
                    "scores": {"accuracy": 90.5, "mismatched.accuracy": 90.4},
                },
                MRPC: {"scores": {"accuracy": 88.0, "f1": 91.25}},
            },
        }
    ],
}


def known_run(folder, **changes):
    """MNLI confirmed over three seeds; MRPC at its second trial."""
    write_study(folder, **{**STUDY, **changes})
    script = Script(folder, devices=2)
    script.trial(MNLI, SMALL, {"accuracy": 0.905, "mismatched.accuracy": 0.9}, seconds=3600.0)
    script.stopped(MNLI, LARGE, {"accuracy": 0.5, "mismatched.accuracy": 0.5}, seconds=1800.0)
    script.repeat("t0")
    for seed, one, two in ((11, 0.91, 0.899), (12, 0.90, 0.90), (13, 0.906, 0.905)):
        scores = {"accuracy": one, "mismatched.accuracy": two}
        script.trial(MNLI, SMALL, scores, seed, "confirm", seconds=360.0)
    script.trial(MRPC, LARGE, {"accuracy": 0.87, "f1": 0.9}, seconds=36.0)
    name = script.begin(MRPC, SMALL)
    script.attempt(name)
    script.report(name, 50, {"accuracy": 0.7, "f1": 0.8})
    script.close()
    return folder


def finish(folder):
    """The rest of MRPC: its winner is the one with a warmup in steps."""
    script = Script(folder)
    script.count = 10
    script.end("t6", "failed", None, error="MemoryError: 8 tokens do not fit")
    for seed, one, two in ((11, 0.875, 0.91), (12, 0.885, 0.92), (13, 0.88, 0.915)):
        script.trial(MRPC, LARGE, {"accuracy": one, "f1": two}, seed, "confirm")
    script.close()


def test_an_error_in_the_statement_leaves_everything_else(tmp_path, monkeypatch):
    def fails(run):
        raise ZeroDivisionError

    known_run(tmp_path)
    finish(tmp_path)
    monkeypatch.setattr("raysearch.results.export.statement", fails)
    with pytest.raises(ZeroDivisionError):
        results.write_exports(tmp_path)
    written = {path.name for path in (tmp_path / "glue-mrpc").iterdir()}
    assert written >= {"best.yaml", "trials.parquet", "reports.parquet"}
    assert (tmp_path / "table.md").is_file()


def test_a_table_while_the_run_goes_on(tmp_path):
    table = results.write_exports(known_run(tmp_path))
    assert (tmp_path / "table.md").read_text() == results.to_markdown(table)
    assert results.to_markdown(table) == textwrap.dedent("""\
        **known: scratch**

        |  | MNLI-m/mm | MRPC |
        | --- | --- | --- |
        | BSZ | 32 | - |
        | LR | 2e-5 | - |
        | EPOCH | 2.5 | - |
        | WARMUP | 16 | - |
        | Result | 90.6/90.0 | - |
        | Spread | 0.5/0.3 | - |
        | Seeds | 3 | - |
        | Trials | 5 of 5 | 1 of 5 |
        | f1 |  | - |
        | A & B (published) | 90.5/90.4 | 88.0 |
        | difference | +0.1/-0.4 | - |
        | A & B f1 (published) | - | 91.25 |
        | difference | - | - |

        * Result: dev, median over seeds, best evaluation, percent. accuracy of MNLI-m/mm, MRPC.
        * MRPC: not finished; its result follows when all trials are over.
        * A & B (a/b): their_README.
        * MNLI-m/mm: no interval: the dev predictions of 3 of 3 trials were not kept.
        * provenance.json is missing or damaged: whether the trials fit study.yaml was not checked.

        **Cost**

        |  | MNLI-m/mm | MRPC | all |
        | --- | --- | --- | --- |
        | trials finished | 4 | 1 | 5 |
        | trials stopped | 1 | 0 | 1 |
        | trials diverged | 0 | 0 | 0 |
        | trials degenerate | 0 | 0 | 0 |
        | trials failed | 0 | 0 | 0 |
        | trials running | 0 | 1 | 1 |
        | repeats answered from the record | 1 | 0 | 1 |
        | device hours | 3.60 | 0.0200 | 3.62 |
        | device hours saved by stopping early | 1.00 | 0 | 1.00 |
        | device hours saved by repeats | 2.00 | 0 | 2.00 |
        """)


def test_a_table_at_the_end(tmp_path):
    finish(known_run(tmp_path))
    results.write_exports(tmp_path)
    rows = list(csv.reader((tmp_path / "table.csv").open()))
    assert rows == [
        ["row", "MNLI-m/mm", "MRPC"],
        ["BSZ", "32", "16"],
        ["LR", "2e-5", "1e-4"],
        ["EPOCH", "2.5", "2.5"],
        ["WARMUP", "16", "50 steps"],
        ["Result", "90.6/90.0", "88.0"],
        ["Spread", "0.5/0.3", "0.5"],
        ["Seeds", "3", "3"],
        ["f1", "", "91.5"],
        ["A & B (published)", "90.5/90.4", "88.0"],
        ["difference", "+0.1/-0.4", "0.0"],
        ["A & B f1 (published)", "-", "91.25"],
        ["difference", "-", "+0.25"],
    ]


def test_json_has_what_is_printed_and_what_it_stands_for(tmp_path):
    finish(known_run(tmp_path))
    results.write_exports(tmp_path)
    found = json.loads((tmp_path / "table.json").read_text())
    rows = {row["row"]: row for row in found["rows"]}
    assert rows["WARMUP"]["value"] == {"MNLI-m/mm": 16, "MRPC": {"steps": 50}}
    assert rows["Result"]["value"] == {"MNLI-m/mm": [0.906, 0.9], "MRPC": 0.88}
    assert rows["Result"]["text"] == {"MNLI-m/mm": "90.6/90.0", "MRPC": "88.0"}
    assert [note.split(":")[0] for note in found["notes"]] == [
        "Result", "A & B (a/b)", "MNLI-m/mm", "MRPC", "provenance.json is missing or damaged"
    ]  # fmt: skip
    assert found["cost"]["rows"][0]["value"] == {"MNLI-m/mm": 4, "MRPC": 4, "all": 8}


def test_latex_is_escaped_and_ruled(tmp_path):
    results.write_exports(known_run(tmp_path))
    text = (tmp_path / "table.tex").read_text()
    assert text.splitlines()[:17] == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{known: scratch}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & MNLI-m/mm & MRPC \\",
        r"\midrule",
        r"BSZ & 32 & - \\",
        r"LR & 2e-5 & - \\",
        r"EPOCH & 2.5 & - \\",
        r"WARMUP & 16 & - \\",
        r"\midrule",
        r"Result & 90.6/90.0 & - \\",
        r"Spread & 0.5/0.3 & - \\",
        r"Seeds & 3 & - \\",
        r"Trials & 5 of 5 & 1 of 5 \\",
    ]
    assert r"A \& B (published) & 90.5/90.4 & 88.0 \\" in text
    assert r"\par\footnotesize A \& B (a/b): their\_README." in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 4


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(tmp_path):
    finish(known_run(tmp_path / "run"))
    results.write_exports(tmp_path / "run")
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    page = tmp_path / "page.tex"
    page.write_text(f"{head}\n\\input{{run/table.tex}}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", page.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_every_study_has_a_table_of_what_was_published_for_it():
    shipped = study.parse(STUDY)
    assert results.to_markdown(paper_table(shipped)) == textwrap.dedent("""\
        **known: published**

        |  | MNLI-m/mm | MRPC |
        | --- | --- | --- |
        | **A & B** |  |  |
        | BSZ | 32 | - |
        | LR | 1e-5 | - |
        | Result | 90.5/90.4 | 88.0 |
        | f1 | - | 91.25 |

        * A & B (a/b): their_README.
        """)
    assert results.to_csv(paper_table(shipped)).splitlines()[:2] == [
        "system,row,MNLI-m/mm,MRPC",
        "A & B,BSZ,32,-",
    ]


def test_a_study_before_its_first_trial_has_a_table_of_dashes(tmp_path):
    write_study(tmp_path, **STUDY)
    table = results.write_exports(tmp_path)
    assert [cell.text for cell in table.row("Result").cells] == ["-", "-"]
    assert [cell.text for cell in table.row("Trials").cells] == ["0 of 5", "0 of 5"]
    assert not (tmp_path / "glue-mrpc").exists()


def glue_run(folder, tasks, scored):
    write_study(folder, name="all", tasks=list(tasks), model="scratch", published=[
        {"row": "AMOS", "source": "README", "results": {
            task: {"scores": {TASKS[task].metric: 90.0}} for task in tasks}},
    ])  # fmt: skip
    script = Script(folder)
    for task, result in scored.items():
        names = [f"{split}{TASKS[task].metric}" for split in ("", "mismatched.")]
        scores = dict.fromkeys(names[: len(TASKS[task].dev)], result)
        script.trial(task, {}, {**scores, **dict.fromkeys(TASKS[task].extra_metrics, result)})
    script.close()


def test_the_average_is_the_papers_and_stands_only_where_all_eight_tasks_do(tmp_path):
    scored = {task: 0.80 + at / 100 for at, task in enumerate(AVERAGED)}
    glue_run(tmp_path / "all", AVERAGED, scored)
    table = results.write_exports(tmp_path / "all")
    assert table.columns == (
        "MNLI-m/mm", "QQP", "QNLI", "SST-2", "CoLA", "RTE", "MRPC", "STS-B", "AVG"
    )  # fmt: skip
    assert [cell.text for cell in table.row("Result").cells] == [
        "80.0/80.0", "81.0", "82.0", "83.0", "84.0", "85.0", "86.0", "87.0", "83.5"
    ]  # fmt: skip
    published = {row.name: [cell.text for cell in row.cells] for row in table.rows[-2:]}
    assert published["AMOS (published)"] == ["90.0/-", *["90.0"] * 8]
    assert published["difference"][-2:] == ["-3.0", "-6.5"]

    glue_run(tmp_path / "part", AVERAGED, {RTE: 0.8})
    assert results.write_exports(tmp_path / "part").row("Result").cells[-1].text == "-"
    glue_run(tmp_path / "seven", AVERAGED[:-1], {RTE: 0.8})
    assert "AVG" not in results.write_exports(tmp_path / "seven").columns


def test_a_published_score_is_compared_with_the_metric_of_its_name(tmp_path):
    published = [
        {"row": "ELECTRA", "source": "README", "results": {STSB: {"scores": {"spearman": 87.5}}}},
        {"row": "Other", "source": "web", "results": {STSB: {"settings": {"LR": 1e-5}}}},
        {"row": "Elsewhere", "source": "web", "results": {RTE: {"scores": {"accuracy": 70}}}},
    ]
    write_study(tmp_path, name="s", tasks=[STSB], model="scratch", published=published)
    script = Script(tmp_path)
    scores = {"pearson_spearman": 0.85, "pearson": 0.86, "spearman": 0.84}
    script.trial(STSB, {}, scores)
    table = results.write_exports(tmp_path)
    assert [(row.name, row.cells[0].text) for row in table.rows[4:]] == [
        ("Result", "85.0"),
        ("Spread", "-"),
        ("Seeds", "1"),
        ("pearson", "86.0"),
        ("spearman", "84.0"),
        ("ELECTRA (published)", "87.5 (spearman)"),
        ("difference", "-3.5"),
    ]
    assert table.notes[1:3] == ("ELECTRA: README.", "Other: web.")


def test_a_task_whose_trials_all_failed_says_so(tmp_path):
    write_study(tmp_path, name="s", tasks=["toy/grammar"], model="scratch")
    script = Script(tmp_path)
    script.diverged("toy/grammar", {})
    table = results.write_exports(tmp_path)
    assert table.columns == ("grammar",)
    assert table.row("Result").cells[0].text == "-"
    assert table.notes[1] == "grammar: no result (1 diverged)."
    assert not (tmp_path / "toy-grammar" / "best.yaml").exists()


def test_the_winner_is_a_study_of_its_own(tmp_path):
    finish(known_run(tmp_path))
    results.write_exports(tmp_path)
    path = tmp_path / "glue-mrpc" / "best.yaml"
    assert path.read_text().splitlines()[:5] == [
        "# The winner of known on glue/mrpc: accuracy 88.00 on dev, the median of 3 seeds "
        "(spread 0.50).",
        "# A study like any other: it trains this configuration again, with the same seeds.",
        "#",
        "# raysearch run best.yaml --data DATA",
        "",
    ]
    best, searched = study.load(path), study.load(tmp_path / "study.yaml")
    assert (best.name, best.tasks, best.space) == ("known-glue-mrpc", (MRPC,), {})
    assert best.resolve(MRPC).shared == searched.resolve(MRPC).hyperparameters(LARGE)
    assert (best.confirm.seeds, best.confirm.top) == ((11, 12, 13), 1)
    assert best.search.stop_early is None
    assert [list(row.results) for row in best.published] == [[MRPC]]
    assert best.resolve(MRPC).planned_trials == 0  # its seeds confirm it


def test_the_header_says_what_a_score_over_languages_is(tmp_path):
    write_study(tmp_path, name="tags", tasks=["xtreme/panx"], model="scratch",
                space={"LR": {"choice": [1e-5, 2e-5]}}, search={"select_on": "mean"})  # fmt: skip
    script = Script(tmp_path)
    scores = {"mean.entity_f1": 0.41, "entity_f1": 0.7}
    script.trial("xtreme/panx", {"LR": 1e-5}, scores)
    script.close()
    results.write_exports(tmp_path)
    said = (tmp_path / "xtreme-panx" / "best.yaml").read_text().splitlines()[0]
    assert said.endswith("entity_f1 41.00 on dev, the mean over languages.")


def test_without_a_confirmation_the_winner_keeps_its_seed_and_its_evaluations(tmp_path):
    halving = {"at": [0.3], "keep": 0.5}
    search = {"trials": 2, "seed": 7, "stop_early": halving, "select": "last"}
    alone = {"tasks": [RTE], "per_task": {}, "search": search, "confirm": {}}
    write_study(tmp_path, **{**STUDY, **alone})
    script = Script(tmp_path)
    script.trial(RTE, SMALL, {"accuracy": 0.7}, seed=7)
    results.write_exports(tmp_path)
    text = (tmp_path / "glue-rte" / "best.yaml").read_text()
    assert text.startswith("# After 1 of 2 trials the leader of known on glue/rte: accuracy 70.00")
    best = study.load(tmp_path / "glue-rte" / "best.yaml")
    assert (best.confirm.seeds, best.search.seed, best.search.select) == ((), 7, "last")
    assert best.search.stop_early.at == (0.3,)


def test_a_rerun_of_the_winner_exports_the_same_winner(tmp_path):
    finish(known_run(tmp_path / "one"))
    results.write_exports(tmp_path / "one")
    best = (tmp_path / "one" / "glue-mrpc" / "best.yaml").read_text()
    write_study(tmp_path / "two", **yaml.safe_load(best))
    script = Script(tmp_path / "two")
    for seed, one, two in ((11, 0.875, 0.91), (12, 0.885, 0.92), (13, 0.88, 0.915)):
        script.trial(MRPC, {}, {"accuracy": one, "f1": two}, seed, "confirm")
    table = results.write_exports(tmp_path / "two")
    assert [row.cells[0].text for row in table.rows[:7]] == [
        "16", "1e-4", "2.5", "50 steps", "88.0", "0.5", "3"
    ]  # fmt: skip
    again = study.load(tmp_path / "two" / "glue-mrpc" / "best.yaml")
    assert (
        again.resolve(MRPC).shared
        == study.load(tmp_path / "two" / "study.yaml").resolve(MRPC).shared
    )


def test_trials_as_parquet(tmp_path):
    finish(known_run(tmp_path))
    results.write_exports(tmp_path)
    table = pq.read_table(tmp_path / "glue-mrpc" / "trials.parquet")
    first, failed = table.to_pylist()[:2]
    kinds = {field.name: str(field.type) for field in table.schema}
    assert {name: kinds[name] for name in kinds if name.startswith("hp.")} == {
        "hp.BSZ": "int64",
        "hp.LR": "double",
        "hp.EPOCH": "double",
        "hp.WARMUP": "double",
        "hp.WARMUP.steps": "int64",
        "hp.clip": "double",
        "hp.adam_betas": "list<element: double>",
        "hp.dropout": "double",
    }
    assert (first["hp.WARMUP"], first["hp.WARMUP.steps"]) == (None, 50)
    assert (failed["hp.WARMUP"], failed["hp.WARMUP.steps"]) == (16.0, None)
    assert (first["hp.adam_betas"], first["hp.clip"]) == ([0.9, 0.98], None)
    wanted = {
        "id": "t5", "task": MRPC, "phase": "search", "number": 0, "status": "finished", "seed": 1,
        "score": 0.87, "best.accuracy": 0.87, "best.f1": 0.9, "last.f1": 0.9, "step": 100,
        "steps": 100, "seconds": 36.0, "devices": 2, "device_hours": 0.02, "attempts": 1,
        "repeats": 0, "error": None,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert failed["error"] == "MemoryError: 8 tokens do not fit"
    assert (failed["status"], failed["score"], failed["best.accuracy"]) == ("failed", None, None)
    assert first["began"].timestamp() < first["ended"].timestamp()
    assert table.num_rows == 5


def test_reports_as_parquet(tmp_path):
    results.write_exports(known_run(tmp_path))
    rows = pq.read_table(tmp_path / "glue-mnli" / "reports.parquet").to_pylist()
    assert len(rows) == 9
    wanted = {"trial": "t0", "phase": "search", "number": 0, "attempt": 1, "stage": "finetune",
              "step": 50, "steps": 100, "status": "running", "loss": 0.5, "tokens": 1600,
              "dev.accuracy": 0.4525, "dev.mismatched.accuracy": 0.45}  # fmt: skip
    assert {name: rows[0][name] for name in wanted} == wanted
    assert [(row["trial"], row["step"]) for row in rows[:3]] == [
        ("t0", 50),
        ("t0", 100),
        ("t1", 50),
    ]


def test_everything_is_made_again_from_the_study_and_the_journal(tmp_path):
    finish(known_run(tmp_path / "run"))
    results.write_exports(tmp_path / "run")
    (tmp_path / "copy").mkdir()
    for name in ("study.yaml", JOURNAL_NAME):
        shutil.copy(tmp_path / "run" / name, tmp_path / "copy")
    results.write_exports(tmp_path / "copy")
    files = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "run", tmp_path / "copy")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 2 + 4 + 2 + 2 * 3 + 10


def test_a_full_disk_leaves_the_files_of_the_last_export_whole(tmp_path, monkeypatch):
    known_run(tmp_path)
    results.write_exports(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    finish(tmp_path)
    before[tmp_path / JOURNAL_NAME] = (tmp_path / JOURNAL_NAME).read_bytes()

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        results.write_exports(tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_torn_journal_is_exported_as_far_as_it_goes(tmp_path):
    known_run(tmp_path)
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(path.read_bytes()[:-30])
    assert results.write_exports(tmp_path).row("Trials").cells[1].text == "1 of 5"
    assert read_journal(tmp_path).of(MRPC)[1].reports == []


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"study\.yaml"):
        results.write_exports(tmp_path)


@pytest.mark.slow
def test_exports_need_neither_ray_nor_torch(tmp_path):
    known_run(tmp_path)
    code = (
        "import sys; from raysearch import results; results.write_exports(sys.argv[1])\n"
        "print(sorted({'ray', 'torch', 'transformers', 'tensorflow'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert (out.stdout, out.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (1e-5, "1e-5"), (2.5e-5, "2.5e-5"), (0.000123456, "1.23e-4"), (1e-4, "1e-4"),
        (0.001, "0.001"), (0.1, "0.1"), (0.0625, "0.0625"), (10.0, "10"), (16, "16"), (2.5, "2.5"),
        (65536.0, "65536"), (1e-300, "1e-300"), (0.0, "0"), (None, "none"), (True, "true"),
        ({"steps": 50}, "50 steps"), ({"per_epoch": 2}, "2 per epoch"), ((0.9, 0.98), "0.9, 0.98"),
        ("bf16", "bf16"), ((), ""),
    ],
)  # fmt: skip
def test_settings_are_spelled_as_papers_spell_them(setting, text):
    assert formatting.format_setting(setting) == text


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.9046, "90.5"), (0.0, "0.0"), (-0.0001, "0.0"), (-0.5, "-50.0"),
                           (1.0, "100.0"), (0.004, "0.4")],
)  # fmt: skip
def test_scores_are_percent_with_one_decimal(fraction, text):
    assert formatting.format_percent(fraction) == text


def test_differences_have_a_sign_unless_they_are_none():
    signed = [formatting.format_percent(gap, sign=True) for gap in (0.003, -0.003, 0.0, -0.0001)]
    assert signed == ["+0.3", "-0.3", "0.0", "0.0"]


@pytest.mark.parametrize(
    ("task", "split", "predictions", "lines"),
    [
        (RTE, "test", [0, 1], ["0\tentailment", "1\tnot_entailment"]),
        ("glue/qnli", "test", [1, 0], ["0\tnot_entailment", "1\tentailment"]),
        (MNLI, "test_mismatched", [1, 2], ["0\tneutral", "1\tcontradiction"]),
        ("glue/ax", "test", [2, 0], ["0\tcontradiction", "1\tentailment"]),
        (MRPC, "test", [1, 0], ["0\t1", "1\t0"]),
        ("glue/cola", "test", [0, 1], ["0\t0", "1\t1"]),
        (STSB, "test", [5.31, -0.2], ["0\t5.000", "1\t0.000"]),
        (STSB, "test", [2.12345, 3], ["0\t2.123", "1\t3.000"]),
    ],
)
def test_predictions_are_written_as_the_benchmark_takes_them(
    tmp_path, task, split, predictions, lines
):
    row = get(task)
    (path,) = HEADS[row.head].write(
        tmp_path / "out", row, row.splits()[split], ["0", "1"], predictions, Hyperparameters()
    )
    assert path.name == row.splits()[split].submission
    assert path.read_text() == "\n".join(["index\tprediction", *lines]) + "\n"


def test_predictions_that_no_file_can_hold_are_refused_together(tmp_path):
    row, write = get(RTE), HEADS["classify"].write
    with pytest.raises(InputError) as refused:
        write(tmp_path, row, row.splits()["test"], [0, 1, 1], [0, 2], Hyperparameters())
    assert [problem.location for problem in refused.value.problems] == [
        "predictions", "ids", "predictions[1]"
    ]  # fmt: skip
    with pytest.raises(InputError, match="takes no predictions of it, but of: test"):
        write(tmp_path, row, row.splits()["dev"], [0], [0], Hyperparameters())
    number = get(STSB)
    with pytest.raises(InputError, match="finite"):
        HEADS["regress"].write(
            tmp_path, number, number.splits()["test"], [0], [float("nan")], Hyperparameters()
        )
    assert list(tmp_path.iterdir()) == []


def test_seeds_that_learned_nothing_are_told_beneath_the_table(tmp_path):
    alone = {"tasks": [RTE], "per_task": {}, "published": []}
    write_study(tmp_path, **{**STUDY, **alone, "search": {"trials": 1}})
    script = Script(tmp_path)
    values = {"BSZ": 16, "LR": 1e-4, "WARMUP": 16}
    script.trial(RTE, values, {"accuracy": 0.6})
    for seed, status in ((11, "degenerate"), (12, "finished"), (13, "degenerate")):
        name = script.begin(RTE, values, seed, "confirm")
        script.attempt(name)
        script.report(name, 100, {"accuracy": 0.5}, status=status)
        script.end(name, status, 0.5, {"accuracy": 0.5})
    script.close()
    text = "2 of the 3 trials of its winner learned nothing: seeds 11, 13, counted as measured"
    assert f"RTE: {text}." in results.write_exports(tmp_path).notes


def confirmed_run(folder, ends):
    """A confirmation of one configuration: seed -> how it ended, with accuracy 0.9 but where it
    failed or diverged after an evaluation of 0.55."""
    alone = {"tasks": [RTE], "per_task": {}, "published": [], "search": {"trials": 1}}
    write_study(folder, **{**STUDY, **alone})
    script, values = Script(folder), {"BSZ": 16, "LR": 1e-4, "WARMUP": 16}
    script.trial(RTE, values, {"accuracy": 0.99})
    for seed, status in ends.items():
        if status == "finished":
            script.trial(RTE, values, {"accuracy": 0.9}, seed, "confirm")
        elif status == "diverged":
            script.diverged(RTE, values, seed, "confirm", before={"accuracy": 0.55})
        else:
            name = script.begin(RTE, values, seed, "confirm")
            script.attempt(name)
            script.report(name, 50, {"accuracy": 0.55})
            half = {"accuracy": 0.55}  # as 0.1.1 wrote it
            script.end(name, "failed", 0.55, half, error="MemoryError: does not fit")
    script.close()
    table = results.write_exports(folder)
    rows = pq.read_table(folder / "glue-rte" / "trials.parquet").to_pylist()[1:]
    return table, rows


def header(folder):
    return (folder / "glue-rte" / "best.yaml").read_text().splitlines()[0]


def test_all_exports_say_on_how_many_seeds_a_score_rests(tmp_path):
    table, rows = confirmed_run(tmp_path, {11: "failed", 12: "finished", 13: "finished"})
    assert [table.row(n).cells[0].text for n in ("Result", "Spread", "Seeds")] == [
        "90.0", "0.0", "2 of 3"
    ]  # fmt: skip
    assert table.row("Seeds").cells[0].value == 2
    assert "RTE: 2 of 3 seeds; seed 11 failed." in table.notes
    assert "Seeds,2 of 3" in (tmp_path / "table.csv").read_text()
    assert "seed 11 failed" in (tmp_path / "table.tex").read_text()
    assert "seed 11 failed" in (tmp_path / "table.json").read_text()
    assert header(tmp_path).endswith(
        "accuracy 90.00 on dev, the median of 2 of 3 seeds (spread 0.00); seed 11 failed."
    )
    assert study.load(tmp_path / "glue-rte" / "best.yaml").confirm.seeds == (12, 13)
    assert [(row["status"], row["score"]) for row in rows] == [
        ("failed", None), ("finished", 0.9), ("finished", 0.9)
    ]  # fmt: skip
    assert (rows[0]["best.accuracy"], rows[0]["last.accuracy"]) == (None, None)
    reports = pq.read_table(tmp_path / "glue-rte" / "reports.parquet").to_pylist()
    assert 0.55 in [row["dev.accuracy"] for row in reports]


def test_a_diverged_seed_counts_as_the_worst_and_that_is_said(tmp_path):
    table, rows = confirmed_run(tmp_path, {11: "diverged", 12: "diverged", 13: "finished"})
    assert [table.row(n).cells[0].text for n in ("Result", "Seeds")] == ["0.0", "3"]
    text = "seeds 11, 12 diverged, counted with the worst score, 0.0"
    assert f"RTE: {text}." in table.notes
    assert "seeds 11, 12 diverged, counted with the worst score" in header(tmp_path)
    assert [row["score"] for row in rows] == [0.0, 0.0, 0.9]


def test_a_lone_whole_seed_is_no_silent_result(tmp_path):
    confirmed_run(tmp_path, {11: "failed", 12: "finished", 13: "failed"})
    assert header(tmp_path).endswith("90.00 on dev, 1 of 3 seeds; seeds 11, 13 failed.")


def test_where_every_seed_failed_there_is_no_result_and_no_winner(tmp_path):
    place = tmp_path / "glue-rte"
    confirmed_run(tmp_path, {11: "failed"})
    assert "After 2 of 4 trials the leader" in header(tmp_path)
    (tmp_path / JOURNAL_NAME).unlink()
    table, rows = confirmed_run(tmp_path, {11: "failed", 12: "failed", 13: "failed"})
    assert table.row("Result").cells[0].text == table.row("BSZ").cells[0].text == "-"
    assert table.notes[1] == (
        "RTE: no result: every trial of its confirmation failed (1 finished, 3 failed)."
    )
    assert [row["score"] for row in rows[-3:]] == [None] * 3
    left = (place / "best.yaml").read_text()  # what was the leader half way is one no more
    assert all(line.startswith("#") for line in left.splitlines())
    with pytest.raises(InputError):
        study.load(place / "best.yaml")
