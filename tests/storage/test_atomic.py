"""Files that are written in one step: an error names the file that was meant."""

import errno
import os

import pytest

from raysearch.storage import write_atomically


def test_a_full_disk_leaves_the_old_file_and_the_error_names_it(tmp_path, monkeypatch):
    path = tmp_path / "table.md"
    write_atomically(path, "old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        write_atomically(path, "new")
    assert error.value.filename == str(path)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_cannot_be_written_is_named_with_the_file(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / ".table.md.x.writing"))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(OSError, match="Read-only file system") as error:
        write_atomically(tmp_path / "table.md", "new")
    assert error.value.filename == str(tmp_path / "table.md")
