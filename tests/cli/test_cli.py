"""The command: what it prints, its exit codes, and that nothing a user can cause is a traceback."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.paths import ROOT
from support.run_folders import Script, write_study
from typer.testing import CliRunner

from raysearch.cli import lists
from raysearch.cli.commands import app
from raysearch.errors import InputError, Problem, note_source
from raysearch.preflight import Lanes
from raysearch.shipped_studies import shipped_studies

HERE = ROOT
STUDIES = sorted(map(str, (HERE / "search_spaces").glob("*.yaml")))
QUICKSTART = str(HERE / "search_spaces" / "quickstart.yaml")
AMOS = str(HERE / "search_spaces" / "amos-glue.yaml")


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    """Whatever is wrong has to be found before Ray starts."""
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("Ray was started"))


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs a command in an empty folder; gives its exit code, output and error output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


def write(folder, text, name="mine.yaml"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def finished(tmp_path):
    """The folder of a small run that is over."""
    folder = tmp_path / "runs" / "toy"
    write_study(folder, name="toy", tasks=["toy/grammar"], model="scratch",
                space={"LR": {"choice": [1e-4, 1e-3]}})  # fmt: skip
    script = Script(folder)
    script.trial("toy/grammar", {"LR": 1e-4}, {"accuracy": 0.8})
    script.trial("toy/grammar", {"LR": 1e-3}, {"accuracy": 0.9})
    script.close()
    return folder


WRONG = {
    "no such study": (["check", "none.yaml"], "no such file"),
    "a folder as study": (["check", "."], "cannot be read: Is a directory"),
    "unknown task": (["check", QUICKSTART, "--tasks", "toy/gramar"], "did you mean 'toy/grammar'?"),
    "one unknown task of two": (["check", AMOS, "--tasks", "glue/rte,glue/x"], "tasks[1]"),
    "unknown name to set": (["check", QUICKSTART, "--set", "LRR=1"], "did you mean 'LR'?"),
    "no value to set": (["check", QUICKSTART, "--set", "LR"], "write it as NAME=VALUE"),
    "no YAML to set": (["check", QUICKSTART, "--set", "LR=[1"], "the value is not YAML"),
    "wrong value to set": (["check", QUICKSTART, "--set", "LR=fast"], "a number is needed"),
    "no model folder": (["check", QUICKSTART, "--model", "./none"], "no folder './none'"),
    "an empty model": (["check", QUICKSTART, "--model", ""], "hub name or scratch is needed"),
    "an empty data folder": (["check", QUICKSTART, "--data", ""], "a folder is needed, got ''"),
    "empty tasks": (["check", QUICKSTART, "--tasks", ""], "no task named ''"),
    "no date to set": (["check", QUICKSTART, "--set", "LR=2020-13-45"], "the value is not YAML"),
    "no data folder": (["check", AMOS, "--data", "none"], "no folder none"),
    "no data to run on": (["run", AMOS, "--tasks", "glue/rte", "--model", "scratch"], "data"),
    "no study to run": (["run", "none.yaml"], "no such file"),
    "more lanes than cores": (["run", QUICKSTART, "--lanes", "4000"], "4000 lanes of"),
    "shared GPUs where there is none": (
        ["run", QUICKSTART, "--lanes-per-gpu", "auto"],
        "there is no GPU here",
    ),
    "lanes on a GPU that are no number": (
        ["run", QUICKSTART, "--lanes-per-gpu", "many"],
        "a number or auto is needed",
    ),
    "MPS for lanes that share nothing": (["run", QUICKSTART, "--mps"], "for lanes that share a"),
    "a lane too large": (["run", QUICKSTART, "--workers-per-lane", "4000"], "a lane needs"),
    "storage that is a file": (["run", QUICKSTART, "--storage", QUICKSTART], "is no folder"),
    "no trials": (["run", QUICKSTART, "--trials", "0"], "--trials"),
    "trials that are no number": (["run", QUICKSTART, "--trials", "many"], "--trials"),
    "an unknown option": (["run", QUICKSTART, "--modle", "x"], "--modle"),
    "an unknown command": (["serach"], "serach"),
    "a cache that is a file": (
        ["run", QUICKSTART],
        f"RAYSEARCH_CACHE  '{QUICKSTART}' is no folder; another one would do",
    ),
    "two runs to compare that are none": (["compare", "one", "two"], "compare: 2 problems"),
    "nothing to resume": (["resume", "runs/none"], "not a run folder"),
    "a table of nothing": (["table", "runs/none"], "no study.yaml here"),
    "a table of a study": (["table", AMOS], "add --published"),
    "an unknown format": (["table", AMOS, "--published", "--format", "doc"], "csv, json, md, tex"),
    "an unknown list": (["list", "taskz"], "did you mean 'tasks'?"),
    "predictions of nothing": (["predict", "none", "--to", "out"], "neither a run folder"),
    "predictions to nowhere": (["predict", "none"], "--to"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_exit_code_2(command, monkeypatch, case):
    arguments, text = WRONG[case]
    if "RAYSEARCH_CACHE" in text:
        monkeypatch.setenv("RAYSEARCH_CACHE", QUICKSTART)
    code, _, said = command(*arguments)
    assert code == 2
    assert text in said
    assert "explained in docs/" in said
    assert "Traceback" not in said


def test_everything_that_stands_in_the_way_of_a_run_is_said_at_once(command, tmp_path):
    (tmp_path / "runs" / "amos-glue").mkdir(parents=True)
    write(tmp_path / "runs" / "amos-glue", "", "study.yaml")
    code, _, said = command("run", AMOS, "--model", "./none", "--data", "none", "--lanes", "4000")
    assert code == 2
    for text in ("is there already; go on with `raysearch resume", "no folder './none'",
                 "no folder none", "4000 lanes of"):  # fmt: skip
        assert text in said


def test_a_study_with_many_mistakes_and_the_studies_beside_it_are_all_checked(command, tmp_path):
    bad = write(tmp_path, "tasks: [glue/rtee]\nspace: {LR: {log: [2, 1]}}\n")
    code, out, said = command("check", bad, QUICKSTART, tmp_path / "none.yaml")
    assert code == 2
    assert f"{bad}: 3 problems" in said
    assert "none.yaml" in said
    assert "quickstart" in out


@pytest.mark.slow
def test_all_shipped_studies_pass_the_check(command):
    code, out, said = command("check", *STUDIES)
    assert (code, said) == (0, "")
    assert "amos-glue  model amos-base, recipe finetune" in out
    assert "BSZ, LR, EPOCH, WARMUP (64 configurations)  24 by tpe" in out


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_study_its_model_its_data_and_the_command_line_are_told_in_one_message(
    command, tmp_path, verb
):
    path = write(
        tmp_path, "tasks: [glue/rte]\nmodel: ./none\nspace: {LR: {log: [2, 1]}}\nfixd: 3\n"
    )
    rows = ["index\tsentence1\tsentence2\tlabel", *["1\ta\tb\tmaybe"] * 277]
    (tmp_path / "data" / "RTE").mkdir(parents=True)
    write(tmp_path / "data" / "RTE", "\n".join(rows), "train.tsv")
    code, _, said = command(verb, path, "--data", "data", "--set", "BSZ=x", "--set", "EPOCH")
    assert code == 2
    head, *lines = said.splitlines()
    assert head == f"{path}: 283 problems"
    assert [line.strip().split("  ")[0] for line in lines[:5]] == [
        "--set EPOCH", "fixed.BSZ", "model", "space.LR", "fixd"
    ]  # fmt: skip
    assert lines[5].startswith("  glue/rte ")
    assert "no dev.tsv in" in lines[5]
    rows = "glue/rte train.tsv line 2, 3, 4 and 274 more"
    labels = "label 'maybe'; the labels are: entailment, not_entailment"
    pages = "docs/studies.md, docs/formats.md#data"
    assert lines[6:] == [f"  {rows}  {labels}", f"explained in {pages}"]


def test_a_check_with_data_shows_languages_sizes_and_steps(command, tmp_path):
    sizes = {"train-en": 40, "train-sw": 20, "dev-en": 6, "dev-de": 6, "dev-sw": 3}
    (tmp_path / "xtreme" / "panx").mkdir(parents=True)
    for name, size in sizes.items():
        write(tmp_path / "xtreme" / "panx", "a\tO\n\n" * size, f"{name}.tsv")
    text = "tasks: [xtreme/panx, toy/grammar]\nmodel: scratch\ntrain: [en, sw]\nfixed: {BSZ: 10}\n"
    path = write(tmp_path, text)
    code, out, _ = command("check", path, "--data", tmp_path)
    assert code == 0
    rows = [line.split("  ") for line in out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["task", "trains on", "scored on, the first selects"] in cells
    assert ["xtreme/panx", "train 40; train-sw 20", "en, de 6 each; sw 3"] in cells
    assert ["xtreme/panx", "the defaults", "at least 18", "at least 1", "4"] in cells
    write(tmp_path, text + "search: {select_on: mean}\n")
    few = command("check", path, "--data", tmp_path, "--set", "dev_examples=3")[1]
    assert "scored on, their mean selects" in few
    assert "en, de, sw 3 each" in few
    write(tmp_path, text + "search: {select_on: mean, hold_out: 0.5}\n")
    out = command("check", path, "--data", tmp_path)[1]
    cells = [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.split("\n")
    ]
    assert ["task", "trains on", "searched on, their mean selects", "printed on"] in cells
    parts = ["en, de 3 each; sw 1", "en, de 3 each; sw 2"]
    assert any(row[:1] == ["xtreme/panx"] and row[2:] == parts for row in cells)


@pytest.mark.parametrize("space", ["{}", "{LR: {choice: [1e-5]}}"])
def test_a_check_says_where_there_is_nothing_to_choose(command, tmp_path, space):
    text = f"tasks: [glue/rte]\nmodel: scratch\nspace: {space}\n"
    path = write(tmp_path, text + "confirm: {top: 2, choose: [21, 22], seeds: [11, 12]}\n")
    code, out, _ = command("check", path)
    assert code == 0
    assert "top 1 x 2 seeds" in out
    assert "winner x" not in out
    assert "glue/rte: there is one configuration and nothing to choose: confirm.choose has" in out


def test_a_check_with_data_shows_the_steps_of_what_is_tried_first(command, tmp_path):
    code, out, _ = command("check", QUICKSTART, "--data", tmp_path, "--set", "BSZ=32")
    assert code == 0
    assert "3,000" in out
    assert "BSZ" not in out.splitlines()[2]


def test_names_with_brackets_are_printed_as_they_are(command, tmp_path):
    text = "name: my [b] study\ntasks: toy/grammar\nmodel: scratch\ndeviations: ['[red]bert']\n"
    path = write(tmp_path, text)
    code, out, _ = command("check", path)
    assert code == 0
    assert "my [b] study  model scratch" in out
    assert "otherwise than its source: [red]bert" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "texts"),
    [
        ("tasks", ["glue/rte", "pearson_spearman", "toy/grammar"]),
        ("hyperparameters", ["layerwise_decay", "peak learning rate", "2e-05"]),
        ("studies", ["amos-glue", "COCO-LM base++"]),
    ],
)
def test_lists_show_what_there_is(command, monkeypatch, what, texts):
    monkeypatch.chdir(HERE)
    done = CliRunner().invoke(app, ["list", what])
    assert done.exit_code == 0
    assert all(text in done.stdout for text in texts)


@pytest.mark.slow
def test_the_list_of_studies_fits_a_terminal_of_100_columns(command):
    _, out, _ = command("list", "studies")
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 100


def test_every_hyperparameter_is_listed_once_with_its_recipes(command):
    _, out, _ = command("list", "hyperparameters")
    rows = [line.split() for line in out.splitlines()[1:] if line[:1] not in ("", " ")]
    names = [row[0] for row in rows]
    assert len(names) == len(set(names))
    assert ["LR", "2e-05;", "lora:", "0.0004", "all", "peak"] in [row[:6] for row in rows]
    assert ["agreement", "0.5", "r_drop"] in [row[:3] for row in rows]


@pytest.mark.parametrize("verb", sorted(app.registered_commands, key=lambda c: c.callback.__name__),
                         ids=lambda verb: verb.callback.__name__.strip("_"))  # fmt: skip
def test_every_command_explains_its_options_and_has_an_example(command, verb):
    name = verb.callback.__name__.strip("_")
    code, out, _ = command(name, "--help")
    assert code == 0
    assert f"raysearch {name}" in out.partition("Example")[2]
    for parameter in typer.main.get_command(app).commands[name].params:
        assert parameter.help.endswith("."), parameter.name


def test_a_published_table_needs_no_run(command):
    code, out, _ = command("table", AMOS, "--published")
    assert code == 0
    assert "| Result | 90.5/- |" in out


@pytest.mark.parametrize(
    ("layout", "text"),
    [("md", "| LR | 0.001 |"), ("tex", r"LR & 0.001 \\"), ("csv", "LR,0.001"), ("json", '"LR"')],
)
def test_a_table_is_printed_in_every_layout_and_written_again(command, finished, layout, text):
    code, out, _ = command("table", finished, "--format", layout)
    assert code == 0
    assert text in out
    assert (finished / f"table.{layout}").read_text() == out
    if layout == "json":
        assert json.loads(out)["columns"]


def test_a_damaged_journal_is_said_with_its_line(command, finished):
    path = finished / "journal.jsonl"
    path.write_text("{" + path.read_text())
    code, _, said = command("table", finished)
    assert code == 2
    assert "line 1" in said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "Permission denied: runs"),
        (OSError(errno.ENOSPC, "No space left on device"), "`raysearch resume` goes on"),
        (OSError(errno.EROFS, "Read-only file system", "runs"), "another folder, or a copy"),
        (ConnectionError("no Ray at 1.2.3.4"), "no Ray at 1.2.3.4"),
        (InputError("x", [Problem(location="a", text="b")]), "x: 1 problem"),
    ],
)
def test_what_the_system_refuses_is_said_without_a_traceback(command, monkeypatch, error, text):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("raysearch.search.run", refuse)
    code, _, said = command("run", QUICKSTART)
    assert code == 2
    assert text in said
    assert "explained in docs/" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ZeroDivisionError("a\x1b[2Jb\nc"), "unexpected ZeroDivisionError: a\\x1b[2Jb, in `"),
        (KeyError(), "unexpected KeyError: no further word, in `"),
        (MemoryError(), "unexpected out of memory, in `"),
        (RecursionError("maximum depth"), "unexpected nested too deeply, in `"),
    ],
)
def test_a_mistake_of_our_own_says_where_its_traceback_is(
    command, tmp_path, monkeypatch, error, text
):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("raysearch.cli.lists.show_list", broken)
    monkeypatch.setattr("sys.argv", ["raysearch", "run", "x", "--storage", "s3://me:hunter2@b"])
    code, out, said = command("list")
    assert (code, out) == (2, "")
    assert "raysearch run x --storage 's3://***@b'" in said
    assert said.startswith(f"raysearch: {text}")
    (path,) = tmp_path.glob("raysearch-*.traceback.txt")
    assert f"its traceback is in {path}" in said
    assert path.stat().st_mode & 0o077 == 0
    assert f"{type(error).__name__}" in path.read_text()
    assert "hunter2" not in said + path.read_text()
    assert len(said.splitlines()) == 2
    command("list")
    assert len(list(tmp_path.glob("raysearch-*.traceback.txt"))) == 2  # never overwritten


def test_a_mistake_while_a_study_is_looked_at_names_the_study(command, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ValueError("odd")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("raysearch.study.loading.cross_checks", broken)
    code, _, said = command("check", QUICKSTART)
    assert code == 2
    assert said.startswith(
        f"raysearch: unexpected ValueError: odd, while reading {QUICKSTART}\nits traceback is in "
    )


def test_a_mistake_says_what_was_being_read_and_ends_also_where_nothing_can_be_written(
    command, tmp_path, monkeypatch
):
    def broken(*_, **__):
        with note_source(tmp_path / "a\x1bb"):
            raise ValueError("odd")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    monkeypatch.setattr("raysearch.cli.lists.show_list", broken)
    code, _, said = command("list")
    assert code == 2
    assert f"ValueError: odd, while reading {tmp_path}/a\\x1bb" in said
    assert "cannot be written; it ends in" in said


def test_ctrl_c_has_an_exit_code_of_its_own(command, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("raysearch.search.run", interrupted)
    assert command("run", QUICKSTART)[0] == 130


class ToyRun:
    """A run that is over: what the engine gives the command."""

    def __init__(self, folder, failed=(), interrupted=False):
        from raysearch.study import load

        self.folder, self.failed, self.interrupted = folder, failed, interrupted
        self.notes, self.uri = ("glue-rte/best/README.md was edited and is kept",), None
        self.study, self.untrained = load(folder / "study.yaml"), {}


def test_a_run_ends_with_its_table_and_where_things_are(command, finished, monkeypatch):
    command("table", finished)
    monkeypatch.setattr("raysearch.search.run", lambda *_, **__: ToyRun(finished))
    code, out, errors = command("run", QUICKSTART)
    assert code == 0
    assert "note: glue-rte/best/README.md was edited and is kept" in errors
    assert "| LR | 0.001 |" in out
    assert f"{finished / 'toy-grammar' / 'best.yaml'}" in out
    assert f"tensorboard --logdir {finished}" in out


def test_a_task_without_a_winner_to_start_from_is_named_and_counts_as_a_failure(
    command, finished, monkeypatch
):
    command("table", finished)
    over = ToyRun(finished)
    over.untrained = {"glue/rte": "not trained, as glue/mnli, from whose winner it starts, ..."}
    monkeypatch.setattr("raysearch.search.run", lambda *_, **__: over)
    code, _, errors = command("run", QUICKSTART)
    assert code == 1
    assert "no start    glue/rte: not trained, as glue/mnli, from whose winner it starts" in errors


def test_check_says_what_each_model_is_taken_for_and_which_task_starts_from_which(
    command, tmp_path
):
    text = """
tasks: [glue/rte, glue/mnli, glue/mrpc]
model: roberta-base
per_task:
  glue/rte: {from: {task: glue/mnli, seed: same}}
  glue/mrpc: {model: scratch:1x64}
confirm: {seeds: [11]}
"""
    code, out, _ = command("check", write(tmp_path, text))
    assert code == 0
    lines = " ".join(out.split())
    assert "roberta-base: a name on a hub, which is asked when the run starts" in lines
    assert "scratch:1x64: random weights: bert, 1 layer of width 64, 4,000 words" in lines
    assert "glue/rte starts from the winner of glue/mnli, each seed of confirm.seeds from" in lines
    code, _, errors = command("check", write(tmp_path, text), "--tasks", "glue/rte")
    assert code == 2
    assert "glue/rte starts from the winner of glue/mnli, which is left out" in errors
    code, _, errors = command("check", write(tmp_path, text), "--model", "glue/mnli")
    assert code == 2
    assert "'glue/mnli' is a task; `from: glue/mnli` under per_task" in errors


def test_failed_trials_are_named_and_an_interrupted_run_says_how_to_go_on(
    command, finished, monkeypatch
):
    command("table", finished)
    script = Script(finished)
    name = script.begin("toy/grammar", {"LR": 5e-4})
    script.end(name, "failed", None, error="RuntimeError: a toy broke")
    failed = [script.journal.trials[name]]
    monkeypatch.setattr("raysearch.search.run", lambda *_, **__: ToyRun(finished, failed))
    code, _, said = command("run", QUICKSTART)
    assert code == 1
    assert "toy-grammar" in said
    assert "RuntimeError: a toy broke" in said
    stopped = ToyRun(finished, interrupted=True)
    monkeypatch.setattr("raysearch.search.resume", lambda *_, **__: stopped)
    code, out, _ = command("resume", finished)
    assert code == 130
    assert f"raysearch resume {finished}" in out


def test_options_reach_the_search(command, monkeypatch, finished):
    heard = {}

    def listen(study, **options):
        heard.update(options, study=study)
        return ToyRun(finished)

    command("table", finished)
    monkeypatch.setattr("raysearch.search.run", listen)
    command("run", AMOS, "--model", "m", "--data", "d", "--tasks", "glue/rte, glue/mrpc",
            "--trials", 5, "--set", "WARMUP={steps: 9}", "--set", "adam_betas=[0.9, 0.98]",
            "--address", "auto", "--lanes", 3, "--workers-per-lane", 2, "--gpus-per-worker", 0,
            "--storage", "s", "--name", "n")  # fmt: skip
    study, lanes = heard["study"], heard["lanes"]
    assert (study.tasks, study.model) == (("glue/rte", "glue/mrpc"), "m")
    assert study.resolve("glue/rte").planned_trials == 5
    assert study.fixed["WARMUP"] == {"steps": 9}
    assert "WARMUP" not in study.resolve("glue/rte").space
    assert (lanes.count, lanes.workers, lanes.cpus, lanes.gpus) == (3, 2, 1, 0)
    assert (heard["data"], heard["address"]) == (Path("d"), "auto")
    assert (heard["storage"], heard["name"]) == ("s", "n")
    assert (lanes.per_gpu, lanes.mps) == (None, False)
    for given, per_gpu in (("auto", "auto"), ("3", 3)):
        command("run", AMOS, "--model", "m", "--data", "d", "--lanes-per-gpu", given, "--mps")
        assert heard["lanes"] == Lanes(per_gpu=per_gpu, mps=True)
    monkeypatch.setattr("raysearch.search.resume", lambda _, **options: listen(None, **options))
    command("resume", finished, "--lanes-per-gpu", "2")
    assert heard["lanes"] == Lanes(per_gpu=2)
    command("resume", finished)
    assert heard["lanes"] is None


def spoken(*arguments, **options):
    """A real process: what the `raysearch` command starts."""
    code = "from raysearch.cli.commands import main; main()"
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)],
                          capture_output=True, text=True, timeout=60, **options)  # fmt: skip


def test_the_version_is_told():
    done = spoken("--version")
    assert (done.returncode, done.stdout) == (0, "0.2.0\n")


@pytest.mark.slow
def test_a_real_process_prints_problems_and_ends_with_2(tmp_path):
    path = write(tmp_path, "tasks: [glue/rtee]\n")
    done = spoken("check", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"{path}: 2 problems\n  tasks[0]  no task named")


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    code = "from raysearch.cli.commands import main; main()"
    pipe = f"{sys.executable} -c '{code}' list hyperparameters | true"
    done = subprocess.run(pipe, shell=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


HEAVY = {"ray", "torch", "transformers", "optuna"}
LIGHT = {
    "list": ["list"],
    "check": ["check", *STUDIES],
    "published": ["table", AMOS, "--published"],
    "table": ["table", "RUN"],
    "a wrong study": ["run", "none.yaml"],
    "no run at a URI": ["predict", "file:///none", "--to", "none"],
    "a wrong storage": ["run", "quickstart", "--storage", "s3://bucket/runs?key=1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHT)
def test_reading_commands_import_neither_ray_nor_torch(finished, name):
    arguments = [str(finished) if one == "RUN" else one for one in LIGHT[name]]
    code = (
        "import sys\n"
        "from raysearch.cli.commands import main\n"
        "try: main()\n"
        f"finally: print('heavy:', *sorted(set(sys.modules) & {HEAVY}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.stderr.splitlines()[-1] == "heavy:"
    is_wrong = name in ("a wrong study", "no run at a URI", "a wrong storage")
    assert done.returncode == (2 if is_wrong else 0)


COMPUTING = {*HEAVY, "numpy", "pyarrow", "tensorboard"}
SHOWN = {
    "help": ["--help"],
    "tasks": ["list", "tasks"],
    "hyperparameters": ["list", "hyperparameters"],
    "studies": ["list", "studies"],
    "check": ["check", "quickstart", "amos-glue", "stabletune-transfer"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_help_lists_and_checks_import_nothing_that_computes(name):
    code = (
        "import sys\n"
        "from raysearch.cli.commands import main\n"
        "try: main()\n"
        f"finally: print('heavy:', *sorted(set(sys.modules) & {COMPUTING}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *SHOWN[name]],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(("name", "path"), shipped_studies().items())
def test_the_list_says_of_a_shipped_study_what_its_checks_would(name, path):
    cells = lists._quick_cells(path)
    assert cells is not None
    assert cells == lists._cells(name, path)


@pytest.mark.parametrize(
    "text",
    ["[", "- a", "", "\xff", "tasks: 5\nmodel: a", "tasks: [glue/rte]", "tasks: [{a: 1}]\nmodel: a",
     "tasks: [toy/grammar]\nmodel: {a: 1}\npublished: {row: a}"],
)  # fmt: skip
def test_a_shipped_study_of_another_form_is_read_with_all_checks(
    command, tmp_path, monkeypatch, text
):
    path = tmp_path / "search_spaces" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    monkeypatch.setattr(lists, "shipped_studies", lambda: {"mine": path})
    code, out, _ = command("list", "studies")
    assert code == 0
    assert "cannot be read: `raysearch check mine` says why" in " ".join(out.split())
    assert command("check", path)[0] == 2


def test_steps_that_only_a_tokenizer_can_tell_are_not_guessed(command, tmp_path):
    (tmp_path / "text").mkdir()
    for name in ("train", "dev"):
        write(tmp_path / "text", "a sentence\n" * 40, f"{name}.txt")
    path = write(tmp_path, "tasks: [text/lines]\nmodel: scratch\nrecipe: cross_thought\n")
    told = command("check", path, "--data", tmp_path)[1].splitlines()[-1].split()
    assert told == ["text/lines", "the", "defaults", "?", "?", "4"]
    steps = ("--set", "EPOCH={steps: 50}")
    told = command("check", path, "--data", tmp_path, *steps)[1].splitlines()[-1].split()
    assert told == ["text/lines", "the", "defaults", "50", "5", "4"]


def test_a_plan_tells_of_hours_odd_values_and_the_data_that_were_not_looked_at(command, tmp_path):
    text = "tasks: [toy/grammar, glue/rte]\nmodel: scratch\nsearch: {hours: 2}\nfixed: {LR: 5}\n"
    code, out, _ = command("check", write(tmp_path, text))
    assert code == 0
    assert "at most 2 hours: after that no new trial begins" in out
    assert "LR 5 is unusual: peak learning rate, usually 1e-08 to 0.1" in out
    assert "the data of glue/rte was not looked at: add --data FOLDER" in out
    code, out, _ = command("check", QUICKSTART)
    assert "--data" not in out


@pytest.mark.parametrize("form", ["a file", "a path", "a name", "a mapping", "a study"])
def test_a_run_takes_whatever_stands_for_a_study(monkeypatch, form):
    import raysearch

    begun = []
    monkeypatch.setattr("raysearch.search.run", lambda read, **_: begun.append(read))
    mapping = {"tasks": ["toy/grammar"], "model": "scratch"}
    raysearch.run({
        "a file": QUICKSTART, "a path": Path(QUICKSTART), "a name": "quickstart",
        "a mapping": mapping, "a study": raysearch.parse(mapping),
    }[form])  # fmt: skip
    assert begun[0].tasks == ("toy/grammar",)
    with pytest.raises(InputError, match="a study, its file or name, or a mapping is needed"):
        raysearch.run(3)
