"""Reading tagged words, a word and its tag a line, and refusing what is none."""

import pytest
from support.paths import SHARED
from support.reading import reading

from raysearch.tasks import get

DATA = SHARED / "data"
# Sentences and words of the files at hand.
PUBLISHED = {
    ("xtreme/panx", "train"): (20000, 160394),
    ("xtreme/panx", "de"): (10000, 97805),
    ("xtreme/panx", "train-sw"): (1000, 5597),
    ("xtreme/panx", "test-en"): (10000, 80326),
    ("xtreme/udpos", "train"): (21253, 375194),
    ("xtreme/udpos", "ta"): (80, 1129),
    ("xtreme/udpos", "test-th"): (1000, 22322),
}


@pytest.fixture
def panx(tmp_path):
    """A function that writes train-en.tsv of PAN-X from its text and gives the root."""

    def write(text, file="train-en.tsv"):
        path = tmp_path / "xtreme" / "panx" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


read, problems = reading("xtreme/panx")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "split"), PUBLISHED)
def test_published_files_are_read_whole(name, split):
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the published files in shared/data/{name}")
    examples = read(DATA, name, split)
    assert (len(examples), sum(len(e["words"]) for e in examples)) == PUBLISHED[name, split]
    assert all(all(example["words"]) for example in examples)
    if get(name).splits()[split].labelled:
        assert all(len(example["words"]) == len(example["label"]) for example in examples)
    else:
        assert {example["label"] for example in examples} == {None}


# What files may look like


def test_a_sentence_is_its_words_and_the_numbers_of_their_tags(panx):
    root = panx("Ada\tB-PER\nruns\tO\n\nTo\tO\nUlm\tB-LOC\n")
    labels = get("xtreme/panx").labels
    assert labels == ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")
    assert read(root) == [
        {"id": "0", "words": ("Ada", "runs"), "label": (2, 6)},
        {"id": "1", "words": ("To", "Ulm"), "label": (6, 0)},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a\tO\nb\tO\n\nc\tO",
        "a\tO\nb\tO\n\nc\tO\n\n\n",
        "\n\na\tO\nb\tO\n\n\n \n\t\nc\tO\n",
        "a\tO\r\nb\tO\r\n\r\nc\tO\r\n",
        "\ufeffa\tO\nb\tO\n\nc\tO\n",
    ],
)
def test_ends_of_lines_and_of_the_file_and_empty_sentences_do_not_matter(panx, text):
    assert [example["words"] for example in read(panx(text))] == [("a", "b"), ("c",)]


def test_a_word_may_be_white_space_of_another_kind(panx):
    words = ("\u00a0", "\u2028", "10\u202f000", "a b")
    root = panx("".join(f"{word}\tO\n" for word in words))
    assert [example["words"] for example in read(root)] == [words]


def test_sentences_at_the_border_of_a_block_are_whole(panx, monkeypatch):
    root = panx("".join(f"ä{n}\tO\nb\tB-ORG\n\n" for n in range(100)))
    whole = read(root)
    assert len(whole) == 100
    for size in (16, 17, 40):
        monkeypatch.setattr("raysearch.data.readers.text_lines._BLOCK", size)
        assert read(root) == whole


def test_the_original_files_carry_the_language_before_every_word(panx):
    root = panx("en:Ada\tB-PER\nen::\tO\n", file="panx_dataset/en/train")
    assert read(root)[0]["words"] == ("Ada", ":")


def test_a_word_of_another_language_in_an_original_file_is_named(panx):
    for file, split in (("train", "train"), ("test", "test-en")):
        text = "en:Ada\tB-PER\nde:Haus\tO\n\nen:a\tO\n"
        ((place, text),) = problems(panx(text, file=f"panx_dataset/en/{file}"), split=split)
        assert place == "line 2"
        assert text == "'de:Haus' does not begin with 'en:'; is it of another language?"


def test_a_test_set_has_words_alone_or_tags_that_are_not_read(panx):
    words = [{"id": "0", "words": ("a", "b"), "label": None}]
    assert read(panx("a\nb\n", file="test-en.tsv"), split="test-en") == words
    tagged = panx("a\tO\nb\tnonsense\n", file="test-en.tsv")
    assert read(tagged, split="test-en") == words
    panx("a\tO\nb\tB-PER\n", file="test-en.tsv")
    assert read(tagged, split="test-en", gold=True)[0]["label"] == (6, 2)


# Faults


def test_every_bad_line_is_named(panx):
    root = panx("a\tO\n\nb\nc O\n\nd\tO\tO\n\n\tO\n\ne\tB-MISC\n\nf\tO\n")
    tags = "B-LOC, B-ORG, B-PER, I-LOC, I-ORG, I-PER, O"
    assert problems(root) == [
        ("line 3", "'b' where a word, a tab and a tag should be"),
        ("line 4", "'c O' where a word, a tab and a tag should be; is that a space between them?"),
        ("line 6", "3 columns where a word and a tag should be"),
        ("line 8", "no word before the tab"),
        ("line 10", f"tag 'B-MISC'; the tags are: {tags}"),
    ]


def test_tags_of_another_task_are_recognized(panx, tmp_path):
    (_, text), *_ = problems(panx("Ada\tPROPN\nruns\tVERB\n"))
    assert text.endswith("it is not an entity tag; does the file belong to another task?")
    (tmp_path / "xtreme" / "udpos").mkdir()
    (tmp_path / "xtreme" / "udpos" / "train-en.tsv").write_text("Ada\tB-PER\nruns\tO\n")
    for _, text in problems(tmp_path, "xtreme/udpos"):
        assert text.endswith("it is an entity tag; does the file belong to another task?")


def test_a_file_without_any_tag_is_told_once(panx):
    found = problems(panx("a\nb\n\nc\n", file="test-en.tsv"), split="test-en", gold=True)
    ((place, text),) = found
    assert place == "file"
    assert text.startswith("no line has a tab and a tag after its word")


@pytest.mark.parametrize("text", ["", "\n\n \n", "\ufeff"])
def test_an_empty_file_is_refused(panx, text):
    assert problems(panx(text)) == [("file", "is empty; it may not have been downloaded whole")]


def test_many_problems_are_cut_short_and_counted(panx):
    found = problems(panx("a\tO\n" + "".join(f"a\tX{number}\n" * 2 for number in range(25))))
    assert len(found) == 21
    assert found[0][0] == "line 2, 3"
    assert found[-1] == ("...", "and 10 more")


# Leaving out


def test_a_sentence_is_left_out_whole_and_counted_once(panx):
    lines = [b"a\tO", b"b\tX", b"c\tX", b"", b"d\xe9\tO", b"e\tO", b"", b"f\tO", b""]
    root, told = panx(b"\n".join(lines)), []
    assert [place for place, _ in problems(root, max_bad_rows=1)] == ["line 5", "line 2, 3"]
    examples = read(root, max_bad_rows=2, on_skipped=told.append)
    assert [(e["id"], e["words"]) for e in examples] == [("0", ("f",))]
    assert told[0].skipped() == 2
    assert [problem.location for problem in told[0].problems] == ["line 5", "line 2, 3"]
