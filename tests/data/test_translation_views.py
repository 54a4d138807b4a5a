"""Translations of training sets, read from XTREME's files."""

import pytest

from raysearch.data import readers
from raysearch.data.augmentation.translations import (
    find_path,
    read_sentences,
    sentences_split,
    translated_splits,
)
from raysearch.errors import InputError
from raysearch.tasks import get

PAWSX = "PAWSX/translate-train/en-{}-translated.tsv"
SQUAD = "SQuAD/translate-train/squad.translate.train.en-{}.json"
TYDIQA = "TyDiQA-GoldP/translate-train/tydiqa.goldp.translate.train.en-{}.json"


@pytest.fixture
def folder(tmp_path):
    """A function that writes a file of xtreme_translations."""

    def write(name, text):
        path = tmp_path / "xtreme_translations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def there(task, root):
    """language -> its file, of the languages that have one; the others."""
    paths = {one: find_path(task, split, root) for one, split in translated_splits(task).items()}
    found = {one: path for one, path in paths.items() if path}
    return found, [one for one in paths if one not in found]


def test_a_translated_pair_comes_with_its_english(folder, tmp_path):
    folder(PAWSX.format("de"), "a\tb\ta-de\tb-de\t1\nc\td\tc-de\td-de\t0\n")
    task = get("xtreme/pawsx")
    first, second = readers.read(task, translated_splits(task)["de"], tmp_path)
    assert (first["sentence1"], first["sentence2"], first["label"]) == ("a-de", "b-de", 1)
    assert [second[name] for name in ("english1", "english2", "label")] == ["c", "d", 0]


def test_languages_with_and_without_translations_are_told_apart(folder, tmp_path):
    de = folder(PAWSX.format("de"), "")
    assert there(get("xtreme/pawsx"), tmp_path) == ({"de": de}, ["es", "fr", "ja", "ko", "zh"])
    zh = folder(SQUAD.format("zh"), "{}")
    assert there(get("xtreme/mlqa"), tmp_path) == ({"zh": zh}, ["ar", "de", "es", "hi", "vi"])
    ko = folder(TYDIQA.format("ko"), "{}")
    assert there(get("xtreme/tydiqa"), tmp_path)[0] == {"ko": ko}


def test_files_that_do_not_say_what_they_translate_are_none(tmp_path):
    own = tmp_path / "xtreme" / "pawsx" / "x-final" / "de" / "translated_train.tsv"
    own.parent.mkdir(parents=True)
    own.write_text("id\tsentence1\tsentence2\tlabel\n1\ta\tb\t0\n")
    task = get("xtreme/pawsx")
    assert task.training_split_of("de").name in readers.present_splits(task, tmp_path)
    assert there(task, tmp_path)[0] == {}


def test_translations_of_tagged_words_lie_beside_the_others_or_with_the_task(folder, tmp_path):
    task = get("xtreme/panx")
    assert find_path(task, sentences_split(task), tmp_path) is None
    beside = tmp_path / "xtreme" / "panx" / "translate_train.panx.txt"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert find_path(task, sentences_split(task), tmp_path) == beside
    path = folder("translate_train.panx.txt", "")
    assert find_path(task, sentences_split(task), tmp_path) == path


def test_tagged_sentences_are_read_in_the_languages_wanted(folder):
    text = (
        "Ada runs .\tde\tAda läuft .\t0/0 1/1 2/2\n\nAda runs .\tfr\t Ada court  .\r\n"
        "Ada runs .\tsw\tAda anakimbia\nUlm\tde\tUlm\n"
    )
    path = folder("translate_train.panx.txt", text)
    assert list(read_sentences(path, ["de", "fr"])) == [
        ("Ada runs .", "de", ["Ada", "läuft", "."]),
        ("Ada runs .", "fr", ["Ada", "court", "."]),
        ("Ulm", "de", ["Ulm"]),
    ]


def test_broken_translations_of_sentences_are_told_with_their_lines(folder):
    text = b"a b\tde\n\tde\tx\na\tde\t \na\tde\tx\t0/0\t?\na\tde\tx\na\tde\t\xff\n"
    path = folder("translate_train.panx.txt", text)
    with pytest.raises(InputError) as caught:
        list(read_sentences(path, ["de"]))
    assert caught.value.source == str(path)
    told = {problem.location: problem.text for problem in caught.value.problems}
    assert set(told) == {f"line {line}" for line in (1, 2, 3, 4, 6)}
    assert told["line 1"].startswith("2 columns where")
    assert (told["line 2"], told["line 3"]) == ("no sentence", "no translation")
    assert told["line 4"].startswith("5 columns where")
    assert "0xff" in told["line 6"]
    left = []
    assert list(read_sentences(path, ["de"], 5, left.append)) == [("a", "de", ["x"])]
    assert left[0].skipped() == 5


def test_an_empty_file_of_sentences_is_told(folder):
    with pytest.raises(InputError, match="is empty"):
        list(read_sentences(folder("translate_train.panx.txt", "\n\n"), ["de"]))
