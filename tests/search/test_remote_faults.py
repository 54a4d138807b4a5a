"""A store that refuses, goes away and comes back; a toy store of whole objects stands in."""

import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from raysearch.errors import InputError
from raysearch.search import remote_sync
from raysearch.search.new_run import RunLocation
from raysearch.search.remote_sync import RemoteSync

URI = "s3://bucket/runs/toy"


class Store(fs.FileSystemHandler):
    """Objects in memory that are complete once they are closed, as those of an object store.

    Attributes:
        objects: path -> content.
        calls: ("write" or "delete", path) of all changes, in order.
        failure: what every call raises; None while the store answers.
    """

    def __init__(self):
        self.objects, self.calls, self.failure = {}, [], None

    def _answer(self):
        if self.failure:
            raise OSError(self.failure)

    def _info(self, path):
        if path in self.objects:
            return fs.FileInfo(path, fs.FileType.File, size=len(self.objects[path]), mtime=1.0)
        return fs.FileInfo(path, fs.FileType.NotFound)

    def get_file_info(self, paths):
        self._answer()
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector):
        self._answer()
        return [self._info(p) for p in self.objects if p.startswith(f"{selector.base_dir}/")]

    def open_output_stream(self, path, metadata):
        self._answer()
        store = self

        class Upload:
            def __init__(self):
                self.content, self.closed = b"", False

            def write(self, data):
                store._answer()
                self.content += bytes(data)
                return len(data)

            def flush(self): ...

            def close(self):
                if not self.closed:
                    self.closed = True
                    store._answer()
                    store.objects[path] = self.content
                    store.calls.append(("write", path.removeprefix("bucket/runs/toy/")))

        return pa.PythonFile(Upload(), mode="w")

    def open_input_stream(self, path):
        self._answer()
        return pa.BufferReader(self.objects[path])

    def delete_file(self, path):
        self._answer()
        del self.objects[path]
        self.calls.append(("delete", path.removeprefix("bucket/runs/toy/")))

    def create_dir(self, path, recursive):
        self._answer()

    def get_type_name(self):
        return "toy"

    def normalize_path(self, path):
        return path

    def _refuse(self, *_):
        raise NotImplementedError

    copy_file = delete_dir = delete_dir_contents = delete_root_dir_contents = move = _refuse
    open_append_stream = open_input_file = _refuse


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    made = Store()
    system = fs.PyFileSystem(made)
    monkeypatch.setattr(remote_sync, "open_uri", lambda uri: (system, "bucket/runs/toy"))
    monkeypatch.setattr(remote_sync, "POLL", 0.02)
    monkeypatch.setattr(remote_sync, "PATIENCE", 0.1)
    return made


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def write(folder: Path, *lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))


def journal(store):
    return store.objects.get("bucket/runs/toy/journal.jsonl", b"").decode().split()


def test_a_store_that_takes_no_files_is_found_before_anything_is_written(store):
    location = RunLocation.of(URI)
    assert location.problems() == []
    assert store.objects == {}  # the probe is gone again
    store.failure = "Access Denied\nmore lines"
    (problem,) = location.problems()
    assert problem.location == "storage"
    assert problem.text == f"cannot write to '{URI}': Access Denied"
    with pytest.raises(InputError, match=f"cannot reach '{URI}': Access Denied"):
        RunLocation.of(URI)


def test_the_journal_is_followed_while_a_run_goes_on(store):
    sync = RemoteSync(URI)
    with sync:
        write(sync.folder, "one")
        wait_until(lambda: journal(store) == ["one"])
        write(sync.folder, "one", "two")
        wait_until(lambda: journal(store) == ["one", "two"])


def test_a_store_that_goes_and_comes_back_is_told_once_each_and_gets_everything(store):
    sync, notes = RemoteSync(URI), []
    sync.note = notes.append
    with sync:
        write(sync.folder, "one")
        wait_until(lambda: journal(store) == ["one"])
        store.failure = "no route to host"
        write(sync.folder, "one", "two")
        wait_until(lambda: notes)
        time.sleep(0.1)  # more looks at the store
        assert notes == [f"{URI} does not answer, it is tried again: no route to host"]
        write(sync.folder, "one", "two", "three")
        store.failure = None
        wait_until(lambda: journal(store) == ["one", "two", "three"])
    assert notes[1:] == [f"{URI} answers again"]


def test_a_store_that_stays_away_leaves_the_folder_named_and_a_resume_sends_it_on(store):
    sync = RemoteSync(URI)

    def run():
        with sync:
            store.failure = "no route to host"
            write(sync.folder, "one")

    with pytest.raises(InputError) as refused:
        run()
    (problem,) = refused.value.problems
    assert problem.text == (
        f"'{URI}' does not answer; everything is kept in {sync.folder}, and"
        f" `raysearch resume {URI}` on this machine sends it on"
    )
    store.failure = None
    again = RemoteSync(URI)
    assert again.fetch() == sync.folder
    with again:
        pass
    assert journal(store) == ["one"]


def test_a_reader_never_takes_half_a_folder_of_weights(store):
    sync = RemoteSync(URI)
    write(sync.folder, "one")
    best = sync.folder / "toy-grammar" / "best"
    best.mkdir(parents=True)
    (best / "config.json").write_text("{}")
    (best / "model.safetensors").write_text("first")
    (best / "tokenizer.json").write_text("{}")
    sync.copy()
    names = ["model.safetensors", "tokenizer.json", "config.json"]
    assert store.calls[1:] == [("write", f"toy-grammar/best/{name}") for name in names]
    store.calls.clear()
    (best / "model.safetensors").write_text("other weights")
    sync.copy()
    assert store.calls == [
        ("delete", "toy-grammar/best/config.json"),
        ("write", "toy-grammar/best/model.safetensors"),
        ("write", "toy-grammar/best/config.json"),
    ]
    store.calls.clear()
    for path in best.iterdir():
        path.unlink()
    sync.copy()
    assert store.calls[0] == ("delete", "toy-grammar/best/config.json")
    assert len(store.calls) == 3
