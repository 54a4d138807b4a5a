"""Predictions in several languages: which split a file is of, and folders of files."""

import json

import pytest
from support.scored_files import DATA, said, write

from raysearch.predictions import split_names
from raysearch.predictions.scoring import score
from raysearch.tasks import TASKS, get


def questions(**answers):
    """A file of SQuAD's format: an article for each question, which is its answer."""
    articles = []
    for name, text in answers.items():
        qa = {"id": name, "question": "?", "answers": [{"text": text, "answer_start": 0}]}
        articles.append({"paragraphs": [{"context": text, "qas": [qa]}]})
    return {"data": articles}


@pytest.fixture
def data(tmp_path):
    """XNLI of as many rows in three languages, PAN-X of other sentences in two, XQuAD in three with
    the same ids, RTE's dev and test set. Test sets of XNLI have labels in English alone."""
    root = tmp_path / "data"
    for code in ("en", "de", "zh"):
        write(root / f"xtreme/xnli/dev-{code}.tsv", "a\tb\tneutral\nc\td\tentailment\n")
        labels = ("\tneutral", "\tneutral") if code == "en" else ("", "")
        write(root / f"xtreme/xnli/test-{code}.tsv", "a\tb{}\nc\td{}\n".format(*labels))
        write(root / f"xtreme/xquad/xquad.{code}.json", questions(q1="a cat", q2="two dogs"))
    write(root / "xtreme/panx/dev-en.tsv", "Ann\tB-PER\nis\tO\n\nHi\tO\n\n")
    write(root / "xtreme/panx/dev-de.tsv", "Ulm\tB-LOC\n\nist\tO\nda\tO\n\n")
    write(root / "squad/dev-v1.1.json", questions(q1="a cat", q8="a bird"))
    head = "index\tsentence1\tsentence2"
    write(root / "glue/RTE/dev.tsv", f"{head}\tlabel\n0\ta\tb\tentailment\n")
    write(root / "glue/RTE/test.tsv", f"{head}\n0\ta\tb\n1\tc\td\n")
    for level in ("middle", "high"):
        for part, count in (("dev", 1), ("test", 2)):
            whole = {"article": "x", "questions": ["q"] * count, "answers": ["A"] * count,
                     "options": [list("abcd")] * count}  # fmt: skip
            write(root / f"race/{part}/{level}/1.txt", whole)
    return root


# Splits by their names


def test_an_unknown_split_is_answered_with_the_nearest_and_the_languages_together(data, tmp_path):
    path = write(tmp_path / "p.tsv", "O\n")
    text = said("xtreme/panx", data, path, split="dev.de")
    assert text.splitlines()[1].strip() == (
        "--split  no split named 'dev.de'; did you mean 'de'? there are: train, "
        "train-af (and 38 other languages), en (and 39 other languages), "
        "test-en (and 39 other languages)"
    )
    assert "did you mean 'en'?" in said("xtreme/panx", data, path, split="dev")
    assert "did you mean 'test-de'?" in said("xtreme/panx", data, path, split="test_de")
    assert "there are: train, dev, test" in said("glue/rte", data, path, split="x")


@pytest.mark.parametrize("name", TASKS)
def test_no_list_of_splits_is_long(name):
    assert len(split_names.format_split_names(get(name).splits().values())) < 200


def test_of_several_languages_none_is_taken_silently(data, tmp_path):
    path = write(tmp_path / "mine.tsv", "neutral\nneutral\n")
    text = said("xtreme/xnli", data, path)
    assert "'mine.tsv' names no language; name one of those in the data: en, de, zh" in text
    assert score("xtreme/xnli", data, path, split="de").scores == {"accuracy": 0.5}
    for code in ("en", "zh"):
        (data / f"xtreme/xnli/dev-{code}.tsv").unlink()
    assert score("xtreme/xnli", data, path).split == "de"


@pytest.mark.parametrize(
    ("task", "name", "expected"),
    [
        ("xtreme/xnli", "test-de.tsv", ("test", "de")),
        ("xtreme/xnli", "dev-de.tsv", ("dev", "de")),
        ("xtreme/xnli", "dev_de.txt", ("dev", "de")),
        ("xtreme/xnli", "de.test.tsv", ("test", "de")),
        ("xtreme/xnli", "de.tsv", (None, "de")),
        ("xtreme/xnli", "de", (None, "de")),
        ("xtreme/xquad", "xquad.de.json", ("test", "de")),
        ("xtreme/xquad", "predictions_de_.json", (None, "de")),
        ("xtreme/mlqa", "predictions_de_dev.json", ("dev", "de")),
        ("xtreme/mlqa", "test-context-de-question-de.json", ("test", "de")),
        ("xtreme/panx", "test_my_predictions.txt", ("test", "my")),
        ("xtreme/panx", "my_predictions.tsv", None),
        ("xtreme/xnli", "is.tsv", None),
        ("xtreme/xnli", "preds.tsv", None),
        ("race/all", "dev.tsv", None),
    ],
)
def test_names_of_files_tell_languages(task, name, expected):
    assert split_names.parse_file_name(get(task), name) == expected


def test_the_name_of_a_file_is_its_split_where_none_is_given(data, tmp_path):
    labels = "neutral\nneutral\n"
    assert score("xtreme/xnli", data, write(tmp_path / "de.tsv", labels)).split == "de"
    test = write(tmp_path / "test-en.tsv", labels)
    assert score("xtreme/xnli", data, test).scores == {"accuracy": 1.0}
    answers = write(tmp_path / "de.json", {"q1": "cat", "q2": "x"})  # XQuAD has no German dev set
    assert score("xtreme/xquad", data, answers).split == "test-de"


# Splits that fit better


def test_predictions_of_another_language_are_recognized_by_their_words(data, tmp_path):
    path = write(tmp_path / "p.tsv", "B-LOC\n\nO\nO\n")
    text = said("xtreme/panx", data, path, split="en")
    assert text.splitlines()[1:] == [
        "  --split  the sentences of the predictions fit de and not en; name it"
    ]
    assert score("xtreme/panx", data, path, split="de").scores["entity_f1"] == 1.0


def test_predictions_of_another_split_are_recognized_by_their_ids(data, tmp_path):
    path = write(tmp_path / "p.json", {"q1": "cat", "q2": "x"})
    text = said("xtreme/xquad", data, path, split="en")
    assert (
        "the ids of the predictions fit test-en, test-de, test-zh and not en; name the one" in text
    )
    path = write(tmp_path / "preds.tsv", "".join(f"{at}\t0\n" for at in range(4)))
    text = said("race/all", data, path)
    assert "the numbers of the predictions fit test and not dev; name it" in text
    assert score("race/all", data, path, split="test").scores["accuracy"] == 1.0
    rows = "".join(f"{at}\tentailment\n" for at in range(2))
    path = write(tmp_path / "RTE.tsv", f"index\tprediction\n{rows}")
    text = said("glue/rte", data, path)
    assert "fit test and not dev; labels of that are not published" in text


def test_predictions_that_fit_no_split_are_told_what_they_lack(data, tmp_path):
    path = write(tmp_path / "p.json", {"q1": "cat"})
    text = said("xtreme/xquad", data, path, split="en")
    assert "1 of 2 questions have none: q8" in text
    assert "--split" not in text
    path = write(tmp_path / "p.tsv", "O\n\nO\nO\nO\n")
    assert "3 tags for 2 words: ist da" in said("xtreme/panx", data, path, split="de")


def test_what_is_of_the_split_but_wrong_is_not_sent_to_another(data, tmp_path):
    path = write(tmp_path / "p.tsv", "Neutral\nneutral\n")
    text = said("xtreme/xnli", data, path, split="de")
    assert "line 1  label 'Neutral'" in text
    assert "--split" not in text


# Folders


@pytest.fixture
def handed_in(tmp_path):
    """Predictions in XTREME's own layout."""
    folder = tmp_path / "handed in"
    answers = {"en": ("a cat", "two dogs"), "de": ("cat", "dogs"), "zh": ("x", "two dogs")}
    for code, (first, second) in answers.items():
        write(folder / f"xquad/test-{code}.json", {"q1": first, "q2": second})
        write(folder / f"xnli/test-{code}.tsv", "neutral\nentailment\n")
    write(folder / "preds.tsv", "".join(f"{at}\t0\n" for at in range(4)))
    return folder


def test_every_language_of_a_folder_is_scored_with_mean_and_gap(data, handed_in, command):
    arguments = ("xtreme/xquad", "--data", data, "--predictions", handed_in)
    code, out, err = command(*arguments)
    assert (code, err) == (0, "")
    # by hand: "dogs" for "two dogs" has F1 2/3; exact 100, 50, 50; F1 100, 83.33, 50
    assert [line.split() for line in out.splitlines()] == [
        ["xtreme/xquad", "test,", "3", "languages,", "6", "examples"],
        ["exact", "f1"],
        ["en", "100.00", "100.00"],
        ["de", "50.00", "83.33"],
        ["zh", "50.00", "50.00"],
        ["mean", "66.67", "77.78"],
        ["gap", "50.00", "33.33"],
        ["mean", "of", "exact", "and", "f1,", "as", "XTREME", "counts:", "72.22"],
        ["note:", "the", "mean", "is", "of", "3", "of", "the", "task's", "11", "languages"],
    ]
    code, out, _ = command(*arguments, "--json")
    found = json.loads(out)
    assert (code, found["split"], found["languages"]["zh"]) == (
        0, "test", {"exact": 50.0, "f1": 50.0}
    )  # fmt: skip
    assert found["scores"]["mean.exact_f1"] == pytest.approx((200 / 3 + 700 / 9) / 2)
    assert found["scores"]["gap.f1"] == pytest.approx(100 - 200 / 3)


def test_the_folder_of_the_task_itself_or_of_bare_names_will_do(data, handed_in, tmp_path):
    whole = score("xtreme/xquad", data, handed_in)
    assert score("xtreme/xquad", data, handed_in / "xquad") == whole
    for code in ("en", "de"):
        write(tmp_path / f"bare/{code}.tsv", "neutral\nneutral\n")
        write(tmp_path / f"dev/dev-{code}.tsv", "neutral\nneutral\n")
    write(tmp_path / "bare/log.txt", "...")
    found = score("xtreme/xnli", data, tmp_path / "bare")
    assert (found.split, list(found.languages)) == ("dev", ["en", "de"])
    assert found.scores == {"mean.accuracy": 0.5, "gap.accuracy": 0.0}
    assert found.notes[-1] == "no language in the names of: log.txt"
    assert score("xtreme/xnli", data, tmp_path / "dev").languages == found.languages
    text = said("xtreme/xnli", data, tmp_path / "dev", split="test")
    assert "holds no file of a test set; it holds: dev-de.tsv, dev-en.tsv" in text


def test_languages_without_labels_are_told_and_not_scored(data, handed_in):
    found = score("xtreme/xnli", data, handed_in)
    assert found.languages == {"en": {"accuracy": 0.5}}
    assert found.scores == {"mean.accuracy": 0.5}
    assert found.notes[0] == "the mean is of 1 of the task's 15 languages"
    assert found.notes[1].startswith("no labels for de, zh (line 1: has 2 columns; the label would")
    (data / "xtreme/xnli/test-en.tsv").unlink()
    text = said("xtreme/xnli", data, handed_in)
    assert "--data  no labels for en (no data of them)" in text
    assert "--data  no labels for de, zh" in text


def test_all_that_is_wrong_in_a_folder_is_told_at_once(data, handed_in):
    write(handed_in / "xquad/test-de.json", {"q1": 1, "q2": []})
    write(handed_in / "xquad/test-zh.json", "{")
    text = said("xtreme/xquad", data, handed_in)
    assert "test-de.json  q1: 1 where the answer's text should be" in text
    assert "test-de.json  q2: a list where the answer's text should be" in text
    assert "test-zh.json  line 1: " in text
    assert "test-en" not in text


def test_a_folder_that_tells_not_what_it_holds_is_refused(data, tmp_path):
    folder = tmp_path / "p"
    write(folder / "preds.tsv", "x")
    text = said("xtreme/xnli", data, folder)
    assert "no file name contains a language, as in xnli/test-en.tsv or test-en.tsv" in text
    assert "it holds: preds.tsv" in text
    write(folder / "dev-de.tsv", "x")
    write(folder / "test-de.tsv", "x")
    assert "--split  the folder holds files of dev and of test sets" in said(
        "xtreme/xnli", data, folder
    )
    assert "--split  'de'; for a folder of languages it is: dev or test" in said(
        "xtreme/xnli", data, folder, split="de"
    )
    write(folder / "de.tsv", "x")
    text = said("xtreme/xnli", data, folder, split="dev")
    assert "is of the same language as de.tsv; leave one of them there" in text
    write(tmp_path / "q/dev-de.json", {})
    assert "dev-de.json  the task has no dev set in 'de'" in said(
        "xtreme/xquad", data, tmp_path / "q"
    )
    gold = data / "xtreme/xnli/dev-de.tsv"
    assert "dev-de.tsv' is no folder" in said("xtreme/xnli", gold, folder, split="dev")
    assert "--null-odds  are for tasks with" in said("xtreme/xnli", data, folder, null_odds=gold)


def test_of_other_tasks_a_folder_holds_one_file(data, handed_in):
    found = score("race/all", data, handed_in)
    assert (found.split, found.examples, found.scores["accuracy"]) == ("test", 4, 1.0)
    write(handed_in / "v1.1/predictions.json", {"q1": "cat", "q8": "bird"})
    assert score("squad/v1.1", data, handed_in).scores["exact"] == 1.0
    text = said("glue/rte", data, handed_in)
    assert "--predictions  no glue-rte-dev.tsv in it; it holds: preds.tsv" in text


def test_gold_answers_are_right_in_every_language_of_the_published_files(tmp_path):
    folder = DATA / "xtreme" / "xquad"
    if not folder.is_dir():
        pytest.skip("needs the published files in shared/data/xtreme")
    for path in folder.iterdir():
        whole = json.loads(path.read_text(encoding="utf-8"))
        gold = {q["id"]: q["answers"][0]["text"] for article in whole["data"]
                for paragraph in article["paragraphs"] for q in paragraph["qas"]}  # fmt: skip
        write(tmp_path / f"test-{path.stem.removeprefix('xquad.')}.json", gold)
    found = score("xtreme/xquad", DATA, tmp_path)
    assert (len(found.languages), found.examples) == (3, 3570)
    assert found.scores["mean.exact_f1"] == 1.0
    assert found.scores["gap.f1"] == 0.0
