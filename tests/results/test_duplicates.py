"""What a run records of duplicates in own files, and where its results tell of them."""

import json
import shutil

import pytest
from huggingface_hub import ModelCard
from support.local_runs import run_locally
from support.own_files import write_rows

import raysearch
from raysearch import open_run, results
from raysearch.results.pack import pack

TASK = "own/notes"
STUDY = {
    "name": "leaking",
    "tasks": [TASK],
    "own": {
        "notes": {"train": "train.csv", "dev": "dev.csv", "text": "line", "label": "mood"},
    },
    "model": "scratch:1x16",
    "fixed": {"BSZ": 8, "EPOCH": {"steps": 2}, "WARMUP": 0, "evaluations": 1, "max_length": 8},
    "search": {"trials": 1},
}
TEXT = (
    "7 of 8 examples of dev are in the training set too, so that its scores are too high;"
    " 2 of 42 training examples repeat an earlier one, 1 of them with another label"
)


def row(number, mood=None):
    return {"line": f"word {number}", "mood": mood or ("sad", "glad")[number % 2]}


def write_data(folder, *, duplicates):
    """Write own files, with or without rows that occur more than once."""
    train = [row(number) for number in range(40)]
    dev = [row(number) for number in range(40, 48)]
    if duplicates:
        train += [row(1), row(2, "glad")]
        dev = [*train[:7], row(99)]
    write_rows(folder / "train.csv", train)
    write_rows(folder / "dev.csv", dev)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a finished run on contaminated data, which is gone since."""
    place = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        data = write_data(place / "data", duplicates=True)
        run_locally(place / "leaking", data, STUDY, patch)
        shutil.rmtree(data)
    return place / "leaking"


def test_they_are_told_in_every_result_of_the_run_without_its_data(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "copy")
    for name in ("table.md", "report.html", "reproducibility.md", "own-notes/best/README.md"):
        assert TEXT in (folder / name).read_text(), name
        (folder / name).unlink()
    results.write_exports(folder, report=True)
    for name in ("table.md", "table.tex", "report.html", "reproducibility.md"):
        assert TEXT in (folder / name).read_text(), name
    assert TEXT in (folder / "own-notes/best/README.md").read_text()
    assert open_run(folder).table().notes[0] == f"own/notes: {TEXT}."


def test_no_text_of_an_example_is_recorded(trained):
    assert "word 1" not in (trained / "provenance.json").read_text()


def test_a_pack_tells_them(trained, tmp_path):
    packed = tmp_path / "packed.zip"
    pack(trained, packed)
    shutil.unpack_archive(packed, tmp_path / "unpacked")
    tables = list((tmp_path / "unpacked").rglob("table.md"))
    assert tables
    assert all(TEXT in table.read_text() for table in tables)


def test_a_run_that_did_not_record_them_is_read_without(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "old")
    facts = json.loads((folder / "provenance.json").read_text())
    del facts["duplicates"]
    (folder / "provenance.json").write_text(json.dumps(facts))
    assert "too high" not in "".join(results.write_exports(folder).notes)


def test_a_run_that_did_not_record_them_does_when_it_is_resumed(tmp_path, monkeypatch):
    data = write_data(tmp_path / "data", duplicates=True)
    folder = run_locally(tmp_path / "leaking", data, STUDY, monkeypatch)
    facts = json.loads((folder / "provenance.json").read_text())
    recorded = facts.pop("duplicates")
    (folder / "provenance.json").write_text(json.dumps(facts))
    raysearch.resume(folder)
    assert json.loads((folder / "provenance.json").read_text())["duplicates"] == recorded
    assert TEXT in (folder / "table.md").read_text()
    raysearch.resume(folder)
    assert json.loads((folder / "provenance.json").read_text())["duplicates"] == recorded


def test_damaged_numbers_are_named_and_nothing_else_is_lost(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "damaged")
    facts = json.loads((folder / "provenance.json").read_text())
    facts["duplicates"][TASK]["in_training"] = {"dev": -1}
    (folder / "provenance.json").write_text(json.dumps(facts))
    notes = "".join(results.write_exports(folder).notes)
    assert "provenance.json: duplicates is damaged" in notes


def test_a_run_without_duplicates_says_nothing(tmp_path, monkeypatch):
    data = write_data(tmp_path / "data", duplicates=False)
    folder = run_locally(tmp_path / "clean", data, STUDY, monkeypatch)
    assert "duplicates" not in json.loads((folder / "provenance.json").read_text())
    assert "training set too" not in (folder / "reproducibility.md").read_text()


def test_the_card_of_own_files_states_no_language_where_the_study_states_none(trained):
    card = ModelCard.load(trained / "own-notes/best/README.md")
    assert card.data.language is None
    assert "languages: not stated" in (trained / "reproducibility.md").read_text()
