"""A run as one zip file: what is in it, what is not, and that nothing unsafe is unpacked."""

import hashlib
import html
import json
import shutil
import stat
import zipfile

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.written_runs import write_data, write_run

from raysearch import InputError, results
from raysearch.results import host_paths, model_card
from raysearch.results.pack import pack
from raysearch.results.research_crate import FILE_NAME, MANIFEST
from raysearch.run_folder import read_journal
from raysearch.storage import unpack, zip_archives


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with a run and its data."""
    folder = tmp_path_factory.mktemp("written")
    write_run(folder / "run", write_data(folder / "data"))
    return folder


@pytest.fixture
def run(written, tmp_path):
    """A copy of the run, which a test may alter."""
    return shutil.copytree(written / "run", tmp_path / "run")


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def crate(path):
    graph = json.loads(contents(path)[FILE_NAME])["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_a_pack_has_what_a_co_author_needs_and_no_data(run, tmp_path):
    pack(run, tmp_path / "run.zip")
    files = contents(tmp_path / "run.zip")
    predictions = {name for name in files if name.startswith("glue-rte/predictions/")}
    assert len(predictions) == 2
    assert set(files) - predictions == {
        "study.yaml", "provenance.json", "journal.jsonl", MANIFEST, FILE_NAME,
        "reproducibility.md", "reproducibility.tex",
        *(f"table.{ending}" for ending in ("md", "tex", "csv", "json")),
        *(f"glue-rte/{name}" for name in ("best.yaml", "trials.parquet", "reports.parquet")),
    }  # fmt: skip
    assert files["journal.jsonl"] == (run / "journal.jsonl").read_bytes()


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    pack(run, tmp_path / "one.zip")
    for path in run.rglob("*"):
        path.touch()
    shutil.move(run, tmp_path / "moved")
    pack(tmp_path / "moved", tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_what_is_in_the_folder_and_not_packed_is_told(run, tmp_path):
    (run / "notes.txt").write_text("mine")
    (run / "glue-rte" / "best").mkdir()
    (run / "glue-rte" / "best" / "README.md").write_text("card")
    (run / "glue-rte" / "best" / "model.safetensors").write_bytes(b"weights")
    (run / "linked").symlink_to("/etc")
    notes = pack(run, tmp_path / "run.zip").notes
    assert "not known, so not packed: linked, notes.txt" in notes
    left_out = next(note for note in notes if note.startswith("left out"))
    assert left_out == "left out: .raysearch, glue-rte/best, glue-rte/tensorboard"
    assert "glue-rte/best/README.md" in contents(tmp_path / "run.zip")
    pack(run, tmp_path / "weights.zip", weights=True)
    assert contents(tmp_path / "weights.zip")["glue-rte/best/model.safetensors"] == b"weights"


@pytest.mark.parametrize("name", ["table.md", "glue-rte", "glue-rte/predictions"])
def test_links_in_the_places_of_files_are_refused(run, tmp_path, name):
    shutil.move(run / name, tmp_path / "aside")
    (run / name).symlink_to(tmp_path / "aside")
    with pytest.raises(InputError, match="is a symbolic link"):
        pack(run, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()


def test_what_exists_is_not_written_over_and_no_run_folder_is_refused(run, tmp_path):
    (tmp_path / "run.zip").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        pack(run, tmp_path / "run.zip")
    assert (tmp_path / "run.zip").read_text() == "mine"
    with pytest.raises(InputError, match="web address of a licence is needed, got 'CC BY'"):
        pack(run, tmp_path / "new.zip", licence="CC BY")
    with pytest.raises(InputError, match="not a run folder"):
        pack(tmp_path, tmp_path / "new.zip")


def test_paths_of_this_machine_are_names_or_told(written, tmp_path):
    error = "file not found: /tmp/secret/file"
    run = shutil.copytree(written / "run", tmp_path / "run")
    (run / "reproducibility.md").write_text(f"raysearch run x --data {written}/data --to /tmp/out")
    notes = pack(run, tmp_path / "run.zip").notes
    files = contents(tmp_path / "run.zip")
    assert not [name for name, content in files.items() if str(written).encode() in content]
    assert json.loads(files["provenance.json"])["data"] == "data"
    assert files["reproducibility.md"] == b"raysearch run x --data data --to /tmp/out"
    told = "reproducibility.md still names paths of this machine: /tmp/out"
    assert told in notes
    assert host_paths.paths_of_this_machine(error) == ["/tmp/secret/file"]
    assert host_paths.paths_of_this_machine("86.5/87.0, and/or https://a.b/tmp/c") == []


def test_a_path_is_replaced_as_a_whole_and_the_longer_one_first():
    names = {"/tmp/a_b": "a_b", "/tmp/a_b/best": "best"}
    text = r'"/tmp/a_b/best" /tmp/a_b-2 /tmp/a\_b/x x/tmp/a_b /tmp/a_b.'
    assert host_paths.with_short_names(text, names) == (
        r'"best" /tmp/a_b-2 a\_b/x x/tmp/a_b /tmp/a_b.'
    )


def test_the_manifest_is_that_of_sha256sum(run, tmp_path):
    pack(run, tmp_path / "run.zip")
    files = contents(tmp_path / "run.zip")
    lines = dict(line.split("  ")[::-1] for line in files.pop(MANIFEST).decode().splitlines())
    assert lines == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_the_crate_describes_every_file_the_run_and_its_licence(run, tmp_path):
    pack(run, tmp_path / "run.zip")
    entities, files = crate(tmp_path / "run.zip"), contents(tmp_path / "run.zip")
    listed = {part["@id"] for part in entities["./"]["hasPart"]}
    assert listed == set(files) - {FILE_NAME}
    for name in listed - {MANIFEST}:
        assert entities[name]["contentSize"] == str(len(files[name]))
        assert entities[name]["encodingFormat"] != "application/octet-stream"
    references = {
        reference["@id"]
        for entity in entities.values()
        for value in entity.values()
        for reference in (value if isinstance(value, list) else [value])
        if isinstance(reference, dict)
    }
    outside = {name for name in references if name not in entities}
    assert outside == {"https://w3id.org/ro/crate/1.1"}
    assert entities["#run"]["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert entities["#run"]["startTime"] == "2023-11-14T22:13:21+00:00"  # of the journal
    assert "not chosen a licence" in entities[entities["./"]["license"]["@id"]]["description"]
    address = "https://creativecommons.org/licenses/by/4.0/"
    pack(run, tmp_path / "licensed.zip", licence=address)
    assert crate(tmp_path / "licensed.zip")["./"]["license"] == {"@id": address}


def test_a_run_that_is_not_finished_is_packed_and_it_is_said(run, tmp_path):
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    (run / "journal.jsonl").write_text("".join(lines[:-1]))
    for path in run.glob("table.*"):
        path.unlink()
    notes = pack(run, tmp_path / "run.zip").notes
    assert "the run is not finished: not all planned trials are over" in notes
    assert any("there is no table yet" in note for note in notes)
    status = crate(tmp_path / "run.zip")["#run"]["actionStatus"]
    assert status == "http://schema.org/ActiveActionStatus"


def entry(name, mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([("../x", b"")], "leads|folder of its own"),
        ([("/tmp/x", b"")], "names no file"),
        ([("a\\..\\x", b"")], "separator"),
        ([("a", b""), ("a", b"")], "another file"),
        ([("a", b""), ("a/b", b"")], "another file"),
        ([("a/b", b""), ("a", b"")], "another file"),
        ([("/".join("abcdefghij"), b"")], "within each other"),
        ([(entry("link", stat.S_IFLNK | 0o777), b"/etc/passwd")], "link or a special file"),
        ([("bomb", bytes(2**22))], "at most [0-9,]+ are unpacked"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_unsafe_is_not_unpacked(tmp_path, monkeypatch, entries, problem):
    monkeypatch.setattr(zip_archives, "FREE_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    (tmp_path / "to").mkdir()
    with pytest.raises(InputError, match=problem):
        unpack(tmp_path / "x.zip", tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_damaged_file_in_a_zip_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.txt", "content of a")
    content = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(content.replace(b"content of a", b"content of b"))
    (tmp_path / "to").mkdir()
    with pytest.raises(InputError, match=r"a\.txt +damaged"):
        unpack(tmp_path / "x.zip", tmp_path / "to")


@pytest.mark.parametrize("name", ["x_y & z", "a long name of a folder " * 6, "x < y"])
def test_a_path_is_replaced_in_every_way_in_which_the_files_of_a_run_have_it(
    written, tmp_path, toy_folder, name
):
    model = tmp_path / name.strip() / "mini"
    model.parent.mkdir()
    shutil.copytree(toy_folder("bert"), model)
    run = write_run(tmp_path / "run", written / "data", model=str(model))
    (run / "report.html").write_text(f"<p>{html.escape(str(model))}</p>")
    pack(run, tmp_path / "run.zip")
    files = contents(tmp_path / "run.zip")
    assert files["study.yaml"].count(b"\nmodel: mini\n") == 1
    assert files["report.html"] == b"<p>mini</p>"
    folder = str(tmp_path).encode()
    found = {name for name, content in files.items() if folder in content.replace(b"\\", b"")}
    assert found == set()


def test_paths_of_addresses_and_of_errors_in_parquet_files_are_told(run, tmp_path):
    facts = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps(facts | {"storage": "file:///tmp/alice/runs"}))
    path = run / "glue-rte" / "trials.parquet"
    table = parquet.read_table(path)
    errors = ["no file /tmp/alice/x", *[None] * (table.num_rows - 1)]
    index = table.column_names.index("error")
    parquet.write_table(table.set_column(index, "error", pa.array(errors)), path)
    notes = pack(run, tmp_path / "run.zip").notes
    for name, told in (("provenance.json", "/tmp/alice/runs"),
                       ("glue-rte/trials.parquet", "/tmp/alice/x")):  # fmt: skip
        assert f"{name} still names paths of this machine: {told}" in notes


def test_predictions_of_no_trial_and_folders_of_weights_are_named(run, tmp_path):
    (run / "glue-rte/predictions/alien.parquet").write_bytes(b"")
    (run / "glue-rte/best/onnx").mkdir(parents=True)
    (run / "glue-rte/best/config.json").write_text("{}")
    notes = pack(run, tmp_path / "run.zip", weights=True).notes
    names = "glue-rte/best/onnx, glue-rte/predictions/alien.parquet"
    assert f"not known, so not packed: {names}" in notes
    assert "glue-rte/best/config.json" in contents(tmp_path / "run.zip")


def test_the_weights_of_the_winners_seeds_are_packed_with_its_own(run, tmp_path):
    for name in ("best", "seeds/0123456789abcdef"):
        folder = run / "glue-rte" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text(name)
    (run / "glue-rte/seeds/mine.txt").write_text("mine")
    notes = pack(run, tmp_path / "run.zip", weights=True).notes
    packed = contents(tmp_path / "run.zip")
    assert packed["glue-rte/seeds/0123456789abcdef/model.safetensors"] == b"seeds/0123456789abcdef"
    assert packed["glue-rte/best/model.safetensors"] == b"best"
    assert "not known, so not packed: glue-rte/seeds/mine.txt" in notes
    notes = pack(run, tmp_path / "bare.zip").notes
    assert not [name for name in contents(tmp_path / "bare.zip") if "seeds" in name]
    assert "glue-rte/seeds" in next(note for note in notes if note.startswith("left out"))


def test_a_model_card_keeps_its_seal_and_its_paths_are_told(written, tmp_path, toy_folder):
    model = toy_folder("bert")
    run = write_run(tmp_path / "run", written / "data", model=str(model))
    trial = next(iter(read_journal(run).of("glue/rte", "confirm")))
    (run / "glue-rte/best").mkdir()
    config = {"raysearch": {"trial": {"id": trial.id}}}
    (run / "glue-rte/best/config.json").write_text(json.dumps(config))
    results.write_exports(run)
    notes = pack(run, tmp_path / "run.zip").notes
    card = contents(tmp_path / "run.zip")["glue-rte/best/README.md"].decode()
    assert str(model) in card
    assert model_card.is_ours(card)
    told = f"glue-rte/best/README.md still names paths of this machine: {model}"
    assert told in notes
