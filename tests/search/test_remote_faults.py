"""A store that refuses, goes away and comes back; a toy store of whole objects stands in."""

import time
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from raysearch import storage
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


@contextmanager
def away_after_one_line(store):
    """A synchronised run folder and its notes; the store has a line of the journal, and is away."""
    sync, notes = RemoteSync(URI), []
    sync.note = notes.append
    with sync:
        write(sync.folder, "one")
        wait_until(lambda: journal(store) == ["one"])
        store.failure = "no route to host"
        yield sync, notes


def test_a_store_that_goes_and_comes_back_is_told_once_each_and_gets_everything(store):
    with away_after_one_line(store) as (sync, notes):
        write(sync.folder, "one", "two")
        wait_until(lambda: notes)
        time.sleep(0.1)  # more looks at the store
        assert notes == [f"{URI} does not answer, it is tried again: no route to host"]
        write(sync.folder, "one", "two", "three")
        store.failure = None
        wait_until(lambda: journal(store) == ["one", "two", "three"])
    assert notes[1:] == [f"{URI} answers again"]


def test_a_copy_that_has_nothing_to_send_does_not_say_that_the_store_is_back(store, monkeypatch):
    monkeypatch.setattr(remote_sync, "INTERVAL", 0.02)
    with away_after_one_line(store) as (sync, notes):
        (sync.folder / "summary.json").write_text("{}")
        assert not sync._try(sync._copy_small)
        assert sync._try(sync._copy_journal)  # it has not changed
        wait_until(lambda: sync.copy in sync._failing)
        store.failure = None
    assert notes == [
        f"{URI} does not answer, it is tried again: no route to host",
        f"{URI} answers again",
    ]


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


def weights_of(folder: Path, trial: str) -> Path:
    """Write the weights of a trial as a run does."""
    place = folder / "toy-grammar" / "weights" / trial
    place.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (place / name).write_text(f"{name} of {trial}")
    storage.mark(place)
    return place


def remote_weights(store) -> set[str]:
    """Return the files of weights in the store, as TRIAL/NAME."""
    return {"/".join(name.split("/")[-2:]) for name in store.objects if "/weights/" in name}


ALL = {".raysearch", "config.json", "model.safetensors"}


def test_weights_that_go_locally_go_in_the_store_in_an_order_that_tells_incomplete_ones(store):
    sync = RemoteSync(URI)
    write(sync.folder, "one")
    place = weights_of(sync.folder, "a1")
    sync.copy()
    parent = "toy-grammar/weights/a1"
    marker, model, config = (
        f"{parent}/{name}" for name in (".raysearch", "model.safetensors", "config.json")
    )
    assert store.calls[1:] == [("write", marker), ("write", model), ("write", config)]
    store.calls.clear()
    storage.remove_tree(place)
    sync.copy()
    assert store.calls == [("delete", config), ("delete", model), ("delete", marker)]


def test_what_is_half_written_or_half_removed_is_not_in_the_store(store):
    sync = RemoteSync(URI)
    write(sync.folder, "one")
    place = weights_of(sync.folder, "a1")
    sync.copy()
    place.rename(place.with_name(f".a1.{'0' * 32}.writing"))
    weights_of(sync.folder, "b2")
    sync.copy()
    assert remote_weights(store) == {f"b2/{name}" for name in ALL}
    (sync.folder / "toy-grammar" / "weights" / "b2" / "model.safetensors").unlink()
    store.calls.clear()
    sync.copy()  # a folder that loses files while it is listed
    assert store.calls[0] == ("delete", "toy-grammar/weights/b2/config.json")


def test_the_journal_that_says_why_weights_went_is_in_the_store_before_they_go(store, monkeypatch):
    sync = RemoteSync(URI)
    write(sync.folder, "one")
    place = weights_of(sync.folder, "a1")
    sync.copy()
    write(sync.folder, "one", "end of b2")
    storage.remove_tree(place)
    deleted = []
    monkeypatch.setattr(sync, "_delete", lambda names: deleted.append((set(names), journal(store))))
    sync.copy()
    (_, with_weights) = deleted
    assert with_weights == (
        {f"toy-grammar/weights/a1/{n}" for n in ALL},
        ["one", "end", "of", "b2"],
    )


def test_weights_that_a_killed_session_did_not_delete_in_the_store_go_with_the_next(store):
    killed = RemoteSync(URI)
    write(killed.folder, "one")
    weights_of(killed.folder, "a1")
    weights_of(killed.folder, "b2")
    killed.copy()
    del store.objects["bucket/runs/toy/toy-grammar/weights/b2/config.json"]  # half deleted
    for name in ("a1", "b2"):
        storage.remove_tree(killed.folder / "toy-grammar" / "weights" / name)
    again = RemoteSync(URI)
    again.fetch()
    weights = again.folder / "toy-grammar" / "weights"
    assert {path.name for path in (weights / "b2").iterdir()} == ALL - {"config.json"}
    store.calls.clear()
    again.copy()  # what was fetched is not sent again
    assert [call for call in store.calls if "weights" in call[1]] == []
    for name in ("a1", "b2"):
        storage.remove_tree(weights / name)
    again.copy()
    assert remote_weights(store) == set()
