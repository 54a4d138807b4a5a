"""URIs with options, and local copies of what is at a URI."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from raysearch import study
from raysearch.errors import InputError, Problem
from raysearch.preflight.view_resources import resource_problems
from raysearch.run_folder import remote_files
from raysearch.run_folder.remote_files import check_storage, fetch_models, local_copy, open_uri
from raysearch.storage.uris import folder_of, join


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies go to a folder of the test."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))


def winner(tmp_path: Path, task: str) -> Path:
    """Make the empty folder of a winner's weights in the run folder `run`."""
    best = tmp_path / "run" / task / "best"
    best.mkdir(parents=True)
    return best


def test_options_of_a_uri_stay_behind_the_name_of_the_run() -> None:
    assert join("s3://b/runs/?region=x", "rte") == "s3://b/runs/rte?region=x"
    assert join("file:///what?", "rte") == "file:///what?/rte"
    assert join("runs", "rte") == "runs/rte"
    assert folder_of("s3://b/r?region=x", "runs") != folder_of("s3://b/r?region=y", "runs")
    with pytest.raises(InputError, match="unknown option 'secret_key'"):
        open_uri("s3://b/runs?secret_key=x")


def test_the_weights_of_further_seeds_come_only_for_an_ensemble(tmp_path: Path) -> None:
    best = winner(tmp_path, "glue-rte")
    seed = best.parent / "seeds" / "0123456789abcdef"
    seed.mkdir(parents=True)
    for folder in (best, seed):
        (folder / "model.safetensors").write_text("weights")
        (folder / "config.json").write_text("{}")
    uri = (tmp_path / "run").as_uri()
    copy = local_copy(uri, weights=True)
    assert (copy / "glue-rte/best/model.safetensors").exists()
    assert not (copy / "glue-rte/seeds").exists()
    assert local_copy(uri, weights=True, seeds=True) == copy
    assert {path.name for path in (copy / "glue-rte/seeds" / seed.name).iterdir()} == {
        "model.safetensors",
        "config.json",
    }
    alone = local_copy(seed.as_uri(), weights=True)  # one of them is a model's folder by itself
    assert (alone / "model.safetensors").exists()


def test_a_copy_has_no_weights_unless_asked_and_the_source_stays(
    tmp_path: Path,
) -> None:
    best = winner(tmp_path, "glue-rte")
    (best / "model.safetensors").write_text("weights")
    (tmp_path / "run" / "journal.jsonl").write_text("one\n")
    uri = (tmp_path / "run").as_uri()
    lines: list[str] = []
    copy = local_copy(uri, note=lines.append)
    assert lines == [f"{uri}: read from its local copy {copy}"]
    assert [p.name for p in copy.rglob("*") if p.is_file()] == ["journal.jsonl"]
    assert (local_copy(uri, weights=True) / "glue-rte/best/model.safetensors").exists()
    (copy / "glue-rte/best/model.safetensors").write_text("as fetched")
    local_copy(uri)
    local_copy(uri, weights=True)  # they have not changed, and are not fetched again
    assert (copy / "glue-rte/best/model.safetensors").read_text() == "as fetched"
    (best / "model.safetensors").unlink()
    local_copy(uri, weights=True)
    assert not (copy / "glue-rte/best/model.safetensors").exists()
    (tmp_path / "run" / "journal.jsonl").write_text("one\ntwo\n")
    assert (local_copy(uri) / "journal.jsonl").read_text() == "one\ntwo\n"
    (tmp_path / "run" / "table.md").write_text("a table\n")
    (tmp_path / "run" / "journal.jsonl").unlink()
    assert not (local_copy(uri) / "journal.jsonl").exists()
    with pytest.raises(InputError, match="nothing is there"):
        local_copy(f"{uri}-other")
    assert local_copy("runs/rte") == Path("runs/rte")


def test_a_study_names_its_model_by_a_uri_and_reads_it_from_the_local_copy(
    tmp_path: Path,
) -> None:
    best = winner(tmp_path, "glue-rte")
    (best / "config.json").write_text("{}")
    (best / "model.safetensors").write_text("weights")
    uri = (tmp_path / "run").as_uri()
    raw = {"tasks": ["glue/rte"], "model": uri, "space": {"LR": {"log": [1e-5, 1e-4]}}}
    searched = study.parse(raw)
    assert searched.models == (uri,)
    fetch_models(searched)
    assert searched.models == (str(folder_of(uri, "copies") / "glue-rte" / "best"),)
    assert searched.resolve("glue/rte").model_name == uri
    assert study.as_mapping(searched)["model"] == uri
    gone = study.parse({**raw, "model": f"{uri}-gone"})
    with pytest.raises(InputError, match="nothing is there"):
        fetch_models(gone)


def test_a_teacher_is_named_by_a_uri_and_read_from_the_local_copy(
    tmp_path: Path,
) -> None:
    best = winner(tmp_path, "xtreme-xnli")
    (best / "config.json").write_text("{}")
    uri = (tmp_path / "run").as_uri()
    raw = {"tasks": ["xtreme/xnli"], "model": "scratch", "recipe": "stabletune"}
    searched = study.parse({**raw, "fixed": {"teacher": uri}})
    assert searched.remote_models == (uri,)
    task = searched.resolve("xtreme/xnli")

    def problems() -> list[Problem]:
        return [p for p in resource_problems(task, None)[0] if p.location == "teacher"]

    assert problems() == []  # it is not here yet
    fetch_models(searched)
    (problem,) = problems()  # its files are looked at: there are no weights
    assert str(folder_of(uri, "copies") / "xtreme-xnli" / "best") in problem.text


@pytest.mark.parametrize("uri", ["gs://user:SECRET@bucket/run", "abfs://:SECRET@account/run"])
def test_a_password_in_a_uri_is_refused_and_not_printed(uri: str) -> None:
    with pytest.raises(InputError, match="a password stands in the URI") as refused:
        open_uri(uri)
    assert "SECRET" not in str(refused.value)


def test_a_file_uri_under_which_nothing_can_be_written_is_refused_and_no_folder_is_made(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=f"cannot write to .*: {tmp_path}/file: Not a directory"):
        check_storage((tmp_path / "file" / "runs").as_uri())
    check_storage((tmp_path / "new" / "runs").as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("uri", "asked"),
    [
        ("gs://b/r", "gs://b/r?retry_limit_seconds=20"),
        ("gs://b/r?scheme=http", "gs://b/r?scheme=http&retry_limit_seconds=20"),
        ("gs://b/r?retry_limit_seconds=5", "gs://b/r?retry_limit_seconds=5"),
    ],
)
def test_a_google_store_is_given_up_by_pyarrow_within_seconds(
    uri: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def from_uri(uri: str) -> tuple[None, str]:
        opened.append(uri)
        return None, ""

    toy = SimpleNamespace(FileSystem=SimpleNamespace(from_uri=from_uri))
    monkeypatch.setattr(remote_files, "fs", toy)
    open_uri(uri)
    assert opened == [asked]
