"""Run folders on a remote file system; a local one stands in, reached by its URI."""

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from pyarrow import fs

from raysearch import storage
from raysearch.errors import InputError
from raysearch.run_folder import Journal
from raysearch.search.remote_sync import RemoteSync, is_remote, parse_uri


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteSync:
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    return RemoteSync((tmp_path / "bucket" / "run").as_uri())


def test_changed_files_are_copied_and_gone_ones_removed(remote: RemoteSync, tmp_path: Path) -> None:
    remote = tmp_path / "bucket" / "run"
    (remote.folder / "glue-rte").mkdir(parents=True)
    (remote.folder / "journal.jsonl").write_text("one\n")
    (remote.folder / "glue-rte" / "best.yaml").write_text("tasks: []\n")
    (remote.folder / "table.writing").write_text("half")
    remote.copy()
    assert (remote / "journal.jsonl").read_text() == "one\n"
    assert (remote / "glue-rte" / "best.yaml").exists()
    assert not (remote / "table.writing").exists()

    (remote.folder / "journal.jsonl").write_text("one\ntwo\n")
    (remote.folder / "glue-rte" / "best.yaml").unlink()
    remote.copy()
    assert (remote / "journal.jsonl").read_text() == "one\ntwo\n"
    assert not (remote / "glue-rte" / "best.yaml").exists()


def test_a_run_is_fetched_whole_on_a_new_machine(
    remote: RemoteSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (remote.folder / "glue-rte").mkdir(parents=True)
    (remote.folder / "journal.jsonl").write_text("one\n")
    (remote.folder / "glue-rte" / "best.yaml").write_text("tasks: []\n")
    with remote:
        pass
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "elsewhere"))
    again = RemoteSync(remote.uri)
    assert again.exists
    folder = again.fetch()
    assert (folder / "journal.jsonl").read_text() == "one\n"
    assert (folder / "glue-rte" / "best.yaml").read_text() == "tasks: []\n"


def test_what_cannot_be_reached_is_named() -> None:
    with pytest.raises(InputError, match="cannot reach 'nowhere://bucket/run'"):
        RemoteSync("nowhere://bucket/run")


def test_a_plain_path_is_not_remote() -> None:
    assert not is_remote("runs/rte")
    assert is_remote("s3://bucket/runs")


EVENT = '{"event":"session","at":1.0}\n'


def remote_of(tmp_path: Path, name: str = "run") -> Path:
    return tmp_path / "bucket" / name


def test_two_uris_never_share_a_local_folder(tmp_path: Path, remote: RemoteSync) -> None:
    bucket = (tmp_path / "bucket").as_uri()
    uris = [f"{bucket}/{name}" for name in ("runs-x/y", "runs/x-y", "runs/x/y", "a/run", "b/run")]
    folders = [RemoteSync(uri).folder for uri in (*uris, remote.uri)]
    assert len(set(folders)) == 6
    assert RemoteSync(uris[0]).folder == folders[0] == RemoteSync(uris[0] + "/").folder


def test_a_local_folder_that_is_recorded_as_another_uris_is_refused(remote: RemoteSync) -> None:
    with remote:
        pass
    record = remote.folder.with_name(f"{remote.folder.name}.uri")
    assert record.read_text() == remote.uri + "\n"
    record.write_text("file:///elsewhere\n")
    with pytest.raises(InputError, match="is of 'file:///elsewhere'"):
        RemoteSync(remote.uri)


def journals(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("journal.*")}


def test_the_longer_journal_wins_and_both_are_kept(remote: RemoteSync, tmp_path: Path) -> None:
    remote = remote_of(tmp_path)
    remote.folder.mkdir(parents=True)
    remote.mkdir(parents=True)
    (remote / "journal.jsonl").write_text(EVENT)
    (remote / "table.md").write_text("old")
    (remote.folder / "journal.jsonl").write_text(EVENT * 3)
    (remote.folder / "table.md").write_text("new")
    remote.fetch()
    assert journals(remote.folder) == {"journal.jsonl": EVENT * 3, "journal.remote-1.jsonl": EVENT}
    assert (remote.folder / "table.md").read_text() == "new"
    (remote / "journal.jsonl").write_text(EVENT * 4)
    remote.fetch()
    assert journals(remote.folder) == {
        "journal.jsonl": EVENT * 4,
        "journal.remote-1.jsonl": EVENT,
        "journal.local-1.jsonl": EVENT * 3,
    }
    assert (remote.folder / "table.md").read_text() == "old"


def test_journals_that_went_on_in_two_ways_are_both_left_alone(
    remote: RemoteSync, tmp_path: Path
) -> None:
    remote = remote_of(tmp_path)
    remote.folder.mkdir(parents=True)
    remote.mkdir(parents=True)
    (remote / "journal.jsonl").write_text(EVENT + "here\n")
    (remote.folder / "journal.jsonl").write_text(EVENT + "there\n")
    with pytest.raises(InputError, match="in different ways"):
        remote.fetch()
    assert journals(remote.folder) == {"journal.jsonl": EVENT + "there\n"}
    assert journals(remote) == {"journal.jsonl": EVENT + "here\n"}


def test_files_of_another_run_are_neither_fetched_nor_copied(
    remote: RemoteSync, tmp_path: Path
) -> None:
    remote = remote_of(tmp_path)
    for folder in (remote.folder, remote):
        folder.mkdir(parents=True)
        storage.mark(folder)
        (folder / "journal.jsonl").write_text(EVENT)
    for use in (remote.fetch, remote.__enter__):
        with pytest.raises(InputError, match="holds run"):
            use()


def test_a_folder_in_which_a_run_goes_on_is_not_fetched_over(
    remote: RemoteSync, tmp_path: Path
) -> None:
    remote.folder.mkdir(parents=True)
    running = Journal(remote.folder)
    with pytest.raises(InputError, match="another raysearch is running here"):
        remote.fetch()
    running.close()


def test_links_are_not_copied_and_a_folder_that_is_gone_removes_nothing(
    remote: RemoteSync, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("mine\n")
    remote.folder.mkdir(parents=True)
    (remote.folder / "journal.jsonl").write_text(EVENT)
    (remote.folder / "key").symlink_to(tmp_path / "secret" / "key")
    (remote.folder / "folder").symlink_to(tmp_path / "secret")
    remote.copy()
    remote = remote_of(tmp_path)
    assert [path.name for path in remote.iterdir()] == ["journal.jsonl"]
    remote.folder.rename(tmp_path / "moved")
    remote.copy()
    assert (remote / "journal.jsonl").read_text() == EVENT
    remote.withdraw()
    assert not (remote / "journal.jsonl").exists()


@pytest.mark.parametrize("name", ["../../out", "a/../../out", "/out", "a\x1bb", "a\\b"])
def test_names_of_a_listing_that_are_no_paths_are_refused(
    remote: RemoteSync, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    info = SimpleNamespace(path=f"{remote._root}/{name}", type=fs.FileType.File)
    system = SimpleNamespace(get_file_info=lambda _: [info])
    monkeypatch.setattr(remote, "_system", system)
    with pytest.raises(InputError, match="is no path of a run folder"):
        remote.fetch()
    assert not remote.folder.exists()


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "a#b", "%41", "x?y=1#z 100%"])
def test_every_character_of_a_path_stands_for_itself(
    remote: RemoteSync, tmp_path: Path, name: str
) -> None:
    encoded = RemoteSync((tmp_path / "bucket" / name).as_uri())
    assert encoded._root == str(tmp_path / "bucket" / name)
    if name != "%41":  # which is an encoded A as well
        plain = RemoteSync(f"file://{tmp_path}/bucket/{name}")
        assert plain._root == str(tmp_path / "bucket" / name)
    assert parse_uri(f"s3://bucket/{name}").isprintable()
    assert unquote(parse_uri(f"s3://bucket/{name}")) == f"s3://bucket/{name}"
    assert not is_remote(f"runs/{name}")
