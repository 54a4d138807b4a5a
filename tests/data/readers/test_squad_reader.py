"""Reading SQuAD's format, article by article, and refusing damaged files with their place."""

import gzip
import json
import tracemalloc
from dataclasses import replace

import pytest
from support.paths import SHARED
from support.reading import reading

from raysearch.data import readers
from raysearch.errors import InputError
from raysearch.tasks import get

DATA = SHARED / "data"
CONTEXT = "Ada wrote the first program. Ada lived in London."
PROGRAM = ("the first program", 10)

# Questions of the files at hand, and those of them without an answer.
PUBLISHED = {
    ("squad/v1.1", "train"): (3939, 0),
    ("squad/v1.1", "dev"): (10570, 0),
    ("squad/v2.0", "train"): (4719, 348),
    ("squad/v2.0", "dev"): (6078, 3168),
}


def question(name="q1", text="What did Ada write?", answers=(PROGRAM,), **more):
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": text, "answers": found, **more}


def article(*questions, context=CONTEXT):
    return {"title": "Ada", "paragraphs": [{"context": context, "qas": list(questions)}]}


@pytest.fixture
def squad(tmp_path):
    """A function that writes a file of SQuAD from articles, JSON or bytes and gives its root."""

    def write(*articles, content=None, whole=None, file="train-v1.1.json"):
        (tmp_path / "squad").mkdir(exist_ok=True)
        whole = {"version": "1.1", "data": list(articles)} if whole is None else whole
        text = json.dumps(whole).encode() if content is None else content
        (tmp_path / "squad" / file).write_bytes(text)
        return tmp_path

    return write


read, problems = reading("squad/v1.1")


def problem(root, *arguments, **options):
    (found,) = problems(root, *arguments, **options)
    return found


# The published files


@pytest.mark.slow
@pytest.mark.parametrize(("name", "split"), PUBLISHED)
def test_published_files_are_read_whole_with_their_answers_in_place(name, split):
    if not (DATA / "squad").is_dir():
        pytest.skip("needs the published files in shared/data/squad")
    examples = read(DATA, name, split)
    none = sum(not example["answers"] for example in examples)
    assert (len(examples), none) == PUBLISHED[name, split]
    for example in examples:
        for text, start in example["answers"]:
            assert example["context"][start : start + len(text)] == text
    # The standard library's own parser, all at once.
    whole = json.loads((DATA / "squad" / f"{split}-{name[6:]}.json").read_text())
    ids = [q["id"] for a in whole["data"] for p in a["paragraphs"] for q in p["qas"]]
    assert [example["id"] for example in examples] == ids


# What files may look like


def test_an_example_holds_every_gold_answer_and_no_label(squad):
    dev = squad(article(question(answers=[PROGRAM, ("program", 20)])), file="dev-v1.1.json")
    assert read(dev, split="dev") == [
        {
            "id": "q1",
            "question": "What did Ada write?",
            "context": CONTEXT,
            "answers": (PROGRAM, ("program", 20)),
            "label": None,
        }
    ]


def test_version_two_has_questions_without_answers_and_no_plausible_ones(squad):
    plausible = {"plausible_answers": [{"text": "Ada", "answer_start": 0}]}
    root = squad(
        article(
            question(is_impossible=False),
            question("q2", answers=(), is_impossible=True, **plausible),
        ),
        file="train-v2.0.json",
    )
    assert [e["answers"] for e in read(root, "squad/v2.0")] == [(PROGRAM,), ()]


def test_members_may_stand_in_any_order_and_over_many_lines(squad):
    plain = read(squad(article(question()), article(question("q2"))))
    whole = {"data": [article(question()), article(question("q2"))], "more": [1.5], "version": 1}
    for indent in (None, 1):
        text = "\ufeff" + json.dumps(whole, indent=indent, ensure_ascii=False) + "\n\n"
        assert read(squad(content=text.encode())) == plain


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000])
def test_blocks_of_any_size_give_the_same(squad, monkeypatch, size):
    articles = [article(question(f"ä{n}", 'Ünï \\ "?\n' * n)) for n in range(9)]
    whole = {"version": 1.25, "data": articles, "pi": 3.14159}
    root = squad(content=json.dumps(whole, ensure_ascii=False, indent=2).encode())
    expected = read(root)
    assert len(expected) == 9
    monkeypatch.setattr("raysearch.data.readers.json_stream._BLOCK", size)
    assert read(root) == expected


def test_an_article_is_given_before_the_next_is_read(squad):
    root = squad(content=b'{"data": [' + json.dumps(article(question())).encode() + b", oops]}")
    examples = readers.read(get("squad/v1.1"), get("squad/v1.1").train, root)
    assert next(examples)["id"] == "q1"
    with pytest.raises(InputError):
        next(examples)


@pytest.mark.slow
def test_memory_is_that_of_an_article_and_not_of_the_file(squad):
    long = CONTEXT + " Much more text." * 4000
    root = squad(*[article(question(f"q{n}"), context=long) for n in range(300)])
    assert (root / "squad" / "train-v1.1.json").stat().st_size > 19e6
    task = get("squad/v1.1")
    tracemalloc.start()
    count = sum(1 for _ in readers.read(task, task.train, root))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300
    assert peak < 8e6


def test_a_split_that_is_not_labelled_needs_no_answers_and_reads_none(squad):
    task = get("squad/v1.1")
    dev = replace(task.dev[0], labelled=False)
    blank = {"id": "q2", "question": "Who?"}
    root = squad(article(question(), blank), file="dev-v1.1.json")
    assert [example["answers"] for example in readers.read(task, dev, root)] == [(), ()]
    assert problem(root, split="dev")[1] == "question q2: has no list 'answers'"


# Answers and where they stand


def test_a_training_answer_that_stands_elsewhere_is_taken_where_it_is_nearest(squad):
    told = []
    root = squad(article(question(answers=[("Ada", 31)])))
    (example,) = read(root, on_skipped=told.append)
    assert example["answers"] == (("Ada", 29),)
    assert told[0].repaired == 1
    assert told[0].skipped() == 0


@pytest.mark.parametrize("start", [-1, len(CONTEXT), 10**9])
def test_a_training_answer_outside_of_its_context_is_a_fault_that_may_be_left_out(squad, start):
    root, told = squad(article(question(answers=[("Ada", start)]), question("q2"))), []
    place, text = problem(root)
    assert place == "data[0].paragraphs[0].qas[0]"
    nearest = 0 if start < 0 else 29
    assert text == (
        f"question q1: answer_start {start} is outside of its context of {len(CONTEXT)} "
        f"characters; 'Ada' is at {nearest}"
    )
    assert [example["id"] for example in read(root, max_bad_rows=1, on_skipped=told.append)] == [
        "q2"
    ]
    assert (told[0].skipped(), told[0].repaired) == (1, 0)


def test_a_start_may_be_a_whole_number_with_a_point_but_no_text_and_not_missing(squad):
    assert read(squad(article(question(answers=[("Ada", 29.0)]))))[0]["answers"] == (("Ada", 29),)
    bare = {"id": "q2", "question": "Who?", "answers": [{"text": "Ada"}]}
    root = squad(article(question("q1", answers=[("Ada", "29")]), bare))
    said = "'answer_start' of 'Ada' is {}, should be a whole number"
    assert [text for _, text in problems(root)] == [
        f"question q1: {said.format('a text')}",
        f"question q2: {said.format('null')}",
    ]


def test_how_many_answers_were_moved_is_told_in_a_line(squad):
    told = []
    wrong = [question(f"q{n}", answers=[("Ada", 30)]) for n in range(3)]
    read(squad(article(*wrong, question("q9"))), on_skipped=told.append)
    assert told[0].summary() == "3 answers moved to their place in the context"


def test_white_space_in_a_training_answer_may_differ(squad):
    root = squad(article(question(answers=[("first\n program", 13)])))
    assert read(root)[0]["answers"] == (("first program", 14),)


def test_a_training_answer_that_is_not_in_its_context_is_named(squad):
    root = squad(article(question()), article(question("q2"), question("q3", answers=[("Bob", 0)])))
    place, text = problem(root)
    assert place == "data[1].paragraphs[0].qas[1]"
    assert text == "question q3: the answer 'Bob' is not in its context"


def test_only_the_text_of_a_dev_answer_counts(squad):
    root = squad(article(question(answers=[("Bob", 3)])), file="dev-v1.1.json")
    assert read(root, split="dev")[0]["answers"] == (("Bob", 3),)


def test_answers_that_are_blank_throughout_are_told_at_once(squad):
    blank = [question(f"q{n}", answers=[("", 0)]) for n in range(5)]
    place, text = problem(squad(article(*blank)))
    assert place == "file"
    assert text.startswith("every answer is blank")


# Faults


def test_an_id_that_stands_twice_is_named(squad):
    place, text = problem(squad(article(question()), article(question())))
    assert (place, text) == (
        "data[1].paragraphs[0].qas[0]",
        "question q1: the id occurs for the second time",
    )


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"id": "q"}, "question q: has no text 'question'"),
        ({"question": "Who?", "answers": []}, "has no text 'id'"),
        ({"id": "q", "question": "Who?"}, "question q: has no list 'answers'"),
        (question("q", answers=()), "question q: has no answer, where every question has one"),
        (question("q", is_impossible=True), "question q: is_impossible, and has answers"),
        (question("q", answers=[(7, 0)]), "question q: an answer has no 'text'"),
        (question("q", answers=[(" ", 0)]), "question q: an answer is blank"),
        ([], "is a list, should be an object"),
    ],
)
def test_a_question_that_lacks_something_is_named(squad, broken, said):
    place, text = problem(squad(article(question(), broken)))
    assert place == "data[0].paragraphs[0].qas[1]"
    assert text.startswith(said)


@pytest.mark.parametrize(
    ("broken", "place", "said"),
    [
        (3, "data[1]", "is 3, should be an object"),
        ({"title": "Ada"}, "data[1]", "'paragraphs' is missing; it should be a list"),
        ({"paragraphs": {}}, "data[1]", "'paragraphs' has an object; it should be a list"),
        ({"paragraphs": [[]]}, "data[1].paragraphs[0]", "is a list, should be an object"),
        (
            {"paragraphs": [{"qas": [question("q2")]}]},
            "data[1].paragraphs[0]",
            "'context' is missing; it should be a text",
        ),
    ],
)
def test_an_article_that_lacks_something_is_named(squad, broken, place, said):
    assert problem(squad(article(question()), broken)) == (place, said)


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"", "file", "is empty; it may not have been downloaded whole"),
        (b" \n\n", "file", "is empty"),
        (b"<html>", "line 1 character 1", "is a web page or XML"),
        (b"<!DOCTYPE html>", "file", "is a web page; download the file itself"),
        (b"[]", "line 1 character 1", "is a list where an object with a list 'data' should be"),
        (b"version: 1.1", "line 1 character 1", "is not JSON: begins with 'version: 1.1'"),
        (b"version https://git-lfs", "file", "is a pointer of Git LFS; `git lfs pull` fetches"),
        (b'{"version": "1.1"}', "file", "has no list 'data'"),
        (b"{}", "file", "has no list 'data'"),
        (b'{"data": {}}', "line 1 character 12", "'data' is an object where a list should be"),
        (b'{"data": []}', "file", "has no question"),
        (b'{"data": [],\n "version" 1}', "line 2 character 12", 'broken JSON after "version"'),
        (b'{"data": [{"a": 1}\n {"b": 2}]}', "line 2 character 2", "broken JSON: expected ',' or"),
        (b'{"data": [{"a": 1},\n\n {"b" 2}]}', "line 3 character 7", "broken JSON: Expecting ':'"),
        (b'{"data": []} more', "line 1 character 14", "more text after the end"),
        (b'{"data": [\n"caf\xe9"]}', "line 2", "byte 0xe9 at position 5 is not UTF-8"),
        ("{}".encode("utf-16"), "file", "is UTF-16; save it as UTF-8"),
        (gzip.compress(b"{}", mtime=0), "file", "is compressed with gzip; unpack it"),
        (b"PK\x03\x04 and so on", "file", "is a zip archive; unpack it"),
        (b'{"data": [' + b"[" * 100_000, "line 1 character 11", "is nested too deeply"),
    ],
)
def test_a_damaged_file_is_told_with_its_line(squad, content, place, said):
    found = problems(squad(content=content))[0]
    assert found[0] == place
    assert found[1].startswith(said)


@pytest.mark.slow
def test_a_file_that_was_cut_anywhere_is_told(squad):
    whole = json.dumps({"version": "1.1", "data": [article(question())]}, indent=1).encode()
    for size in range(1, len(whole)):
        if whole[:size].strip():
            _, text = problems(squad(content=whole[:size]))[0]
            assert text == "the file ends in the middle; it may not have been downloaded whole"


def test_broken_json_is_found_before_the_rest_of_the_file_is_read(squad, monkeypatch):
    monkeypatch.setattr("raysearch.data.readers.json_stream._BLOCK", 1000)
    text = b'{"data": [\n{"a": oops}, ' + b'"and so on", ' * 100_000
    tracemalloc.start()
    assert problem(squad(content=text)) == ("line 2 character 7", "broken JSON: Expecting value")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


PLAUSIBLE = {"plausible_answers": [{"text": PROGRAM, "answer_start": 0}]}


@pytest.mark.parametrize("file", ["train-v2.0.json", "dev-v2.0.json"])
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"is_impossible": True}, "is_impossible, and has answers"),
        ({"answers": (), "is_impossible": False}, "has no answer, and does not say that it is_imp"),
        ({"answers": ()}, "has no answer, and does not say that it is_impossible"),
        (
            {"is_impossible": False, **PLAUSIBLE},
            "has plausible_answers, which only questions with is_impo",
        ),
        (PLAUSIBLE, "has plausible_answers, which only questions with is_impossible have"),
        ({"is_impossible": "no"}, "'is_impossible' is a text, should be true or false"),
        ({"is_impossible": 0}, "'is_impossible' is 0, should be true or false"),
        ({"answers": (), "is_impossible": 1}, "'is_impossible' is 1, should be true or false"),
    ],
)
def test_a_question_that_contradicts_itself_is_named(squad, file, broken, said):
    good = [question(f"q{at}", is_impossible=False) for at in (2, 3)]
    root = squad(article(question(**broken), *good), file=file)
    split = file.partition("-")[0]
    place, text = problem(root, "squad/v2.0", split=split)
    assert place == "data[0].paragraphs[0].qas[0]"
    assert text.startswith(f"question q1: {said}")
    if split == "train":
        assert [e["id"] for e in read(root, "squad/v2.0", max_bad_rows=1)] == ["q2", "q3"]


def test_a_question_that_cannot_be_answered_may_have_plausible_answers_or_none(squad):
    two = [question(f"q{at}", answers=(), is_impossible=True, **more)
           for at, more in enumerate(({}, PLAUSIBLE, {"plausible_answers": []}))]  # fmt: skip
    root = squad(article(*two), file="train-v2.0.json")
    assert [e["answers"] for e in read(root, "squad/v2.0")] == [(), (), ()]


@pytest.mark.parametrize("context", ["", "  ", "\n\t\u00a0"])
def test_a_blank_context_is_nothing_to_learn_from_and_may_be_asked_about(squad, context):
    blank = question("q2", answers=(), is_impossible=True)
    paragraphs = [article(question(is_impossible=False)), article(blank, context=context)]
    root = squad(*paragraphs, file="train-v2.0.json")
    assert problem(root, "squad/v2.0")[1].startswith("question q2: its context is blank")
    assert [e["id"] for e in read(root, "squad/v2.0", max_bad_rows=1)] == ["q1"]
    root = squad(*paragraphs, file="dev-v2.0.json")
    assert [e["id"] for e in read(root, "squad/v2.0", "dev")] == ["q1", "q2"]


def test_files_of_the_other_version_are_recognized(squad):
    two = [question(is_impossible=False), question("q2", answers=(), is_impossible=True)]
    assert "SQuAD 2.0?" in problem(squad(article(*two)))[1]
    one = squad(article(question()), file="train-v2.0.json")
    assert "SQuAD 1.1?" in problem(one, "squad/v2.0")[1]


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "squad" / "train-v1.1.json").mkdir(parents=True)
    assert problem(tmp_path) == ("file", "cannot be read: Is a directory")


# Leaving out


def test_a_few_unusable_questions_are_left_out_where_that_is_allowed(squad):
    bad = [question(f"bad{n}", answers=[("Bob", 0)]) for n in range(3)]
    root, told = squad(article(question(), *bad)), []
    assert len(problems(root, max_bad_rows=2)) == 3
    assert [example["id"] for example in read(root, max_bad_rows=3, on_skipped=told.append)] == [
        "q1"
    ]
    (faults,) = told
    assert faults.skipped() == 3
    assert faults.problems[0].text == "question bad0: the answer 'Bob' is not in its context"


def test_a_broken_file_is_never_left_out(squad):
    root = squad(content=b'{"data": [' + json.dumps(article(question())).encode())
    assert "the file ends in the middle" in problem(root, max_bad_rows=1000)[1]


def test_nothing_is_told_where_nothing_was_left_out(squad):
    told = []
    read(squad(article(question())), on_skipped=told.append)
    assert told == []
