"""What every reader does with a valid file and with damaged copies of it.

Each copy either gives the same examples, or is refused with the file and the place in it. Nothing
is lost in silence, and no other exception is raised.
"""

import re
from pathlib import Path

import pytest
from support.data_files import DATA_FILES, DataFile

from raysearch.data import readers
from raysearch.data.readers.registry import READERS, needs_root
from raysearch.data.readers.row_errors import RowErrors
from raysearch.errors import InputError
from raysearch.tasks import TASKS, Example

each_file = pytest.mark.parametrize("file", DATA_FILES.values(), ids=DATA_FILES)


def read(file: DataFile, root: Path, **options: object) -> list[Example]:
    """Return the examples of a file."""
    return list(readers.read(file.task, file.split, root, **options))


def refusal(file: DataFile, root: Path) -> InputError:
    """Return the error of a file that is refused; it names the file."""
    with pytest.raises(InputError) as caught:
        read(file, root)
    error = caught.value
    locations = [problem.location for problem in error.problems]
    # The source of RACE is the folder of a split, and its locations begin with the file.
    named = [str(Path(error.source) / location.split(" ")[0]) for location in locations]
    assert str(root / file.path) in (error.source, *named)
    return error


def contents(examples: list[Example]) -> list[Example]:
    """Return examples without their ids."""
    return [{key: value for key, value in row.items() if key != "id"} for row in examples]


def test_every_reader_has_a_file_in_this_suite() -> None:
    without_files = {task.reader for task in TASKS.values() if not needs_root(task)}
    assert without_files == {"generated"}
    assert {file.task.reader for file in DATA_FILES.values()} | without_files == set(READERS)


@each_file
def test_a_valid_file_gives_three_examples_with_all_fields(file: DataFile, tmp_path: Path) -> None:
    file.write(tmp_path)
    examples = read(file, tmp_path)
    assert len({row["id"] for row in examples}) == len(examples) == 3
    for row in examples:
        assert {"id", "label", *file.task.inputs} <= set(row)
        assert all(row[name] for name in file.task.inputs)
    assert any("Ü" in str(row) or "ö" in str(row) or "ä" in str(row) for row in examples)


HARMLESS = {
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "line ends of Windows": lambda text: text.replace(b"\n", b"\r\n"),
    "both": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    "no last line end": lambda text: text.rstrip(b"\n"),
    "no last line end, with those of Windows": lambda text: text.rstrip(b"\n").replace(
        b"\n", b"\r\n"
    ),
    "blank lines at the end": lambda text: text + b"\n\n\n",
    "blank lines of Windows at the end": lambda text: (
        text.replace(b"\n", b"\r\n") + b"\r\n\r\n\r\n"
    ),
}


@each_file
@pytest.mark.parametrize("change", HARMLESS)
def test_what_editors_do_to_a_file_changes_no_example(
    file: DataFile, change: str, tmp_path: Path
) -> None:
    file.write(tmp_path)
    clean = read(file, tmp_path)
    skipped: list[RowErrors] = []
    file.write(tmp_path, HARMLESS[change](file.content.encode()))
    assert read(file, tmp_path, on_skipped=skipped.append) == clean
    assert skipped == []


@each_file
@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\r\n\r\n", b" \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"],
    ids=["no byte", "a line end", "line ends of Windows", "a space", "a mark", "a mark and a line"],
)
def test_an_empty_file_is_refused(file: DataFile, content: bytes, tmp_path: Path) -> None:
    file.write(tmp_path, content)
    refusal(file, tmp_path)


@each_file
def test_a_file_without_a_byte_is_called_empty(file: DataFile, tmp_path: Path) -> None:
    file.write(tmp_path, b"")
    assert "is empty" in str(refusal(file, tmp_path))


@each_file
def test_a_broken_line_is_refused_with_its_place(file: DataFile, tmp_path: Path) -> None:
    file.write(tmp_path, file.broken)
    assert [problem.location for problem in refusal(file, tmp_path).problems] == [
        file.broken_location
    ]


@each_file
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_an_unusable_example_is_refused_or_left_out_and_counted(
    file: DataFile, line_end: str, tmp_path: Path
) -> None:
    file.write(tmp_path)
    clean = contents(read(file, tmp_path))
    file.write(tmp_path, file.unusable.replace("\n", line_end))
    locations = [problem.location for problem in refusal(file, tmp_path).problems]
    assert locations == [file.unusable_location]
    skipped: list[RowErrors] = []
    examples = read(file, tmp_path, max_bad_rows=1, on_skipped=skipped.append)
    del clean[file.unusable_index]
    assert contents(examples) == clean
    assert len({row["id"] for row in examples}) == len(examples)
    assert [errors.skipped() for errors in skipped] == [1]
    assert file.unusable_location in skipped[0].summary()


@each_file
def test_an_example_twice_is_refused_or_both_are_numbered(file: DataFile, tmp_path: Path) -> None:
    file.write(tmp_path)
    clean = read(file, tmp_path)
    file.write(tmp_path, file.repeated)
    if file.repeated_location is not None:
        locations = [problem.location for problem in refusal(file, tmp_path).problems]
        assert locations == [file.repeated_location]
        return
    examples = read(file, tmp_path)
    assert examples[:-1] == clean
    assert len({row["id"] for row in examples}) == len(clean) + 1


def test_a_training_file_may_repeat_ids_which_nothing_is_matched_by(tmp_path: Path) -> None:
    file = DATA_FILES["tsv with ids"]
    path = tmp_path / file.path
    file.write(tmp_path, file.repeated)
    path.rename(path.with_name("train.tsv"))
    assert len(list(readers.read(file.task, file.task.splits()["train"], tmp_path))) == 4


def with_byte(file: DataFile, byte: bytes) -> tuple[bytes, int]:
    """Return the content with a byte after the letter Ü, ö or ä, and the number of its line."""
    text = file.content
    index = next(index for index, letter in enumerate(text) if letter in "Üöä") + 1
    content = text[:index].encode() + byte + text[index:].encode()
    return content, text.count("\n", 0, index) + 1


@each_file
@pytest.mark.parametrize("byte", [b"\xff", b"\xc3", b"\0"], ids=["ff", "half a letter", "NUL"])
def test_a_byte_that_is_no_text_is_refused_with_its_line(
    file: DataFile, byte: bytes, tmp_path: Path
) -> None:
    content, number = with_byte(file, byte)
    file.write(tmp_path, content)
    locations = [problem.location for problem in refusal(file, tmp_path).problems]
    assert any(re.search(rf"\bline {number}\b", location) for location in locations), locations


@each_file
@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"], ids=lambda name: name
)
def test_another_encoding_is_refused(file: DataFile, encoding: str, tmp_path: Path) -> None:
    file.write(tmp_path, file.content.encode(encoding))
    refusal(file, tmp_path)


@pytest.mark.slow
@each_file
def test_a_file_that_is_cut_anywhere_is_refused_or_gives_its_first_examples(
    file: DataFile, tmp_path: Path
) -> None:
    file.write(tmp_path)
    clean, content = read(file, tmp_path), file.content.encode()
    for length in range(len(content)):
        file.write(tmp_path, content[:length])
        try:
            examples = read(file, tmp_path)
        except InputError:
            continue
        # The last example of a text without an end mark may be a part of the whole one.
        assert len(examples) <= len(clean)
        assert examples[:-1] == clean[: len(examples) - 1]


@each_file
def test_a_folder_or_nothing_in_the_place_of_the_file_is_refused(
    file: DataFile, tmp_path: Path
) -> None:
    path = file.write(tmp_path)
    path.unlink()
    with pytest.raises(InputError):
        read(file, tmp_path)
    path.mkdir()
    with pytest.raises(InputError):
        read(file, tmp_path)
