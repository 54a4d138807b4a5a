"""Translations of training sets: read from XTREME's files, and drawn for an example."""

import json
from collections import Counter
from random import Random

import pytest

from raysearch.errors import InputError
from raysearch.tasks import get
from raysearch.views import drawn
from raysearch.views.translations import (
    located,
    located_sentences,
    read_pairs,
    read_questions,
    read_sentences,
)

PAWSX = "PAWSX/translate-train/en-{}-translated.tsv"
SQUAD = "SQuAD/translate-train/squad.translate.train.en-{}.json"


@pytest.fixture
def folder(tmp_path):
    """A function that writes a file of xtreme_translations."""

    def write(name, text):
        path = tmp_path / "xtreme_translations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def pairs(folder, tmp_path):
    """Pairs a, b and c, d in German and French; e, f in German alone."""
    rows = {
        "de": "a\tb\ta-de\tb-de\t1\nc\td\tc-de\td-de\t0\ne\tf\te-de\tf-de\t0\n",
        "fr": "\ufeff c\td \tc-fr\td-fr\t0\r\na\tb\t a-fr\tb-fr \t1\r\n\r\n",
    }
    return read_pairs(
        {one: folder(PAWSX.format(one), text) for one, text in rows.items()}, tmp_path
    )


def problems(read, *arguments, **options):
    with pytest.raises(InputError) as caught:
        read(*arguments, **options)
    return [(problem.place, problem.text) for problem in caught.value.problems]


def draws(draw, count=3000):
    return Counter(draw(random) for random in [Random(7)] for _ in range(count))


# Pairs of sentences


def test_both_sentences_come_in_one_language_each_as_likely(pairs):
    seen = draws(lambda random: pairs.draw("a", " b", random))
    assert set(seen) == {("de", "a-de", "b-de"), ("fr", "a-fr", "b-fr")}
    assert seen["de", "a-de", "b-de"] == pytest.approx(1500, abs=100)


def test_sentences_are_found_apart_as_their_pairs_may_differ(pairs):
    assert pairs.draw("d", "a", drawn(1)) in {("de", "d-de", "a-de"), ("fr", "d-fr", "a-fr")}


def test_a_language_that_lacks_a_sentence_is_not_drawn(pairs):
    assert set(draws(lambda random: pairs.draw("e", "a", random), 50)) == {("de", "e-de", "a-de")}
    assert pairs.draw("a", "never seen", drawn(1)) is None


def test_the_other_view_of_a_translation_is_another_or_english_itself(pairs):
    seen = draws(lambda random: pairs.draw("a", "b", random, shown="de"))
    assert set(seen) == {("en", "a", "b"), ("fr", "a-fr", "b-fr")}
    assert seen["en", "a", "b"] == pytest.approx(1500, abs=100)
    assert pairs.draw("e", "f", drawn(1), shown="de") == ("en", "e", "f")


def test_a_sentence_with_several_translations_has_each_as_often(folder, tmp_path):
    text = "a\tb\ta1\tb1\t1\na\tc\ta2\tc1\t0\nd\ta\td1\ta3\t0\n"
    pairs = read_pairs({"de": folder(PAWSX.format("de"), text)}, tmp_path)
    seen = draws(lambda random: pairs.draw("a", "c", random)[1])
    assert {one: pytest.approx(1000, abs=100) for one in ("a1", "a2", "a3")} == seen


def test_a_view_is_drawn_anew_in_every_epoch_and_the_same_again(pairs):
    def views(epoch):
        return [pairs.draw("a", "b", drawn(1, epoch, example)) for example in range(20)]

    assert views(1) == views(1) != views(2)


def test_a_file_of_many_rows_gives_every_row_back(folder, tmp_path):
    rows = [(f"sentence {at}", f"Satz {at} 漢字" * (at % 5 + 1)) for at in range(5000)]
    text = "\n".join(f"{en}\t{en} too\t{de}\t{de} auch\tneutral" for en, de in rows)
    pairs = read_pairs({"de": folder(PAWSX.format("de"), text)}, tmp_path)
    for en, de in rows:
        assert pairs.draw(en, f"{en} too", drawn(1)) == ("de", de, f"{de} auch")


def test_broken_rows_are_told_with_file_and_line_and_spare_ones_left_out(folder, tmp_path):
    good = "a\tb\tc\td\t1\n"
    files = {
        "de": folder(PAWSX.format("de"), f"{good}a\tb\tc\td\n{good}\n \t\tc\td\t1\n"),
        "fr": folder(PAWSX.format("fr"), b"x\ty\t\xff\tz\t1\na\tb\tentailment\n"),
        "es": folder(PAWSX.format("es"), ""),
    }
    told = problems(read_pairs, files, tmp_path)
    assert [place for place, _ in told] == [
        "en-de-translated.tsv line 2", "en-de-translated.tsv line 5",
        "en-fr-translated.tsv line 1", "en-fr-translated.tsv line 2", "en-es-translated.tsv file",
    ]  # fmt: skip
    assert told[0][1].startswith("4 columns where two sentences")
    assert told[1][1] == "column 1 is empty"
    assert "0xff" in told[2][1]
    assert "early files have no English" in told[3][1]
    del files["es"]
    assert problems(read_pairs, files, tmp_path, spare=3)
    assert read_pairs(files, tmp_path, spare=4).draw("a", "b", drawn(1)) == ("de", "c", "d")


def test_a_missing_file_is_no_traceback(tmp_path):
    ((place, text),) = problems(read_pairs, {"de": tmp_path / "none.tsv"}, tmp_path)
    assert (place, text.startswith("cannot be read")) == ("file", True)


# Where files lie


def test_languages_with_and_without_translations_are_named(folder, tmp_path):
    de = folder(PAWSX.format("de"), "")
    assert located(get("xtreme/pawsx"), tmp_path) == (
        {"de": de}, ("es", "fr", "ja", "ko", "zh"),
    )  # fmt: skip
    zh = folder(SQUAD.format("zh"), "{}")
    found, lacking = located(get("xtreme/mlqa"), tmp_path)
    assert found == {"zh": zh}
    assert lacking == ("ar", "de", "es", "hi", "vi")
    new = folder("TyDiQA-GoldP/translate-train/tydiqa.goldp.translate.train.en-ko.json", "{}")
    assert located(get("xtreme/tydiqa"), tmp_path)[0] == {"ko": new}


def test_translations_of_tagged_words_lie_beside_the_others_or_with_the_task(folder, tmp_path):
    task = get("xtreme/panx")
    assert located_sentences(task, tmp_path) is None
    beside = tmp_path / "xtreme" / "panx" / "translate_train.panx.txt"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert located_sentences(task, tmp_path) == beside
    path = folder("translate_train.panx.txt", "")
    assert located_sentences(task, tmp_path) == path


# Tagged sentences


def test_tagged_sentences_are_translated_to_words_of_the_languages_kept(folder):
    text = (
        "Ada runs .\tde\tAda läuft .\t0/0 1/1 2/2\nAda runs .\tfr\t Ada court  .\n"
        "\u00a0 a\tde\tein a\nAda runs .\tsw\tAda anakimbia\nUlm\tja\tウルム\n"
    )
    left_out = ["en", "zh-CN", "zh", "ja", "ko", "th", "my", "ml", "ta"]
    text += "".join(f"Ada runs .\t{language}\t?\n" for language in left_out)
    path = folder("translate_train.panx.txt", text)
    sentences = read_sentences(path, [*left_out, "de", "fr", "es"])
    assert sentences.languages == {"de", "fr"}
    seen = draws(lambda random: tuple(sentences.draw(["Ada", "runs", "."], random)))
    assert set(seen) == {("Ada", "läuft", "."), ("Ada", "court", ".")}
    assert seen["Ada", "läuft", "."] == pytest.approx(1500, abs=100)
    assert sentences.draw(["Ulm"], drawn(1)) is None
    assert sentences.draw(["\u00a0", "a"], drawn(1)) == ["ein", "a"]


def test_broken_translations_of_sentences_are_told_with_their_lines(folder):
    path = folder("translate_train.panx.txt", "a b\tde\n\tde\tx\na\tde\t \na\tde\tx\t0/0\t?\n")
    told = problems(read_sentences, path, ["de"])
    assert [place for place, _ in told] == ["line 1", "line 2", "line 3", "line 4"]
    assert [text.split(" where")[0] for _, text in told] == [
        "2 columns", "no sentence", "no translation", "5 columns",
    ]  # fmt: skip


# Questions


def squad(*ids):
    questions = [
        {"id": one, "question": "?", "answers": [{"text": "b", "answer_start": 2}]} for one in ids
    ]
    return json.dumps({"data": [{"paragraphs": [{"context": "a b", "qas": questions}]}]})


def test_a_question_is_the_one_of_its_id_or_any_where_there_is_none(folder, tmp_path):
    folder(SQUAD.format("de"), squad("q1", "q2"))
    folder(SQUAD.format("zh"), squad("q2", "q3"))
    questions = read_questions(get("xtreme/mlqa"), tmp_path, ["zh", "de"])
    assert questions.ids == {"de": ("q1", "q2"), "zh": ("q2", "q3")}
    assert set(draws(lambda r: questions.draw("q2", r))) == {("de", "q2"), ("zh", "q2")}
    seen = draws(lambda r: questions.draw("q1", r))
    assert seen["de", "q1"] == pytest.approx(1500, abs=100)
    assert seen["zh", "q2"] == pytest.approx(750, abs=100)
    assert ("de", "q2") not in seen
    assert len(draws(lambda r: questions.draw(None, r))) == 4


def test_broken_questions_are_told_with_their_file(folder, tmp_path):
    path = folder(SQUAD.format("de"), squad("q1", "q1"))
    with pytest.raises(InputError) as caught:
        read_questions(get("xtreme/mlqa"), tmp_path, ["de"])
    assert caught.value.source == str(path)
    (problem,) = caught.value.problems
    assert problem.place == "data[0].paragraphs[0].qas[1]"
