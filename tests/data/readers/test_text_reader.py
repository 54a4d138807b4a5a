"""Plain text: lines of a file or of a folder of files, and what is wrong with them."""

from pathlib import Path

import pytest

from raysearch import tasks
from raysearch.data import readers
from raysearch.errors import InputError

TEXT = tasks.get("text/lines")


def lines(root: Path, split: str = "train") -> list[tuple[str, str]]:
    found = readers.read(TEXT, TEXT.splits()[split], root)
    return [(example["id"], example["text"]) for example in found]


def test_every_line_that_is_not_blank_is_an_example(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.txt").write_text("One.\n\n  Two, längere Zeile. \r\n   \nThree")
    assert lines(tmp_path) == [("1", "One."), ("3", "Two, längere Zeile."), ("5", "Three")]


def test_a_folder_of_files_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, content in (("b.txt", "3\n"), ("a/x.txt", "1\n2\n"), ("a/notes.md", "no\n")):
        path = tmp_path / "text" / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert lines(tmp_path) == [("a/x.txt:1", "1"), ("a/x.txt:2", "2"), ("b.txt:1", "3")]


def test_a_line_that_is_no_text_is_named_and_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.txt").write_bytes(b"One\nTw\xffo\n")
    with pytest.raises(InputError, match=r"line 2 .*0xff"):
        lines(tmp_path)
    (tmp_path / "text" / "train.txt").write_text("\n \n")
    with pytest.raises(InputError, match="empty"):
        lines(tmp_path)
    with pytest.raises(InputError, match=r"no dev.txt"):
        lines(tmp_path, "dev")


def test_a_line_that_is_no_text_is_named_with_its_file_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "text" / "train"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x.txt").write_bytes(b"1\n")
    (folder / "b.txt").write_bytes(b"1\n\xff\n")
    with pytest.raises(InputError) as caught:
        lines(tmp_path)
    assert caught.value.source == str(folder)
    assert [problem.location for problem in caught.value.problems] == ["b.txt line 2"]
