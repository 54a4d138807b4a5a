"""Reading RACE's folders: one JSON object a passage, levels in order, every fault with its file."""

import json
import shutil

import pytest
from support.paths import SHARED
from support.reading import reading

from raysearch.data import readers
from raysearch.tasks import get

DATA = SHARED / "data"
# Questions of the passages at hand: train, dev and test of each level.
PUBLISHED = {"race/middle": (1223, 318, 236), "race/high": (1029, 284, 207)}


def passage(count=1, **members):
    return {
        "id": "high1.txt",
        "article": "One  fine\nday,\t\nit rained. ",
        "questions": [f"What about {n} _ ?" for n in range(count)],
        "options": [[f"{letter}{n}" for letter in "wxyz"] for n in range(count)],
        "answers": ["BCDA"[n % 4] for n in range(count)],
        **members,
    }


@pytest.fixture
def race(tmp_path):
    """A function that writes a file of RACE/train from an object or bytes and gives the root."""

    def write(whole=None, *, content=None, file="high/1.txt"):
        path = tmp_path / "race" / "train" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(json.dumps(whole).encode() if content is None else content)
        return tmp_path

    return write


read, problems = reading("race/high")


# The published files


def published():
    if not (DATA / "race").is_dir():
        pytest.skip("needs the published files in shared/data/race")
    return DATA


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_read_whole(name):
    root = published()
    counts = tuple(len(read(root, name, split)) for split in ("train", "dev", "test"))
    assert counts == PUBLISHED[name]


def test_both_levels_are_middle_and_then_high():
    root = published()
    for both, split in (("dev", "dev"), ("test", "test")):
        middle, high = read(root, "race/middle", split), read(root, "race/high", split)
        found = read(root, "race/all", both)
        assert [e["id"] for e in found] == [str(n) for n in range(len(middle) + len(high))]
        texts = [e["passage"] for e in found]
        assert texts == [e["passage"] for e in (*middle, *high)]
        names = ("middle", "high") if split == "dev" else ("test_middle", "test_high")
        assert read(root, "race/all", names[0]) == middle
        assert read(root, "race/all", names[1]) == high


def test_a_fingerprint_follows_the_files_of_a_folder(tmp_path):
    shutil.copytree(published() / "race" / "dev", tmp_path / "race" / "dev")
    task = get("race/all")
    whole, middle, high = (readers.fingerprint(task, split, tmp_path) for split in task.dev)
    assert len({whole, middle, high}) == 3
    file = min((tmp_path / "race" / "dev" / "high").iterdir())
    file.write_text(file.read_text() + "\n")
    again = [readers.fingerprint(task, split, tmp_path) for split in task.dev]
    assert [again[0] == whole, again[1] == middle, again[2] == high] == [False, True, False]


# What files may look like


def test_a_passage_is_on_one_line_and_questions_and_options_are_as_they_stand(race):
    whole = passage(questions=["Who's\n  _ ?"], options=[["a ", " b", "", "d\n"]], answers=["D"])
    assert read(race(whole)) == [
        {
            "id": "0",
            "part": "high",
            "passage": "One fine day, it rained.",
            "question": "Who's\n  _ ?",
            "options": ("a ", " b", "", "d\n"),
            "label": 3,
        }
    ]


def test_files_are_read_in_the_order_of_their_names_and_others_are_not(race):
    for name in ("2", "10", "1"):
        race(passage(2, article=name), file=f"high/{name}.txt")
    root = race(content=b"x", file="high/.DS_Store")
    assert [e["passage"] for e in read(root)] == ["1", "1", "10", "10", "2", "2"]
    assert [e["id"] for e in read(root)] == list("012345")


def test_labels_of_a_test_set_are_read_only_to_score(race, tmp_path):
    race(passage(2))
    (tmp_path / "race" / "train").rename(tmp_path / "race" / "test")
    task = get("race/high")
    assert [e["label"] for e in readers.read(task, task.test[0], tmp_path)] == [None, None]
    scored = task.test[0].labelled_copy()
    assert [e["label"] for e in readers.read(task, scored, tmp_path)] == [1, 2]


def test_a_test_set_without_answers_can_be_predicted(tmp_path):
    folder = tmp_path / "race" / "test" / "high"
    folder.mkdir(parents=True)
    whole = passage()
    del whole["answers"]
    (folder / "1.txt").write_text(json.dumps(whole))
    assert len(read(tmp_path, split="test")) == 1


def test_both_levels_are_needed_where_both_are_trained(race):
    root = race(passage())
    (problem, *_) = readers.locate(get("race/all"), root)
    assert problem.text.startswith("no train/middle with train/high in")
    assert readers.present_splits(get("race/high"), root) == ("train",)


# Faults


@pytest.mark.parametrize(
    ("changed", "place", "said"),
    [
        ({"options": None}, "high/1.txt", "'options' has null where a list should be"),
        ({"article": 3}, "high/1.txt", "'article' has 3 where a text should be"),
        ({"article": " \n"}, "high/1.txt", "'article' is empty"),
        (
            {"answers": ["A"]},
            "high/1.txt",
            "2 questions, 2 options, 1 answers; each question needs its own",
        ),
        ({"options": [list("abc"), list("abcd")]}, "question 1", "3 options where four should be"),
        ({"options": [list("abcd"), ["a"]]}, "question 2", "1 option where four should be"),
        ({"options": [list("abcd"), "abcd"]}, "question 2", "options are a text where four texts"),
        ({"options": [list("abcd"), ["a", "b", 3, "d"]]}, "question 2", "option C is 3 where"),
        ({"answers": ["A", "E"]}, "question 2", 'answer "E"; the answers are: A, B, C, D'),
        ({"answers": [0, "B"]}, "question 1", "answer 0; the answers are: A, B, C, D"),
        ({"questions": ["Who?", {}]}, "question 2", "an object where a question's text should be"),
    ],
)
def test_a_passage_that_lacks_something_is_named(race, changed, place, said):
    ((at, text),) = problems(race(passage(2, **changed)))
    assert at.startswith("high/1.txt")
    assert at.endswith(place)
    assert text.startswith(said)


def test_a_missing_member_is_named(race):
    whole = passage()
    del whole["options"], whole["article"]
    assert problems(race(whole)) == [
        ("high/1.txt", "'article' is missing where a text should be"),
        ("high/1.txt", "'options' is missing where a list should be"),
    ]


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"", "line 1", "is empty"),
        (b'{"article":\n "x" "y"}', "line 2", "broken JSON at character 6: Expecting ',' delim"),
        (b'{"article": "x', "line 1", "broken JSON at character 13: Unterminated string"),
        (b'{"article":\n "caf\xe9"}', "line 2", "byte 0xe9 at position 6 is not UTF-8"),
        (b"[]", "file", "a list where an object with a passage should be"),
    ],
)
def test_every_damaged_file_is_told_with_its_line(race, content, place, said):
    race(passage())
    race(content=content, file="high/3.txt")
    ((places, text),) = problems(race(content=content, file="high/2.txt"))
    assert text.startswith(said)
    assert places == f"high/2.txt {place}, high/3.txt {place}".replace(" file", "")


def test_a_level_without_files_is_told(race, tmp_path):
    race(passage())
    (tmp_path / "race" / "train" / "middle").mkdir()
    (problem,) = problems(tmp_path, "race/all")
    assert problem == ("middle", "no .txt file in it; it may not have been unpacked whole")


def test_a_folder_called_as_the_archive_unpacks_it_is_recognized(tmp_path):
    (tmp_path / "RACE").mkdir()
    (problem,) = readers.locate(get("race/high"), tmp_path)
    assert problem.text.endswith("there is 'RACE': rename it to 'race'")


# Leaving out


def test_unusable_questions_are_counted_one_by_one(race):
    race(passage(3, answers=["A", "x", "y"]))
    root = race(passage(5, answers=[]), file="high/2.txt")
    assert len(problems(root, max_bad_rows=6)) == 3
    told = []
    assert [e["label"] for e in read(root, max_bad_rows=7, on_skipped=told.append)] == [0]
    assert told[0].skipped() == 7
