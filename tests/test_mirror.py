"""Run folders on a remote file system; a local one stands in, reached by its URI."""

from pathlib import Path

import pytest

from raysearch.errors import InputError
from raysearch.search.mirror import Mirror, is_remote


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    return Mirror((tmp_path / "bucket" / "run").as_uri())


def test_changed_files_are_copied_and_gone_ones_removed(mirror: Mirror, tmp_path: Path) -> None:
    remote = tmp_path / "bucket" / "run"
    (mirror.folder / "glue-rte").mkdir(parents=True)
    (mirror.folder / "journal.jsonl").write_text("one\n")
    (mirror.folder / "glue-rte" / "best.yaml").write_text("tasks: []\n")
    (mirror.folder / "table.writing").write_text("half")
    mirror.copy()
    assert (remote / "journal.jsonl").read_text() == "one\n"
    assert (remote / "glue-rte" / "best.yaml").exists()
    assert not (remote / "table.writing").exists()

    (mirror.folder / "journal.jsonl").write_text("one\ntwo\n")
    (mirror.folder / "glue-rte" / "best.yaml").unlink()
    mirror.copy()
    assert (remote / "journal.jsonl").read_text() == "one\ntwo\n"
    assert not (remote / "glue-rte" / "best.yaml").exists()


def test_a_run_is_fetched_whole_on_a_new_machine(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror.folder / "glue-rte").mkdir(parents=True)
    (mirror.folder / "journal.jsonl").write_text("one\n")
    (mirror.folder / "glue-rte" / "best.yaml").write_text("tasks: []\n")
    with mirror:
        pass
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "elsewhere"))
    again = Mirror(mirror.uri)
    assert again.exists
    folder = again.fetch()
    assert (folder / "journal.jsonl").read_text() == "one\n"
    assert (folder / "glue-rte" / "best.yaml").read_text() == "tasks: []\n"


def test_what_cannot_be_reached_is_named() -> None:
    with pytest.raises(InputError, match="cannot reach 'nowhere://bucket/run'"):
        Mirror("nowhere://bucket/run")


def test_a_plain_path_is_not_remote() -> None:
    assert not is_remote("runs/rte")
    assert is_remote("s3://bucket/runs")
