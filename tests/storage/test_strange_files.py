"""Files that are not what they should be, of any reader: pipes, devices, endless lines, numbers
and nesting that a parser chokes on, halves of surrogate pairs. All give a message with file and
place."""

import json
import os
import time
from pathlib import Path

import pytest

from raysearch.data import readers
from raysearch.data.augmentation import dictionaries
from raysearch.errors import InputError
from raysearch.predictions import json_files, text_files
from raysearch.tasks import get

DEEP = "[" * 100_000
DIGITS = "9" * 5000
HALF = '"a \\ud800 b"'


def refusal(read, *given, **options):
    """Place and text of the first problem, and the source."""
    with pytest.raises(InputError) as caught:
        list(read(*given, **options))
    first = caught.value.problems[0]
    return first.location, first.text, caught.value.source


def of_task(name, root, split="train", **options):
    task = get(name)
    return readers.read(task, task.splits()[split], root, **options)


def squad_text(**changes):
    question = {"id": "q1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}
    paragraph = {"context": "Ann sang.", "qas": [question | changes.pop("question", {})]}
    return json.dumps({"data": [{"paragraphs": [paragraph | changes]}]})


def placed(root, name, content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


SQUAD, RACE, RTE = "squad/train-v1.1.json", "race/train/middle/1.txt", "RTE/train.tsv"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('{"data": [' + DIGITS + "]}", "holds a number of 5,000 digits"),
        (squad_text().replace('"answer_start": 0', f'"answer_start": {DIGITS}'), "5,000 digits"),
        (squad_text(context="Ann \ud800 sang."), "'context' holds \\ud800, half a surrogate pair"),
        (squad_text(question={"question": "\udc00?"}), "question q1: holds \\udc00, half a"),
        (squad_text(question={"id": "\udc00"}), "holds \\udc00, half a"),
        (
            squad_text(question={"answers": [{"text": "\ud83d", "answer_start": 0}]}),
            "an answer holds \\ud83d",
        ),
        (squad_text(question={"answers": [[[[[]]]]]}), "an answer has no 'text'"),
    ],
)
def test_json_that_a_parser_chokes_on_is_told_by_the_reader_of_squad(tmp_path, content, cause):
    place, text, source = refusal(of_task, "squad/v1.1", placed(tmp_path, SQUAD, content))
    assert place.startswith(("line 1", "data[0]"))
    assert cause in text
    assert source == str(tmp_path / SQUAD)


def test_the_start_of_an_answer_that_is_not_used_may_be_anywhere(tmp_path):
    far = squad_text(question={"answers": [{"text": "Ann", "answer_start": 10**30}]})
    (example,) = of_task("squad/v1.1", placed(tmp_path, "squad/dev-v1.1.json", far), "dev")
    assert example["answers"] == (("Ann", 0),)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (DEEP, "nested too deeply"),
        ('{"article": ' + DIGITS + "}", "holds a number of 5,000 digits"),
        ('{"article": "x", "questions": [' + HALF + '], "options": [["a","b","c","d"]], '
         '"answers": ["A"]}', "holds \\ud800, half a surrogate pair"),
        ('{"article": ' + HALF + ', "questions": ["x"], "options": [["a","b","c","d"]], '
         '"answers": ["A"]}', "'article' holds \\ud800"),
        (b" " * (2**24 + 1), "larger than 16 MiB, too large for a passage"),
    ],
)  # fmt: skip
def test_json_that_a_parser_chokes_on_is_told_by_the_reader_of_race(tmp_path, content, cause):
    place, text, _ = refusal(of_task, "race/middle", placed(tmp_path, RACE, content))
    assert "1.txt" in place
    assert cause in text


HEADER = "index\tsentence1\tsentence2\tlabel\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["long", "blank"])
def test_a_line_that_does_not_end_is_told_with_its_number_and_not_read_whole(tmp_path, name):
    more = b"x" if name == "long" else b"\n"
    placed(tmp_path, RTE, HEADER.encode() + b"0\ta\tb\tentailment\n")
    with (tmp_path / RTE).open("ab") as stream:
        for _ in range(30):
            stream.write(more * 2**20)
        stream.write(b"end")
    began = time.monotonic()
    place, text, _ = refusal(of_task, "glue/rte", tmp_path)
    assert place == ("line 3" if name == "long" else "line 2")
    assert text == "the line, or the blank lines after it, are longer than 16 MiB"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", [RTE, SQUAD, RACE, "xtreme/panx/train-en.tsv", "text/train.txt"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, name, kind):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    task = {RTE: "glue/rte", SQUAD: "squad/v1.1", RACE: "race/middle"}.get(name)
    task = task or ("xtreme/panx" if "panx" in name else "text/lines")
    _, text, _ = refusal(of_task, task, tmp_path)
    assert text == f"cannot be read: it is a {kind}, and only regular files are read"


def test_a_link_to_a_regular_file_is_data(tmp_path):
    placed(tmp_path, "elsewhere.tsv", HEADER + "0\ta\tb\tentailment\n")
    (tmp_path / "RTE").mkdir()
    (tmp_path / RTE).symlink_to(tmp_path / "elsewhere.tsv")
    assert len(list(of_task("glue/rte", tmp_path))) == 1


def test_a_split_of_which_every_row_is_left_out_is_refused(tmp_path):
    placed(tmp_path, RTE, HEADER + "0\ta\tb\tneither\n")
    place, text, _ = refusal(of_task, "glue/rte", tmp_path, max_bad_rows=5)
    assert (place, text) == ("train", "no usable example: all were left out")
    placed(tmp_path, "text/train.txt", "\n\n")
    assert refusal(of_task, "text/lines", tmp_path, max_bad_rows=5)[1].startswith("is empty")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('{"a": ' + DIGITS + "}", "holds a number of 5,000 digits"),
        (DEEP, "nested too deeply"),
        ('{"a": "x", "a": "y"}', "the id occurs for the second time"),
        ('{"a": 3}', "3 where the answer's text should be"),
        ('{"a": "' + "x" * 2_000_000 + '"}', "a text of 2,000,000 characters where an answer"),
        ('{"\\ud800": 3}', "3 where the answer's text should be"),
    ],
)
def test_predictions_that_are_none_are_told(tmp_path, content, cause):
    placed(tmp_path, "p.json", content)
    assert cause in refusal(json_files.read_answers, tmp_path / "p.json")[1]


@pytest.mark.parametrize("value", ["NaN", '"0.5"', "true", "null", "[1]", DIGITS])
def test_odds_that_are_no_number_are_told(tmp_path, value):
    placed(tmp_path, "odds.json", f'{{"a": {value}}}')
    with pytest.raises(InputError):
        json_files.read_null_scores(tmp_path / "odds.json")


@pytest.mark.parametrize(
    "read", [json_files.read_answers, text_files.read_text, dictionaries.table]
)
def test_no_pipe_is_waited_for_where_predictions_or_words_are_read(tmp_path, read):
    os.mkfifo(tmp_path / "p")
    assert "it is a pipe" in refusal(read, tmp_path / "p")[1]
    assert "Is a directory" in refusal(read, tmp_path)[1]


def test_a_dictionary_that_repeats_one_word_is_read_in_linear_time(tmp_path):
    path = tmp_path / "en-de.txt"
    path.write_text("a b\n" * 300_000)  # the square of it would take minutes
    began = time.monotonic()
    assert dictionaries.table(path) == {"a": ("b",) * 300_000}
    assert time.monotonic() - began < 20


def test_a_name_that_no_file_system_takes_is_a_file_that_is_not_there():
    from raysearch.storage import open_input

    for name in ("a\0b", "\ud800"):
        with pytest.raises(FileNotFoundError):
            open_input(Path(name))
