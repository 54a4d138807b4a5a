"""Scores of answers against the official rules, written out slowly, and where ours differ."""

import json
import math
import random
import re
import string
import time
import unicodedata
from collections import Counter

import numpy as np
import pytest
from support.paths import SHARED

from raysearch.data import readers
from raysearch.errors import InputError
from raysearch.metrics import squad, squad_scripts, worst
from raysearch.tasks import get

DATA = SHARED / "data"
PUBLISHED = DATA / "squad" / "predictions" / "bert-ensemble-v1.1.json"
# Words that collide once case, articles and punctuation are gone, and some that must not.
WORDS = ("the", "A", "an", "cat", "Cat!", "cats", "x-y", "xy", "—", "“cat”", "...", "", "été", "a.")


def slow_words(text):
    """The official normalisation, step by step; gives words."""
    text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def slow_f1(said, wanted, version):
    common = sum((Counter(said) & Counter(wanted)).values())
    if version == 2 and (not said or not wanted):
        return float(said == wanted)
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def slow_scores(prediction, answers, version):
    """Exact match and F1 of one question."""
    said, gold = slow_words(prediction), [slow_words(answer) for answer in answers]
    if version == 2:
        gold = [words for words in gold if words] or [[]]
    return (
        max(float(said == words) for words in gold),
        max(slow_f1(said, words, version) for words in gold),
    )


def slow_at(threshold, raw, gold, nulls):
    """The mean score where null scores above a threshold mean no answer."""
    silent = {i: nulls[i] > threshold for i in gold}
    return sum(float(not gold[i]) if silent[i] else raw[i] for i in gold) / len(gold)


def slow_best(raw, gold, predictions, nulls, threshold=0.0):
    """The official sweep: one question after the other, from silence at threshold 0."""
    score = best = sum(not answers for answers in gold.values())
    for i in sorted(nulls, key=nulls.get):
        score += raw[i] if gold[i] else -bool(predictions[i])
        if score > best:
            best, threshold = score, nulls[i]
    return best / len(gold), threshold


def drawn(seed, *, second, ties=False, negative=True):
    """Random gold, predictions and null scores."""
    pick = random.Random(seed)

    def text():
        return " ".join(pick.choice(WORDS) for _ in range(pick.randint(0, 4)))

    counts = (0, 1, 3) if second else (1, 3)
    gold = {str(i): tuple(text() for _ in range(pick.choice(counts)))
            for i in range(pick.randint(1, 14))}  # fmt: skip
    predictions = {i: pick.choice([text(), *answers]) for i, answers in gold.items()}
    low = -3.0 if negative else 0.0
    nulls = {i: pick.randint(0, 2) + low if ties else pick.uniform(low, 3) for i in gold}
    return gold, predictions, nulls


@pytest.mark.parametrize("seed", range(150))
def test_version_1_is_the_official_one(seed):
    gold, predictions, _ = drawn(seed, second=False)
    pairs = [slow_scores(predictions[i], gold[i], 1) for i in gold]
    found = squad.evaluate(predictions, gold)
    assert list(found) == ["exact", "f1"]
    assert found["exact"] == pytest.approx(np.mean([exact for exact, _ in pairs]))
    assert found["f1"] == pytest.approx(np.mean([f1 for _, f1 in pairs]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_version_2_is_the_official_one(seed):
    gold, predictions, nulls = drawn(seed, second=True)
    threshold = random.Random(seed).uniform(-4, 4)
    found = squad.evaluate(
        predictions, gold, null_scores=nulls, threshold=threshold, unanswerable=True
    )
    for at, name in enumerate(("exact", "f1")):
        raw = {i: slow_scores(predictions[i], gold[i], 2)[at] for i in gold}
        assert found[name] == pytest.approx(slow_at(threshold, raw, gold, nulls))
        for part, answerable in (("has_answer", True), ("no_answer", False)):
            some = {i: gold[i] for i in gold if bool(gold[i]) is answerable}
            expected = slow_at(threshold, raw, some, nulls) if some else None
            assert found.get(f"{part}_{name}") == (expected and pytest.approx(expected))
        best, where = slow_best(raw, gold, predictions, nulls, threshold=-math.inf)
        assert found[f"best_{name}"] == pytest.approx(best)
        assert found[f"best_{name}_threshold"] == where


@pytest.mark.slow
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_the_best_score_is_the_most_that_any_threshold_gives(seed, ties):
    gold, predictions, nulls = drawn(seed, second=True, ties=ties)
    # The official sweep takes a text of which nothing is left for an answer; leave those out.
    predictions = {i: text if slow_words(text) else "" for i, text in predictions.items()}

    def at(threshold):
        return squad.evaluate(
            predictions, gold, null_scores=nulls, threshold=threshold, unanswerable=True
        )

    found = at(0.0)
    for name in ("exact", "f1"):
        every = [at(threshold)[name] for threshold in (-math.inf, *nulls.values())]
        assert found[f"best_{name}"] == pytest.approx(max(every))
        assert at(found[f"best_{name}_threshold"])[name] == pytest.approx(max(every))


def test_equal_null_scores_are_not_parted_as_the_official_sweep_does():
    gold = {"right": ("cat",), "wrong": ()}
    predictions = {"right": "cat", "wrong": "dog"}
    nulls = {"right": 0.5, "wrong": 0.5}
    assert slow_best({"right": 1.0, "wrong": 0.0}, gold, predictions, nulls) == (1.0, 0.5)
    found = squad.evaluate(predictions, gold, null_scores=nulls)
    assert (found["best_f1"], found["best_f1_threshold"]) == (0.5, -math.inf)
    parted = squad.evaluate(predictions, gold, null_scores=nulls, split_ties=True)
    assert (parted["best_f1"], parted["best_f1_threshold"]) == (1.0, 0.5)


def test_silence_to_everything_is_below_every_score_even_a_negative_one():
    gold, predictions = {"1": (), "2": ()}, {"1": "cat", "2": "dog"}
    nulls = {"1": -7.5, "2": -0.1}
    found = squad.evaluate(predictions, gold, null_scores=nulls, threshold=0.0)
    assert (found["exact"], found["best_exact"]) == (0.0, 1.0)
    assert found["best_exact_threshold"] == -math.inf  # the official script says 0.0
    at_best = squad.evaluate(predictions, gold, null_scores=nulls, threshold=-math.inf)
    assert at_best["exact"] == 1.0


def test_the_lowest_of_the_best_thresholds_is_given():
    gold = {"1": ("cat",), "2": ("dog",), "3": ()}
    predictions = {"1": "cat", "2": "bird", "3": ""}
    found = squad.evaluate(predictions, gold, null_scores={"1": -2.0, "2": -1.0, "3": 3.0})
    assert (found["best_f1"], found["best_f1_threshold"]) == (pytest.approx(2 / 3), -2.0)


def test_a_question_below_every_threshold_cannot_be_silenced():
    found = squad.evaluate({"1": "cat"}, {"1": ()}, null_scores={"1": -math.inf})
    assert (found["best_f1"], found["best_f1_threshold"]) == (0.0, -math.inf)


def test_a_fixed_threshold_and_the_best_one_are_never_mixed():
    gold = {"1": ("cat",), "2": ()}
    predictions, nulls = {"1": "cat", "2": "dog"}, {"1": 1.0, "2": 2.0}
    scores = {
        threshold: squad.evaluate(predictions, gold, null_scores=nulls, threshold=threshold)
        for threshold in (0.0, 1.0, 5.0)
    }
    assert [scores[t]["f1"] for t in scores] == [0.5, 1.0, 0.5]
    assert [scores[t]["has_answer_f1"] for t in scores] == [0.0, 1.0, 1.0]
    assert [scores[t]["no_answer_f1"] for t in scores] == [1.0, 1.0, 0.0]
    assert [scores[t]["best_f1"] for t in scores] == [1.0, 1.0, 1.0]
    assert "best_f1" not in squad.evaluate(predictions, gold)
    assert squad.evaluate(predictions, gold, null_scores=nulls)["f1"] == 0.5


def test_a_null_score_at_the_threshold_is_an_answer():
    found = squad.evaluate(
        {"1": "cat"}, {"1": ("cat",)}, null_scores={"1": 1.0}, threshold=1.0, unanswerable=True
    )
    assert found["f1"] == 1.0


@pytest.mark.parametrize("prediction", ["", "The", "a... an!"])
def test_two_empty_texts_are_equal_in_version_2_and_share_no_word_in_version_1(prediction):
    first = squad.evaluate({"1": prediction}, {"1": ("the",)}, unanswerable=False)
    assert first == {"exact": 1.0, "f1": 0.0}
    second = squad.evaluate({"1": prediction}, {"1": ("the",)}, unanswerable=True)
    assert second["exact"] == second["f1"] == second["has_answer_f1"] == 1.0
    nothing = squad.evaluate({"1": prediction}, {"1": ()})
    assert nothing["f1"] == nothing["no_answer_f1"] == 1.0


def test_gold_of_which_nothing_is_left_does_not_count_in_version_2():
    gold = {"1": ("the", "cat")}
    assert squad.evaluate({"1": ""}, gold, unanswerable=True)["f1"] == 0.0
    assert squad.evaluate({"1": ""}, gold, unanswerable=False)["exact"] == 1.0
    assert squad.evaluate({"1": "cat"}, gold, unanswerable=True)["f1"] == 1.0


def test_parts_without_questions_are_left_out():
    found = squad.evaluate({"1": "cat"}, {"1": ("cat",)}, unanswerable=True)
    assert list(found) == ["exact", "f1", "has_answer_exact", "has_answer_f1"]
    found = squad.evaluate({"1": "cat"}, {"1": ()})
    assert list(found) == ["exact", "f1", "no_answer_exact", "no_answer_f1"]


def test_predictions_and_null_scores_that_are_missing_or_of_no_question_are_all_named():
    gold = {str(i): ("cat",) for i in range(8)}
    nulls = {**dict.fromkeys(gold, 0.0), "y": 1}
    with pytest.raises(InputError) as caught:
        squad.evaluate({"7": "cat", "x": ""}, gold, null_scores=nulls)
    said = str(caught.value)
    assert "3 problems" in said
    assert "7 of 8 questions have none: 0, 1, 2, 3, 4 and 2 more" in said
    assert "1 of 2 are of no question in the data: x" in said
    assert "1 of 9 are of no question in the data: y" in said
    with pytest.raises(InputError, match="nothing to score"):
        squad.evaluate({}, {})
    with pytest.raises(InputError, match="nan for 1"):
        squad.evaluate({"1": ""}, {"1": ()}, null_scores={"1": math.nan})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The  Cat,\tsat\n", "cat sat"),
        ("a-b", "ab"),  # what punctuation parted is joined
        ("theatre an d", "theatre d"),
        ("a.m.", "am"),
        ("«Été» — 3–4", "«été» — 3–4"),  # not ASCII: stays
        ("“the” cat", "“ ” cat"),
        ("50%", "50"),
        ("A\u00a0cat", "cat"),
        ("İstanbul", "i̇stanbul"),
        ("貓 the", "貓"),
        ("the貓", "the貓"),  # no word's end between letters
    ],
)
def test_texts_are_made_comparable_as_squad_does(text, left):
    assert squad.normalize_answer(text) == left == " ".join(slow_words(text))


# Worked out by hand from MLQA's rules.
MLQA = [
    ("en", "The “Cat” — and a dog’s", "cat and dogs"),
    ("de", "Der Hund, eines «Mannes» die Einheit", "hund mannes einheit"),
    ("es", "¿Las casas de la Unión?", "casas de unión"),
    ("vi", "Những con mèo của tôi là", "con mèo tôi"),
    ("hi", "एक बिल्ली।", "एक बिल्ली"),
    ("ar", "القط، والكلب؟", "قط و كلب"),
    ("zh", "1999年，北京 city。", "1999 年 北 京 city"),
    ("zh", "“the 猫”", "the 猫"),
]


@pytest.mark.parametrize(("language", "text", "left"), MLQA)
def test_texts_are_made_comparable_as_mlqa_does(language, text, left):
    assert squad.normalizer_of(language)(text) == left


@pytest.mark.parametrize("language", ["en", "de", "es", "vi", "hi", "ar", "zh"])
def test_every_mark_of_unicode_goes_and_symbols_stay(language):
    marks = [chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] == "P"]
    assert squad.normalizer_of(language)(" ".join(marks)) == ""
    assert squad.normalizer_of(language)("$+<=>^`|~") == ""  # ASCII's punctuation that is no P*
    assert squad.normalizer_of(language)("€ ±") == "€ ±"


def test_answers_of_another_language_are_compared_by_its_rules():
    gold, predictions = {"1": ("das Haus",)}, {"1": "Haus"}
    assert squad.score(["exact"], predictions, gold) == {"exact": 0.0}
    assert squad.score(["exact"], predictions, gold, language="de") == {"exact": 1.0}
    gold, predictions = {"1": ("北京市",)}, {"1": "北京"}
    assert squad.score(["f1"], predictions, gold) == {"f1": 0.0}
    assert squad.score(["f1"], predictions, gold, language="zh") == {"f1": pytest.approx(0.8)}
    with pytest.raises(InputError, match="MLQA has no language named 'fr'"):
        squad.score(["f1"], predictions, gold, language="fr")


def test_named_metrics_come_in_their_order_and_are_finite():
    gold, predictions, nulls = {"1": ("cat",), "2": ()}, {"1": "cat", "2": "x"}, {"1": 0, "2": 1}
    names = ["best_f1", "exact", "no_answer_f1"]
    found = squad.score(names, predictions, gold, nulls=nulls, threshold=0.5)
    assert found == {"best_f1": 1.0, "exact": 1.0, "no_answer_f1": 1.0}
    assert list(found) == names
    assert squad.score(names, predictions, gold, nulls={"1": math.nan, "2": 0}) == dict.fromkeys(
        names, worst("best_f1")
    )
    answerable = squad.score(names, {"1": ""}, {"1": ("cat",)}, nulls={"1": 0})
    assert answerable == dict.fromkeys(names, 0.0)


def test_version_1_does_not_look_at_null_scores():
    found = squad.score(["f1"], {"1": "cat"}, {"1": ("cat",)}, nulls={"1": 9.0}, threshold=0.0)
    assert found == {"f1": 1.0}


def test_all_that_is_wrong_with_a_call_is_said_at_once():
    with pytest.raises(InputError) as caught:
        squad.score(["exakt", "best_f1"], {"1": ""}, {"1": ()})
    assert "no metric named 'exakt'; did you mean 'exact'?" in str(caught.value)
    assert "null scores are needed" in str(caught.value)


def test_metrics_of_the_rows_are_known():
    for name in ("squad/v1.1", "squad/v2.0", "xtreme/mlqa", "xtreme/xquad", "xtreme/tydiqa"):
        assert set(get(name).metrics) <= set(squad.SCORES)
        assert all(worst(metric) == 0.0 for metric in get(name).metrics)


@pytest.mark.slow
def test_the_published_predictions_have_their_published_scores():
    if not PUBLISHED.is_file():
        pytest.skip("needs the published predictions in shared/data/squad")
    expected = json.loads(PUBLISHED.with_name("expected.json").read_text())[PUBLISHED.name]
    task = get("squad/v1.1")
    gold = {e["id"]: tuple(text for text, _ in e["answers"])
            for e in readers.read(task, task.dev[0], DATA)}  # fmt: skip
    assert len(gold) == 10_570
    predictions = json.loads(PUBLISHED.read_text())
    found = squad.evaluate(predictions, gold)
    assert round(100 * found["exact"], 2) == expected["exact_match"] == 86.21
    assert round(100 * found["f1"], 2) == expected["f1"] == 92.20
    start = time.process_time()
    assert squad.evaluate(predictions, gold, null_scores=dict.fromkeys(gold, 0.0)) == found
    assert time.process_time() - start < 3  # a tenth of that; every evaluation of a training pays


# As the official scripts print it


def script_1(gold, predictions):
    """evaluate-v1.1.py and those of MLQA and XQuAD: one question after the other, in percent."""
    exact = f1 = 0
    for identity, answers in gold.items():
        if identity not in predictions:
            continue  # "Unanswered question ... will receive score 0."
        one, two = slow_scores(predictions[identity], answers, 1)
        exact, f1 = exact + one, f1 + two
    return {"exact": exact / len(gold), "f1": f1 / len(gold)}


def script_2(gold, predictions, odds, threshold=1.0):
    """evaluate-v2.0.py up to where it ends: with what error, and what it had until then."""
    raw = [{i: slow_scores(predictions[i], answers, 2)[at] for i, answers in gold.items()
            if i in predictions} for at in (0, 1)]  # fmt: skip
    found = {}
    for name, scores in zip(("exact", "f1"), raw, strict=True):
        after = {i: float(not gold[i]) if odds and odds[i] > threshold else score
                 for i, score in scores.items()}  # fmt: skip
        found[name] = sum(after.values()) / len(after)
        if len(after) < len(gold):
            continue  # a KeyError at HasAns or NoAns
        for part, answerable in (("has_answer", True), ("no_answer", False)):
            some = [after[i] for i, answers in gold.items() if bool(answers) is answerable]
            found |= {f"{part}_{name}": sum(some) / len(some)} if some else {}
        if not odds:
            continue
        current = best = sum(not answers for answers in gold.values())
        where = 0.0
        for i in sorted(odds, key=lambda i: odds[i]):
            if i not in scores:
                continue
            current += scores[i] if gold[i] else -bool(predictions[i])
            if current > best:
                best, where = current, odds[i]
        found |= {f"best_{name}": best / len(scores), f"best_{name}_threshold": where}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_a_file_of_other_ids_is_scored_as_the_official_scripts_do(seed):
    pick, second = random.Random(seed), bool(seed % 4)
    gold, predictions, nulls = drawn(seed, second=second, ties=seed % 3 == 0)
    for identity in pick.sample(sorted(predictions), pick.choice((0, 0, 1, 3)) % len(predictions)):
        del predictions[identity]
    alien = pick.choice(({}, {"alien": "cat"}, {"x": "", "y": "dog"}))
    predictions |= alien
    shuffled = list(nulls.items())
    pick.shuffle(shuffled)
    odds = dict(shuffled) | dict.fromkeys(alien, 0.0) if second and seed % 5 else None
    found, notes = squad_scripts.evaluate(
        predictions, gold, null_scores=odds, unanswerable=second,
        threshold=None if seed % 2 else 0.5,
    )  # fmt: skip
    threshold = 1.0 if seed % 2 else 0.5
    wanted = script_2(gold, predictions, odds, threshold) if second else script_1(gold, predictions)
    assert found == {name: pytest.approx(score) for name, score in wanted.items()}
    missing = [identity for identity in gold if identity not in predictions]
    assert any("have no prediction" in note for note in notes) is bool(missing)
    assert any("are of no question" in note for note in notes) is bool(alien)


@pytest.mark.parametrize("seed", range(200))
def test_equal_null_scores_are_parted_in_the_order_of_their_own_file(seed):
    gold, predictions, nulls = drawn(seed, second=True, ties=True)
    shuffled = list(nulls.items())
    random.Random(seed).shuffle(shuffled)
    odds = dict(shuffled)
    found = squad.evaluate(predictions, gold, null_scores=odds, split_ties=True, unanswerable=True)
    wanted = script_2(gold, predictions, odds)
    for name in ("best_exact", "best_f1"):
        assert found[name] == pytest.approx(wanted[name])
        if found[f"{name}_threshold"] > -math.inf:
            assert found[f"{name}_threshold"] == wanted[f"{name}_threshold"]


def test_a_file_without_any_prediction_is_0_in_version_1_and_none_in_version_2():
    scores, (note,) = squad_scripts.evaluate({}, {"1": ("cat",)}, unanswerable=False)
    assert scores == {"exact": 0.0, "f1": 0.0}
    assert note == "1 of 1 questions have no prediction and count as 0: 1"
    with pytest.raises(InputError, match="divides by 0"):
        squad_scripts.evaluate({"x": ""}, {"1": ("cat",)}, unanswerable=True)


def test_a_null_score_that_is_missing_ends_the_official_script_and_ours():
    with pytest.raises(InputError, match="1 of 1 questions have none: 1"):
        squad_scripts.evaluate({"1": ""}, {"1": ()}, null_scores={"x": 1.0}, unanswerable=True)
