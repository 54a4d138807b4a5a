"""Run folders on a remote file system; a local one stands in, reached by its URI."""

from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from pyarrow import fs

from raysearch import storage
from raysearch.errors import InputError
from raysearch.run_folder import Journal
from raysearch.run_folder.remote_files import parse_uri
from raysearch.search.remote_sync import RemoteSync
from raysearch.storage.uris import is_remote


@pytest.fixture
def sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteSync:
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    return RemoteSync((tmp_path / "bucket" / "run").as_uri())


def test_changed_files_are_copied_and_gone_ones_removed(sync: RemoteSync, tmp_path: Path) -> None:
    remote = tmp_path / "bucket" / "run"
    (sync.folder / "glue-rte").mkdir(parents=True)
    (sync.folder / "journal.jsonl").write_text("one\n")
    (sync.folder / "glue-rte" / "best.yaml").write_text("tasks: []\n")
    (sync.folder / "table.writing").write_text("half")
    sync.copy()
    assert (remote / "journal.jsonl").read_text() == "one\n"
    assert (remote / "glue-rte" / "best.yaml").exists()
    assert not (remote / "table.writing").exists()

    (sync.folder / "journal.jsonl").write_text("one\ntwo\n")
    (sync.folder / "glue-rte" / "best.yaml").unlink()
    sync.copy()
    assert (remote / "journal.jsonl").read_text() == "one\ntwo\n"
    assert not (remote / "glue-rte" / "best.yaml").exists()


def test_a_run_is_fetched_whole_on_a_new_machine(
    sync: RemoteSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sync.folder / "glue-rte").mkdir(parents=True)
    (sync.folder / "journal.jsonl").write_text("one\n")
    (sync.folder / "glue-rte" / "best.yaml").write_text("tasks: []\n")
    with sync:
        pass
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "elsewhere"))
    again = RemoteSync(sync.uri)
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


def test_two_uris_never_share_a_local_folder(tmp_path: Path, sync: RemoteSync) -> None:
    bucket = (tmp_path / "bucket").as_uri()
    uris = [f"{bucket}/{name}" for name in ("runs-x/y", "runs/x-y", "runs/x/y", "a/run", "b/run")]
    folders = [RemoteSync(uri).folder for uri in (*uris, sync.uri)]
    assert len(set(folders)) == 6
    assert RemoteSync(uris[0]).folder == folders[0] == RemoteSync(uris[0] + "/").folder


def test_a_local_folder_that_is_recorded_as_another_uris_is_refused(sync: RemoteSync) -> None:
    with sync:
        pass
    record = sync.folder.with_name(f"{sync.folder.name}.uri")
    assert record.read_text() == sync.uri + "\n"
    record.write_text("file:///elsewhere\n")
    with pytest.raises(InputError, match="belongs to 'file:///elsewhere'"):
        RemoteSync(sync.uri)


def journals(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("journal.*")}


def test_the_longer_journal_wins_and_both_are_kept(sync: RemoteSync, tmp_path: Path) -> None:
    remote = remote_of(tmp_path)
    sync.folder.mkdir(parents=True)
    remote.mkdir(parents=True)
    (remote / "journal.jsonl").write_text(EVENT)
    (remote / "table.md").write_text("old")
    (sync.folder / "journal.jsonl").write_text(EVENT * 3)
    (sync.folder / "table.md").write_text("new")
    sync.fetch()
    assert journals(sync.folder) == {"journal.jsonl": EVENT * 3, "journal.remote-1.jsonl": EVENT}
    assert (sync.folder / "table.md").read_text() == "new"
    (remote / "journal.jsonl").write_text(EVENT * 4)
    sync.fetch()
    assert journals(sync.folder) == {
        "journal.jsonl": EVENT * 4,
        "journal.remote-1.jsonl": EVENT,
        "journal.local-1.jsonl": EVENT * 3,
    }
    assert (sync.folder / "table.md").read_text() == "old"


def test_journals_that_went_on_in_two_ways_are_both_left_alone(
    sync: RemoteSync, tmp_path: Path
) -> None:
    remote = remote_of(tmp_path)
    sync.folder.mkdir(parents=True)
    remote.mkdir(parents=True)
    (remote / "journal.jsonl").write_text(EVENT + "here\n")
    (sync.folder / "journal.jsonl").write_text(EVENT + "there\n")
    with pytest.raises(InputError, match="continue differently"):
        sync.fetch()
    assert journals(sync.folder) == {"journal.jsonl": EVENT + "there\n"}
    assert journals(remote) == {"journal.jsonl": EVENT + "here\n"}


def test_files_of_another_run_are_neither_fetched_nor_copied(
    sync: RemoteSync, tmp_path: Path
) -> None:
    remote = remote_of(tmp_path)
    for folder in (sync.folder, remote):
        folder.mkdir(parents=True)
        storage.mark(folder)
        (folder / "journal.jsonl").write_text(EVENT)
    for use in (sync.fetch, sync.__enter__):
        with pytest.raises(InputError, match="holds run"):
            use()


def test_a_folder_in_which_a_run_goes_on_is_not_fetched_over(
    sync: RemoteSync, tmp_path: Path
) -> None:
    sync.folder.mkdir(parents=True)
    running = Journal(sync.folder)
    with pytest.raises(InputError, match="another raysearch is running here"):
        sync.fetch()
    running.close()


def test_links_are_not_copied_and_a_folder_that_is_gone_removes_nothing(
    sync: RemoteSync, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("mine\n")
    sync.folder.mkdir(parents=True)
    (sync.folder / "journal.jsonl").write_text(EVENT)
    (sync.folder / "key").symlink_to(tmp_path / "secret" / "key")
    (sync.folder / "folder").symlink_to(tmp_path / "secret")
    sync.copy()
    remote = remote_of(tmp_path)
    assert [path.name for path in remote.iterdir()] == ["journal.jsonl"]
    sync.folder.rename(tmp_path / "moved")
    sync.copy()
    assert (remote / "journal.jsonl").read_text() == EVENT
    sync.withdraw()
    assert not (remote / "journal.jsonl").exists()


@pytest.mark.parametrize("name", ["../../out", "a/../../out", "/out", "a\x1bb", "a\\b"])
def test_names_of_a_listing_that_are_no_paths_are_refused(
    sync: RemoteSync, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    info = SimpleNamespace(path=f"{sync._root}/{name}", type=fs.FileType.File)
    system = SimpleNamespace(get_file_info=lambda _: [info])
    monkeypatch.setattr(sync, "_system", system)
    with pytest.raises(InputError, match="is not a path of a run folder"):
        sync.fetch()
    assert not sync.folder.exists()


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "a#b", "%41", "x?y=1#z 100%"])
def test_every_character_of_a_path_stands_for_itself(
    sync: RemoteSync, tmp_path: Path, name: str
) -> None:
    encoded = RemoteSync((tmp_path / "bucket" / name).as_uri())
    assert encoded._root == str(tmp_path / "bucket" / name)
    if name != "%41":  # which is an encoded A as well
        plain = RemoteSync(f"file://{tmp_path}/bucket/{name}")
        assert plain._root == str(tmp_path / "bucket" / name)
    path, _, options = f"gs://bucket/{name}".partition("?")  # `?` is of a path in a file's URI only
    parsed, _, parsed_options = parse_uri(f"gs://bucket/{name}").partition("?")
    assert parsed.isprintable()
    assert (unquote(parsed), parsed_options) == (path, options)
    assert not is_remote(f"runs/{name}")
