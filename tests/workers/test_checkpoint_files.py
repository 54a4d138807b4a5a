"""Checkpoints in a run folder, and those sent to a server. No Ray is started."""

import io
from types import SimpleNamespace

import pytest
import torch

from raysearch import storage
from raysearch.run_folder import checkpoint_folder
from raysearch.run_folder.checkpoint_folder import CheckpointFolder
from raysearch.storage.atomic import unfinished_name
from raysearch.workers import checkpoint_files
from raysearch.workers.checkpoint_files import CheckpointServer, RemoteCheckpoints, read_checkpoint


class Handle:
    """Stands for Ray's handle of a server: it keeps the sizes of what is sent and returned."""

    def __init__(self, server):
        self.server, self.sizes, self.calls = server, [], []

    def __getattr__(self, name):
        return SimpleNamespace(remote=lambda *values: self.call(name, *values))

    def call(self, name, *values):
        self.calls.append(name)
        result = getattr(self.server, name)(*values)
        if name == "append":
            self.sizes.append(len(values[-1]))
        if name == "read" and result:
            self.sizes.append(len(result[1]))
        return result


@pytest.fixture
def handle(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_files.ray, "get", lambda value: value)
    folder = tmp_path / "run"
    folder.mkdir()
    return Handle(CheckpointServer(str(folder)))


@pytest.fixture(params=["folder", "server"])
def files(request, handle, tmp_path):
    if request.param == "folder":
        return CheckpointFolder(tmp_path / "run")
    return RemoteCheckpoints(handle)


def write(files, trial, content):
    with files.writing(trial) as file:
        file.write(content)


def read(files, trial):
    with files.reading(trial) as file:
        return None if file is None else file.read()


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())


def test_a_checkpoint_is_read_as_it_was_written_and_the_next_one_replaces_it(files, tmp_path):
    assert read(files, "a") is None
    for content in (b"first", b"second"):
        write(files, "a", content)
        assert (read(files, "a"), read(files, "b")) == (content, None)
    assert names(tmp_path) == ["a.pt"]


def test_what_is_half_written_is_never_read_and_the_one_before_stays(files, tmp_path):
    write(files, "a", b"first")

    def fail():
        with files.writing("a") as file:
            file.write(b"x" * (2 * checkpoint_folder.CHUNK))
            assert read(files, "a") == b"first"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read(files, "a") == b"first"
    write(files, "a", b"second")
    assert names(tmp_path) == ["a.pt"]


def test_what_a_killed_worker_has_left_is_removed_with_the_next_one_and_at_the_end(tmp_path):
    files = CheckpointFolder(tmp_path)
    write(files, "a", b"first")
    others = set()
    for number in (1, 2):
        half, other = (unfinished_name(tmp_path / "checkpoints" / f"{t}.pt") for t in "ab")
        half.write_bytes(b"half")
        other.write_bytes(b"half")
        others.add(other)
        write(files, "a", b"second") if number == 1 else files.remove("a")
    assert set((tmp_path / "checkpoints").iterdir()) == others


def test_a_model_is_sent_and_fetched_in_chunks(handle, monkeypatch):
    for module in (checkpoint_files, checkpoint_folder):
        monkeypatch.setattr(module, "CHUNK", 1000)
    content = {"weights": torch.arange(3000.0), "step": 7}
    with RemoteCheckpoints(handle).writing("a") as file:
        torch.save(content, file)
    restored = read_checkpoint(RemoteCheckpoints(handle), "a")
    assert torch.equal(restored["weights"], content["weights"])
    assert restored["step"] == 7
    assert max(handle.sizes) == 1000
    assert sum(handle.sizes) > 24_000  # sent once and fetched once


def test_a_disk_that_would_be_full_keeps_the_checkpoint_before_and_the_reserve(files, tmp_path):
    write(files, "a", b"first")
    checkpoint_folder.RESERVE, reserve = 1 << 60, checkpoint_folder.RESERVE
    try:
        with pytest.raises(OSError, match="would stay free"):
            write(files, "a", b"second")
    finally:
        checkpoint_folder.RESERVE = reserve
    assert read(files, "a") == b"first"
    assert names(tmp_path) == ["a.pt"]


def test_a_run_folder_that_is_gone_is_not_made_again(files, tmp_path):
    (tmp_path / "run").rmdir()
    with pytest.raises((OSError, checkpoint_files.InputError)) as raised:
        write(files, "a", b"first")
    assert "is gone" in checkpoint_files.reason(raised.value)
    assert not (tmp_path / "run").exists()


def test_of_two_workers_that_send_a_trials_checkpoint_the_later_one_counts(handle):
    old, new = RemoteCheckpoints(handle), RemoteCheckpoints(handle)

    def send_both():
        with old.writing("a") as file:
            file.write(b"old")
            file.flush()
            write(new, "a", b"new")

    with pytest.raises(OSError, match="another worker"):
        send_both()
    assert read(new, "a") == b"new"


def test_a_checkpoint_that_is_replaced_while_it_is_fetched_is_not_mixed(handle, monkeypatch):
    for module in (checkpoint_files, checkpoint_folder):
        monkeypatch.setattr(module, "CHUNK", 4)
    files = RemoteCheckpoints(handle)
    write(files, "a", b"12345678")
    version, first = handle.server.read("a", 0)
    write(files, "a", b"abcdefghij")
    assert first == b"1234"
    with pytest.raises(OSError, match="replaced"):
        handle.server.read("a", 4, version)


def test_a_worker_uses_the_folder_where_it_sees_the_run_and_the_server_elsewhere(tmp_path):
    run = storage.mark(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    storage.mark(other)
    seen = checkpoint_files.checkpoint_files(tmp_path, run, server := object())
    assert isinstance(seen, CheckpointFolder)
    for folder in (other, tmp_path / "missing"):
        files = checkpoint_files.checkpoint_files(folder, run, server)
        assert isinstance(files, RemoteCheckpoints)
        assert isinstance(checkpoint_files.checkpoint_files(folder, run, None), CheckpointFolder)


def test_a_damaged_checkpoint_is_told_from_none(files):
    assert read_checkpoint(files, "a") is None
    whole = io.BytesIO()
    torch.save({"weights": torch.arange(3000.0)}, whole)
    for content in (b"torn", whole.getvalue()[:-100], whole.getvalue()[:5000]):
        write(files, "a", content)
        with pytest.raises(OSError, match="damaged"):
            read_checkpoint(files, "a")
    write(files, "a", whole.getvalue())
    assert read_checkpoint(files, "a").keys() == {"weights"}
