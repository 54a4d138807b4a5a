"""A run or a pack is verified: it holds as it was written, and fails where anything is altered."""

import hashlib
import json
import re
import shutil
import zipfile

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.pairs import RTE
from support.written_runs import write_data, write_run
from typer.testing import CliRunner

from raysearch import InputError, study
from raysearch.cli.commands import app
from raysearch.results.pack import pack
from raysearch.results.research_crate import MANIFEST
from raysearch.verification import verify
from raysearch.verification.inputs import Inputs


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with a run, its data, and its pack."""
    folder = tmp_path_factory.mktemp("written")
    write_run(folder / "run", write_data(folder / "data"))
    pack(folder / "run", folder / "run.zip")
    return folder


@pytest.fixture
def place(written, tmp_path):
    """A copy of that, which a test may alter."""
    return shutil.copytree(written, tmp_path / "copy")


def checked(place, source="run"):
    return verify(place / source, data=place / "data", to=place / "to", rerun=False)


def failures(result):
    return [(check.what, check.place) for check in result.checks if check.verdict == "fails"]


def replace(path, old, new, count=1):
    content = path.read_bytes()
    assert content.count(old) >= 1, old
    path.write_bytes(content.replace(old, new, count))


@pytest.mark.parametrize("source", ["run", "run.zip"])
def test_what_a_run_wrote_holds(place, source):
    result = checked(place, source)
    assert failures(result) == []
    made = {check.what for check in result.checks if check.verdict == "holds"}
    packed = {"files"} if source == "run.zip" else set()
    assert made == {"journal", "tables", "predictions", "model", "data"} | packed
    written = json.loads((place / "to" / "verification.json").read_text())
    assert written["verdict"] == "holds"
    assert len(written["checks"]) == len(result.checks)


def end_of_confirmation(run):
    """The journal's line of the first end of a trial that confirms."""
    lines = (run / "journal.jsonl").read_bytes().splitlines()
    return next(line for line in lines if b'"end"' in line and b"0.75" in line)


def alter_end(place):
    line = end_of_confirmation(place / "run")
    replace(place / "run/journal.jsonl", line, line.replace(b"0.75", b"0.76", 1))


def alter_best(place):
    line = end_of_confirmation(place / "run")
    changed = re.sub(rb'"best":\{"dev.accuracy":0.75', b'"best":{"dev.accuracy":0.76', line)
    replace(place / "run/journal.jsonl", line, changed)


def alter_everywhere(place):
    replace(place / "run/journal.jsonl", b"0.75", b"0.76", -1)


def alter_loss(place):
    replace(place / "run/journal.jsonl", b'"loss":0.5', b'"loss":0.4')


def alter_seed(place):
    replace(place / "run/journal.jsonl", b'"seed":12', b'"seed":11')


def alter_text(name, old, new):
    def alter(place):
        replace(place / "run" / name, old, new)

    return alter


def alter_prediction(place):
    path = sorted((place / "run").rglob("predictions/*.parquet"))[0]
    table = parquet.read_table(path)
    values = table["prediction"].to_pylist()
    values[7] = 1.0 - values[7]
    parquet.write_table(table.set_column(2, "prediction", pa.array(values)), path)


def alter_trials(place):
    path = place / "run/glue-rte/trials.parquet"
    table = parquet.read_table(path)
    index = table.column_names.index("score")
    scores = [0.9, *table["score"].to_pylist()[1:]]
    parquet.write_table(table.set_column(index, "score", pa.array(scores)), path)


def alter_data(place):
    replace(place / "data/RTE/dev.tsv", b"\tentailment\n5", b"\tentailment\n6")


@pytest.mark.parametrize(
    ("alter", "what", "where"),
    [
        (alter_end, "journal", "search.select"),
        (alter_best, "journal", "search.select"),
        (alter_everywhere, "tables", "table.json Result, RTE"),
        (alter_everywhere, "predictions", "predictions/.*parquet dev.accuracy"),
        (alter_loss, "tables", "reports.parquet row 1, loss"),
        (alter_seed, "journal", "study.yaml"),
        (alter_text("table.md", b"77.5", b"78.5"), "tables", r"table.md row Result"),
        (alter_text("table.tex", b"77.5", b"78.5"), "tables", r"table.tex row Result"),
        (alter_text("table.csv", b"77.5", b"78.5"), "tables", r"table.csv row Result"),
        (alter_text("table.json", b"77.5", b"78.5"), "tables", "table.json Result, RTE"),
        (alter_text("table.json", b"0.775", b"0.785"), "tables", "table.json Result, RTE"),
        (alter_text("glue-rte/best.yaml", b"0.001", b"0.002"), "tables", "best.yaml line"),
        (alter_trials, "tables", "trials.parquet row 1, score"),
        (alter_prediction, "predictions", "predictions/.*parquet dev.accuracy"),
        (alter_data, "data", "glue/rte dev"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_is_altered_fails_and_is_named(place, alter, what, where):
    alter(place)
    result = checked(place)
    assert not result.holds
    assert any(w == what and re.search(where, p) for w, p in failures(result)), failures(result)


def repacked(place, name, old, new, *, manifest):
    """Alter a file of the pack, and its line in the manifest if `manifest`."""
    with zipfile.ZipFile(place / "run.zip") as archive:
        files = {entry: archive.read(entry) for entry in archive.namelist()}
    before = hashlib.sha256(files[name]).hexdigest()
    assert old in files[name]
    files[name] = files[name].replace(old, new, 1)
    if manifest:
        after = hashlib.sha256(files[name]).hexdigest()
        files[MANIFEST] = files[MANIFEST].replace(before.encode(), after.encode())
    with zipfile.ZipFile(place / "run.zip", "w") as archive:
        for entry, content in files.items():
            archive.writestr(entry, content)


@pytest.mark.parametrize("name", ["journal.jsonl", "table.md"])
def test_a_pack_with_an_altered_file_fails_and_names_it(place, name):
    repacked(place, name, b"7", b"8", manifest=False)
    assert ("files", name) in failures(checked(place, "run.zip"))


def test_a_manifest_that_fits_the_altered_file_does_not_hide_it(place):
    repacked(place, "table.md", b"77.5", b"78.5", manifest=True)
    found = failures(checked(place, "run.zip"))
    assert {what for what, _ in found} == {"tables"}


def test_a_file_more_or_less_than_the_manifest_lists_fails(place):
    with zipfile.ZipFile(place / "run.zip", "a") as archive:
        archive.writestr("more.txt", "")
    assert failures(checked(place, "run.zip")) == [("files", "more.txt")]


def test_a_journal_that_cannot_be_read_fails_where_its_hash_is_known_and_is_refused_elsewhere(
    place,
):
    repacked(place, "journal.jsonl", b'{"event":"trial"', b'{"event":trial"', manifest=False)
    assert ("files", "journal.jsonl") in failures(checked(place, "run.zip"))
    replace(place / "run/journal.jsonl", b'{"event":"trial"', b'{"event":trial"')
    with pytest.raises(InputError, match="line 2"):
        checked(place)


def test_the_command_exits_with_0_1_and_2(place):
    options = ["--data", str(place / "data"), "--no-rerun", "--to", str(place / "to")]

    def run(source):
        return CliRunner().invoke(app, ["verify", str(source), *options])

    assert (good := run(place / "run.zip")).exit_code == 0, good.output
    assert "everything that was checked holds" in good.output
    alter_data(place)
    bad = run(place / "run.zip")
    assert bad.exit_code == 1
    assert re.search("fails +data: glue/rte dev: expected", bad.output)
    (place / "no.zip").write_bytes(b"PK nothing")
    for name in ("no.zip", "missing", "data"):
        refused = run(place / name)
        assert refused.exit_code == 2
        assert str(place / name) in refused.output
    shutil.rmtree(place / "data")
    assert run(place / "run.zip").exit_code == 2
    options += ["--address", "local", "--wait-for-nodes", "5"]
    local = run(place / "run.zip")
    assert local.exit_code == 2
    assert "no nodes join this machine" in local.output


def test_without_a_rerun_data_are_looked_for_where_the_run_has_read_them_and_may_be_missing(
    place, monkeypatch
):
    monkeypatch.chdir(place / "run")
    options = ["--no-rerun", "--to", str(place / "to")]

    def run(source):
        return CliRunner().invoke(app, ["verify", str(place / source), *options])

    facts = json.loads((place / "run/provenance.json").read_text())
    facts["data"] = str(place / "data")
    (place / "run/provenance.json").write_text(json.dumps(facts))
    assert re.search("holds +data: 2 of 2 checks", run("run").output)
    shutil.rmtree(place / "data")
    for source in ("run", "run.zip"):
        result = run(source)
        assert result.exit_code == 0, result.output
        assert re.search("not checked +data: glue/rte: .*; --data names the folder", result.output)
    assert CliRunner().invoke(app, ["verify", str(place / "run.zip"), "--to", "to"]).exit_code == 2


def test_what_other_code_may_have_written_differently_does_not_fail_but_a_score_does(place):
    facts = json.loads((place / "run/provenance.json").read_text())
    facts["commit"] = "0" * 40
    (place / "run/provenance.json").write_text(json.dumps(facts))
    replace(place / "run/table.md", b"Result", b"Score")
    replace(place / "run/table.json", b'"95 %"', b'"interval"')
    result = checked(place)
    assert result.holds
    unchecked = {c.place for c in result.checks if c.what == "tables" and c.verdict != "holds"}
    assert unchecked == {"table.md line 9", "table.json 95 %", "table.json interval"}
    replace(place / "run/table.json", b"0.775", b"0.785")
    assert failures(checked(place)) == [("tables", "table.json Result, RTE")]
    replace(place / "run/table.json", b"0.785", b"0.775")
    replace(place / "run/table.tex", b"77.5", b"77.6")
    assert failures(checked(place)) == [("tables", "table.tex row Result")]


def test_predictions_that_were_not_kept_are_told(place):
    for path in (place / "run").rglob("predictions/*.parquet"):
        path.unlink()
    (place / "run/table.json").unlink()
    result = checked(place)
    missing = [c for c in result.checks if c.what == "predictions"]
    assert [check.verdict for check in missing] == ["not checked", "not checked"]


def test_a_model_elsewhere_is_known_by_its_files(place, toy_folder):
    model = toy_folder("bert")
    write_run(place / "with-model", place / "data", model=str(model))
    packed = pack(place / "with-model", place / "model.zip")
    assert any(f"'{model}' is written as 'bert'" in note for note in packed.notes)
    moved = shutil.move(model, place / "elsewhere")
    verdicts = {}
    options = {"data": place / "data", "to": place / "to"}
    for models in ((), (str(moved),)):
        result = verify(place / "model.zip", models=models, rerun=False, **options)
        assert result.holds
        verdicts[models] = [c.verdict for c in result.checks if c.what == "model"]
    assert list(verdicts.values()) == [["not checked"], ["holds"]]
    with pytest.raises(InputError, match="--model names the folder"):
        verify(place / "model.zip", **options)
    replace(moved / "config.json", b"{", b"{ ")
    result = verify(place / "model.zip", models=[str(moved)], rerun=False, **options)
    assert failures(result) == [("model", f"{RTE} model")]


def test_a_torn_journal_is_told_and_what_a_model_folder_is_not_used_for(place, toy_folder):
    with (place / "run/journal.jsonl").open("a") as file:
        file.write('{"event":"tri')
    model = str(toy_folder("bert"))
    options = {"data": place / "data", "to": place / "to", "rerun": False}
    result = verify(place / "run", models=[model], **options)
    assert result.holds
    (torn,) = result.notes
    assert "last line" in torn
    assert f"note         {torn}" in list(result.lines())
    assert json.loads((place / "to" / "verification.json").read_text())["notes"] == [torn]
    (unused,) = [check for check in result.checks if check.place == f"--model {model}"]
    assert (unused.verdict, "not used" in unused.note) == ("not checked", True)


def test_a_model_from_scratch_with_another_hash_fails(place):
    facts = json.loads((place / "run/provenance.json").read_text())
    recorded = "0" + facts["content"][RTE]
    searched = study.load(place / "run/study.yaml")
    inputs = Inputs(searched, {"content": {RTE: recorded}}, place / "data", (), "", True)
    assert inputs.missing == []
    check = inputs.checks[0]
    assert (check.what, check.verdict, check.expected) == ("model", "fails", recorded.split("-")[0])
