"""Scores of prediction files in the formats of the benchmarks, and what is said of bad ones."""

import gzip
import json
import subprocess
import sys

import pytest
from support.scored_files import DATA, said, write

from raysearch.predictions.scoring import score

PUBLISHED = DATA / "squad" / "predictions" / "bert-ensemble-v1.1.json"


RTE = (("entailment", "entailment"), ("not_entailment", "entailment"),
       ("not_entailment", "not_entailment"), ("entailment", "entailment"))  # fmt: skip


@pytest.fixture
def rte(tmp_path):
    """A data folder with four dev rows, ids 10 to 13."""
    rows = [f"{at}\tIt rains.\tIt is wet.\t{gold}\n" for at, (gold, _) in enumerate(RTE, 10)]
    write(tmp_path / "RTE" / "dev.tsv", "index\tsentence1\tsentence2\tlabel\n" + "".join(rows))
    return tmp_path


def submission(*rows):
    return "index\tprediction\n" + "".join(f"{at}\t{label}\n" for at, label in rows)


def squad_json(folder, *, second=True):
    """Two questions with an answer and, in version 2.0, two without."""
    qas = [
        {"id": "q1", "question": "who", "answers": [{"text": "the cat", "answer_start": 0}]},
        {"id": "q2", "question": "who", "answers": [{"text": "a dog", "answer_start": 9}]},
    ]
    if second:
        qas += [{"id": f"q{at}", "question": "why", "answers": []} for at in (3, 4)]
        qas = [{**qa, "is_impossible": not qa["answers"]} for qa in qas]
    whole = {"data": [{"title": "x", "paragraphs": [{"context": "the cat, a dog", "qas": qas}]}]}
    return write(folder / "squad" / f"dev-v{'2.0' if second else '1.1'}.json", whole)


@pytest.fixture
def race(tmp_path):
    """Three questions of middle and one of high school; answers B, A, D and C."""
    middle = {"article": "x", "questions": ["q"] * 3, "options": [list("abcd")] * 3,
              "answers": ["B", "A", "D"]}  # fmt: skip
    high = {"article": "y", "questions": ["q"], "options": [list("abcd")], "answers": ["C"]}
    write(tmp_path / "race" / "dev" / "middle" / "1.txt", middle)
    write(tmp_path / "race" / "dev" / "high" / "1.txt", high)
    return tmp_path


@pytest.fixture
def xtreme(tmp_path):
    """PAN-X in German, XNLI in English and MLQA in German, a few rows each."""
    folder = tmp_path / "xtreme"
    write(folder / "panx" / "dev-de.tsv", "Anna\tB-PER\nlacht\tO\n\nUlm\tB-LOC\n.\tO\nJa\tO\n\n")
    write(folder / "xnli" / "dev-en.tsv", "a\tb\tneutral\nc\td\tentailment\n")
    qas = [{"id": "m", "question": "wo", "answers": [{"text": "das Haus", "answer_start": 0}]}]
    whole = {"data": [{"paragraphs": [{"context": "das Haus steht", "qas": qas}]}]}
    write(folder / "mlqa" / "dev-context-de-question-de.json", whole)
    return tmp_path


def test_a_glue_submission_is_scored_in_any_order_of_its_rows(rte, command):
    rows = [(at, said) for at, (_, said) in enumerate(RTE, 10)]
    path = write(rte / "RTE.tsv", submission(*reversed(rows)))
    code, out, err = command("glue/rte", "--data", rte, "--predictions", path)
    assert (code, err) == (0, "")
    assert out == "glue/rte dev, 4 examples\naccuracy   75.00\n"
    code, out, _ = command(
        "glue/rte", "--data", rte / "RTE" / "dev.tsv", "--predictions", path, "--json"
    )
    assert (code, json.loads(out)) == (
        0,
        {"task": "glue/rte", "split": "dev", "examples": 4, "scores": {"accuracy": 75.0},
         "thresholds": {}, "notes": []},
    )  # fmt: skip


def test_numbers_are_scored_as_they_are(tmp_path):
    rows = "".join(f"{at}\ta\tb\t{at}.0\n" for at in range(4))
    write(tmp_path / "STS-B" / "dev.tsv", "index\tsentence1\tsentence2\tscore\n" + rows)
    path = write(tmp_path / "p", submission((0, 0.5), (1, 1.5), (2, 2.5), (3, 7)))
    found = score("glue/stsb", tmp_path, path).scores
    assert found["spearman"] == 1.0
    assert found["pearson_spearman"] == pytest.approx((found["pearson"] + 1) / 2)


BAD_GLUE = {
    "header": (
        "id\tlabel\n10\tmaybe\n",
        ["line 1", r"'id\tlabel' where the header should be: index, a tab, prediction",
         "line 2", "label 'maybe'", "3 of 4 examples have none"],
    ),
    "no header": (
        "10\tentailment\n11\tmaybe\n",
        ["line 1", "where the header should be", "line 2", "label 'maybe'", "none: 12, 13"],
    ),
    "one column": ("entailment\n" * 4, ["1 problem", "line 1", "where the header should be"]),
    "commas": ("index,prediction\n10,entailment\n", ["1 problem", "'index,prediction' where"]),
    "the same label": (
        submission(*((at, "x") for at in range(10, 14))),
        ["4 problems", "line 2, 3, 4 and 1 more  label 'x'; the labels are"],
    ),
    "old line ends": ("index\tprediction\r10\tentailment\r", ["line 1", "a carriage return"]),
    "gzip": (gzip.compress(b"index"), ["file", "is compressed with gzip; unpack it"]),
    "zip": (b"PK\x03\x04\0\0", ["file", "is a zip archive; unpack it"]),
    "all of the rows": (
        submission((10, "entailment"), (10, "maybe"), (99, "entailment"), (12, "a\tb")),
        [
            "5 problems",
            "line 3", "id 10 occurs for the second time",
            "label 'maybe'; the labels are: entailment, not_entailment",
            "line 5", "3 columns where id and prediction should be",
            "3 of 4 examples have none: 11, 12, 13",
            "1 of 2 are of no example in the data: 99",
        ],
    ),
    "empty": ("", ["is empty"]),
    "utf-16": ("index".encode("utf-16"), ["is UTF-16; save it as UTF-8"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_GLUE)
def test_bad_submissions_are_refused_with_all_that_is_wrong(case, rte, command):
    text, expected = BAD_GLUE[case]
    path = rte / "p.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, out, err = command("glue/rte", "--data", rte, "--predictions", path)
    assert (code, out) == (2, "")
    assert str(path) in err
    assert not [part for part in expected if part not in err], err
    assert "Traceback" not in err


def test_a_number_that_is_none_is_refused(tmp_path):
    row = "0\ta\tb\t1.0\n"
    write(tmp_path / "STS-B" / "dev.tsv", "index\tsentence1\tsentence2\tscore\n" + row)
    path = write(tmp_path / "p", submission((0, "nan")))
    assert "'nan' is no finite number" in said("glue/stsb", tmp_path, path)


def test_squad_1_counts_every_question(tmp_path, command):
    gold = squad_json(tmp_path, second=False)
    path = write(tmp_path / "p.json", {"q1": "Cat!", "q2": "a cat"})
    for data in (tmp_path, gold):
        code, out, err = command("squad/v1.1", "--data", data, "--predictions", path)
        assert (code, err) == (0, "")
        assert out == "squad/v1.1 dev, 2 examples\nexact   50.00\nf1      50.00\n"


def test_squad_2_has_parts_and_with_odds_a_best_threshold(tmp_path, command):
    squad_json(tmp_path)
    path = write(tmp_path / "p.json", {"q1": "cat", "q2": "dog", "q3": "cat", "q4": "dog"})
    odds = write(tmp_path / "odds.json", {"q1": -4, "q2": 1.5, "q3": -1, "q4": 2})
    arguments = ("squad/v2.0", "--data", tmp_path, "--predictions", path)
    code, out, _ = command(*arguments)
    assert code == 0
    assert "best" not in out
    assert "note: every question is answered" in out
    code, out, _ = command(*arguments, "--null-odds", odds, "--threshold", "0")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["exact", "50.00"], ["f1", "50.00"],
        ["has_answer_exact", "50.00"], ["has_answer_f1", "50.00"],
        ["no_answer_exact", "50.00"], ["no_answer_f1", "50.00"],
        ["best_exact", "75.00"], ["best_f1", "75.00"],
        ["best_exact_threshold", "-4"], ["best_f1_threshold", "-4"],
    ]  # fmt: skip


def test_a_threshold_below_all_odds_has_no_number_in_json(tmp_path, command):
    squad_json(tmp_path)
    path = write(tmp_path / "p.json", dict.fromkeys(("q1", "q2", "q3", "q4"), "fish"))
    odds = write(tmp_path / "odds.json", dict.fromkeys(("q1", "q2", "q3", "q4"), 1))
    arguments = ("--data", tmp_path, "--predictions", path, "--null-odds", odds, "--json")
    code, out, _ = command("squad/v2.0", *arguments)
    assert code == 0
    assert json.loads(out)["thresholds"] == {
        "best_exact_threshold": None, "best_f1_threshold": None
    }  # fmt: skip
    assert json.loads(out)["scores"]["best_f1"] == 50.0


def test_what_the_official_script_makes_of_equal_odds_is_noted(tmp_path):
    squad_json(tmp_path)
    path = write(tmp_path / "p.json", {"q1": "cat", "q2": "fish", "q3": "cat", "q4": "dog"})
    odds = write(tmp_path / "odds.json", {"q1": 0, "q2": 0, "q3": 0, "q4": 0})
    found = score("squad/v2.0", tmp_path, path, null_odds=odds)
    assert found.scores["best_f1"] == 0.5
    assert len(found.notes) == 2
    assert "the official script, which splits such ties, prints best_f1 75.00" in found.notes[1]


def test_equal_odds_are_parted_in_the_order_of_their_file(tmp_path):
    """evaluate-v2.0.py sorts the odds, whose ties stay in the file's order: right answers before
    questions without one make 4 of 4, behind them 2 of 4."""
    squad_json(tmp_path)
    path = write(tmp_path / "p.json", {"q1": "cat", "q2": "dog", "q3": "cat", "q4": "dog"})
    for order, printed in (
        (("q1", "q2", "q3", "q4"), "100.00"),
        (("q1", "q3", "q4", "q2"), "75.00"),
    ):
        odds = write(tmp_path / "odds.json", dict.fromkeys(order, 0))
        notes = score("squad/v2.0", tmp_path, path, null_odds=odds).notes
        assert [note.split()[-1] for note in notes] == [printed, printed]
    odds = write(tmp_path / "odds.json", dict.fromkeys(("q3", "q4", "q1", "q2"), 0))
    assert score("squad/v2.0", tmp_path, path, null_odds=odds).notes == ()
    official = score("squad/v2.0", tmp_path, path, null_odds=odds, as_official=True)
    assert (official.scores["best_f1"], official.thresholds["best_f1_threshold"]) == (0.5, 0.0)


def test_other_ids_are_refused_with_the_option_that_scores_them_as_the_official_script(
    tmp_path, command
):
    squad_json(tmp_path, second=False)
    path = write(tmp_path / "p.json", {"q1": "cat", "alien": "x"})
    arguments = ("squad/v1.1", "--data", tmp_path, "--predictions", path)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert "add --as-official" in err
    code, out, err = command(*arguments, "--as-official")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[1:3]] == [["exact", "50.00"], ["f1", "50.00"]]
    assert "note: 1 of 2 predictions are of no question in the data and are ignored: alien" in out
    assert "note: 1 of 2 questions have no prediction and count as 0: q2" in out
    squad_json(tmp_path)
    path = write(tmp_path / "p.json", {"q1": "cat", "q3": "x", "q4": ""})
    code, out, err = command(
        "squad/v2.0", "--data", tmp_path, "--predictions", path, "--as-official"
    )
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [
        ["exact", "66.67"],
        ["f1", "66.67"],
    ]
    assert "has_answer" not in out
    assert "if they counted as wrong, the scores would be exact 50.00, f1 50.00: q2" in out


def test_only_answers_are_scored_as_an_official_script_does(rte, command):
    path = write(rte / "p", submission((10, "entailment")))
    code, _, err = command("glue/rte", "--data", rte, "--predictions", path, "--as-official")
    assert code == 2
    assert "--as-official  is for answers in JSON" in err


BAD_JSON = {
    "broken": ('{"q1": "cat",\n"q2" "dog"}', ["line 2", "broken JSON at character 6"]),
    "a list": ('["cat"]', ["a list where an object should be"]),
    "cut": ('{"q1": "cat",\n"q2": "do', ["line 2", "the file ends in the middle"]),
    "several": ('{"q1": "cat"}\n{"q2": "dog"}', ["line 2", "one object should hold all ids"]),
    "gold": ('{"version": "1.1", "data": []}', ["1 problem", "holds questions in SQuAD's format"]),
    "gzip": (gzip.compress(b"{}"), ["file", "is compressed with gzip"]),
    "all alike": ('{"q1": null, "q2": null}', ["2 problems", "q1, q2  null where the answer's"]),
    "empty": ("  \n", ["is empty"]),
    "deep": ("[" * 200_000, ["cannot be read"]),
    "not utf-8": (b'{"q1":\n"\xff"}', ["line 2", "byte 0xff at position 2 is not UTF-8"]),
    "kinds": ('{"q1": ["cat"], "q2": 3}', ["q1", "a list where the answer's text", "q2", "3 wh"]),
    "twice": ('{"q1": "cat", "q1": "x", "q2": ""}', ["q1", "occurs for the second time"]),
    "other questions": ('{"q1": "cat", "z": ""}', ["1 of 2 questions have none: q2", "data: z"]),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_answers_are_refused_with_all_that_is_wrong(case, tmp_path, command):
    text, expected = BAD_JSON[case]
    squad_json(tmp_path, second=False)
    path = tmp_path / "p.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, out, err = command("squad/v1.1", "--data", tmp_path, "--predictions", path)
    assert (code, out) == (2, "")
    assert not [part for part in (str(path), *expected) if part not in err], err


def test_bad_odds_are_refused_beside_the_predictions(tmp_path):
    squad_json(tmp_path)
    path = write(tmp_path / "p.json", '{"q1": 1}')
    odds = write(tmp_path / "odds.json", '{"q1": NaN, "q2": "x", "q3": true}')
    text = said("squad/v2.0", tmp_path, path, null_odds=odds)
    assert "4 problems" in text
    assert "p.json     q1: 1 where the answer's text should be" in text
    assert "odds.json  q1: NaN where a number should be" in text
    assert "odds.json  q3: true where a number should be" in text
    write(path, {"q1": "", "q2": "", "q3": "", "q4": ""})
    write(odds, {"q1": 0, "x": 1})
    text = said("squad/v2.0", tmp_path, path, null_odds=odds)
    assert "3 of 4 questions have none: q2, q3, q4" in text
    assert "1 of 2 are of no question in the data: x" in text


def test_options_are_checked_with_the_files(rte, command):
    code, _, err = command(
        "glue/rte", "--data", rte, "--predictions", rte / "none.tsv", "--split", "test",
        "--null-odds", rte / "none.json", "--threshold", "nan",
    )  # fmt: skip
    assert code == 2
    assert "5 problems" in err
    assert "--null-odds  are for tasks with questions that have no answer" in err
    assert "--threshold  is no number" in err
    assert "--split      the labels of 'test' are not published; labelled are: dev, train" in err
    assert "none.tsv     file: cannot be read: No such file or directory" in err
    assert "none.json    file: cannot be read" in err
    assert "needs --null-odds" in said("squad/v2.0", rte, rte / "x", threshold=0.5)


def test_names_that_are_none_are_answered_with_the_nearest(rte, command):
    path = write(rte / "p", submission((10, "entailment")))
    _, _, err = command("glue/rta", "--data", rte, "--predictions", path)
    assert "no task named 'glue/rta'; did you mean 'glue/rte'?" in err
    assert "no split named 'def'; did you mean 'dev'?" in said("glue/rte", rte, path, split="def")
    assert "there is no such file or folder" in said("glue/rte", rte / "none", path)
    assert "no labels of this task are published" in said("glue/ax", rte, path)


def test_gold_that_is_not_there_or_whose_ids_are_not_unique_is_said(rte):
    path = write(rte / "p", submission((10, "entailment")))
    assert "no train.tsv" in said("glue/rte", rte, path, split="train")
    head = "index\tsentence1\tsentence2\tlabel\n"
    write(rte / "RTE" / "dev.tsv", head + "1\ta\tb\tentailment\n" * 2)
    assert "1 occur more than once, so predictions cannot be matched to rows: 1" in said(
        "glue/rte", rte, path
    )


def test_the_parts_of_a_split_are_read_once(race, monkeypatch):
    from raysearch.data.readers import race as reader

    seen = []
    load = reader._load
    monkeypatch.setattr(reader, "_load", lambda *args: seen.append(args[1]) or load(*args))
    path = write(race / "preds.tsv", "3\t2\n1\t0\n0\t1\n2\t0\n")
    assert len(score("race/all", race, path).scores) == 3
    assert seen == ["middle/1.txt", "high/1.txt"]


def test_race_is_scored_as_a_whole_and_by_level(race):
    path = write(race / "preds.tsv", "3\t2\n1\t0\n0\t1\n2\t0\n")
    found = score("race/all", race, path)
    assert found.scores == {
        "accuracy": 0.75, "middle.accuracy": pytest.approx(2 / 3), "high.accuracy": 1.0
    }  # fmt: skip
    levels = write(race / "middle.tsv", "0\t1\t1\n1\t3\t0\n2\t3\t3\n")
    assert score("race/middle", race, levels).scores == {"accuracy": pytest.approx(2 / 3)}
    assert score("race/all", race, levels, split="middle").examples == 3


def test_bad_choices_are_refused_with_all_that_is_wrong(race):
    path = write(race / "preds.tsv", "0\tB\n1\t4\n1\t0\n7\t0\n2\n")
    text = said("race/middle", race, path)
    assert "line 1       choice 'B'; the choices are: 0, 1, 2, 3" in text
    assert "line 2       choice '4'" in text
    assert "line 3       id 1 occurs for the second time" in text
    assert "line 5       1 column where id, prediction and perhaps label should be" in text
    assert "1 of 3 examples have none: 2" in text
    assert "1 of 3 are of no example in the data: 7" in text


def test_rows_of_another_order_are_told_by_their_labels(race):
    path = write(race / "preds.tsv", "0\t1\t1\n1\t0\t3\n2\t3\t0\n")
    text = said("race/middle", race, path)
    assert "the label of 2 rows is not the data's, first in line 2" in text


def test_a_file_cannot_stand_for_folders_of_files(race):
    path = write(race / "preds.tsv", "0\t1\n")
    gold = race / "race" / "dev" / "middle" / "1.txt"
    assert "give the folder that holds" in said("race/middle", gold, path)


def test_a_label_a_line_is_scored_in_order(xtreme):
    path = write(xtreme / "p.tsv", "neutral\r\ncontradiction \r\n")
    assert score("xtreme/xnli", xtreme, path).scores == {"accuracy": 0.5}
    write(path, "neutral\n\nMaybe\n")
    text = said("xtreme/xnli", xtreme, path)
    assert "file    lines: 3, where the data has 2" in text
    assert "line 2  label ''; the labels are" in text
    assert "line 3  label 'Maybe'" in text
    write(path, "0\tneutral\n1\tneutral\n")
    text = said("xtreme/xnli", xtreme, path)
    assert "line 1, 2  2 columns where a label alone should be" in text


def test_tags_are_scored_by_sentence_and_the_gold_file_tells_the_language(xtreme, command):
    path = write(xtreme / "test-de.tsv", "B-PER\nO\n\n\nB-PER\nO\nO\n")
    gold = xtreme / "xtreme" / "panx" / "dev-de.tsv"
    code, out, _ = command("xtreme/panx", "--data", gold, "--predictions", path)
    assert (code, out) == (
        0, "xtreme/panx de, 2 examples\nentity_f1        50.00\ntoken_accuracy   80.00\n"
    )  # fmt: skip
    assert score("xtreme/panx", xtreme, path, split="de").scores["entity_f1"] == 0.5


def test_bad_tags_are_refused_with_all_that_is_wrong(xtreme):
    path = write(xtreme / "p", "B-PER\n\nB-LOC\nO\nNOUN\n")
    text = said("xtreme/panx", xtreme, path, split="de")
    assert "sentence from line 1  1 tags for 2 words: Anna lacht" in text
    assert "line 5                tag 'NOUN'; the tags are: B-LOC" in text
    write(path, "B-PER\nO\nB-LOC\nO\nO\n")
    text = said("xtreme/panx", xtreme, path, split="de")
    assert "file                  sentences: 1, where the data has 2" in text
    assert "sentence from line 1  5 tags for 2 words" in text


def test_answers_of_mlqa_are_compared_in_their_language(xtreme):
    path = write(xtreme / "p.json", {"m": "Haus"})
    gold = xtreme / "xtreme" / "mlqa" / "dev-context-de-question-de.json"
    assert score("xtreme/mlqa", gold, path).scores == {"exact": 1.0, "f1": 1.0}
    assert score("xtreme/mlqa", xtreme, path, split="de").scores["exact"] == 1.0
    other = write(xtreme / "mine.json", gold.read_text())
    assert score("xtreme/mlqa", other, path, split="de").scores["exact"] == 1.0
    assert score("xtreme/mlqa", other, path, split="en").scores["exact"] == 0.0
    text = said("xtreme/mlqa", other, path)
    assert "'mine.json' names no language, and answers are compared by language; there" in text


@pytest.mark.slow
def test_the_published_predictions_have_their_published_scores(command):
    if not PUBLISHED.is_file():
        pytest.skip("needs the published predictions in shared/data/squad")
    code, out, _ = command("squad/v1.1", "--data", DATA, "--predictions", PUBLISHED)
    assert (code, out) == (
        0, "squad/v1.1 dev, 10,570 examples\nexact   86.21\nf1      92.20\n"
    )  # fmt: skip


@pytest.mark.slow
def test_scoring_imports_neither_ray_nor_torch(rte):
    rows = [(at, said) for at, (_, said) in enumerate(RTE, 10)]
    path = write(rte / "RTE.tsv", submission(*rows))
    code = (
        "import sys; from raysearch.predictions import scoring; from pathlib import Path\n"
        f"scoring.print_scores('glue/rte', Path({str(rte)!r}), Path({str(path)!r}))\n"
        "assert not {'ray', 'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "75.00" in done.stdout
