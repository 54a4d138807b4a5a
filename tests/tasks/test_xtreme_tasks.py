"""XTREME's seven rows: their languages, and the layouts in which their files are published."""

import json

import pytest
from support.paths import SHARED

from raysearch.data import readers
from raysearch.errors import InputError
from raysearch.tasks import get, xtreme

DATA = SHARED / "data"
# Languages that a dev split, a test split and a further training set has, Hu et al. (2020).
LANGUAGES = {
    "xtreme/xnli": (15, 15, 14),
    "xtreme/pawsx": (7, 7, 6),
    "xtreme/panx": (40, 40, 39),
    "xtreme/udpos": (33, 33, 32),
    "xtreme/mlqa": (7, 7, 6),
    "xtreme/xquad": (1, 11, 10),
    "xtreme/tydiqa": (9, 9, 8),
}
# Examples of the first dev split at hand.
DEV = {
    "xtreme/xnli": 2490,
    "xtreme/pawsx": 2000,
    "xtreme/panx": 10000,
    "xtreme/udpos": 3974,
    "xtreme/mlqa": 1148,
    "xtreme/xquad": 10570,
}
PAIR = "It rains.\tIt is wet.\t"
SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "Ada lived in London.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "Who?",
                            "answers": [{"text": "Ada", "answer_start": 0}],
                        }
                    ],
                }
            ]
        }
    ]
}


def read(root, name, split, *, gold=False):
    task = get(name)
    wanted = task.splits()[split]
    return list(readers.read(task, wanted.labelled_copy() if gold else wanted, root))


@pytest.fixture
def write(tmp_path):
    """A function that writes a file under the root from its lines or as JSON and gives the root."""

    def write(path, *lines, whole=None):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{line}\n" for line in lines) if whole is None else json.dumps(whole)
        target.write_text(text)
        return tmp_path

    return write


# The rows


@pytest.mark.parametrize("task", xtreme.TASKS, ids=lambda task: task.name)
def test_english_selects_and_every_language_has_its_splits(task):
    dev, test = ([split.language for split in splits] for splits in (task.dev, task.test))
    further = {split.language for split in task.translated_train}
    assert dev[0] == test[0] == task.train.language == "en"
    assert (len(set(dev)), len(set(test)), len(further)) == LANGUAGES[task.name]
    assert further == set(test) - {"en"}
    assert [split.name for split in task.dev] == dev
    assert [split.name for split in task.test] == [f"test-{code}" for code in test]
    assert task.languages == tuple(dev)


@pytest.mark.parametrize("task", xtreme.TASKS, ids=lambda task: task.name)
def test_submissions_are_where_the_benchmark_looks_for_them(task):
    folder = task.name.removeprefix("xtreme/")
    kind = "json" if task.head == "span" else "tsv"
    for split in task.test:
        assert split.submission == f"{folder}/test-{split.language}.{kind}"
        assert split.gold


def test_labels_are_in_the_published_order():
    assert get("xtreme/xnli").labels == ("contradiction", "entailment", "neutral")
    for name, count in (("xtreme/panx", 7), ("xtreme/udpos", 17)):
        labels = get(name).labels
        assert list(labels) == sorted(set(labels))
        assert len(labels) == count


def test_a_training_set_is_found_by_its_language():
    tydiqa = get("xtreme/tydiqa")
    assert tydiqa.training_split_of("en") is tydiqa.train
    assert tydiqa.training_split_of("ko").name == "train-ko"
    assert tydiqa.training_split_of("xx") is None
    assert get("xtreme/xnli").training_split_of("de").name == "translated-de"
    assert "translated-ko" in tydiqa.splits()


# The published files


@pytest.mark.slow
@pytest.mark.parametrize("name", DEV)
def test_the_files_at_hand_are_read_whole(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the published files in shared/data/{name}")
    task = get(name)
    for split in readers.present_splits(task, DATA):
        examples = read(DATA, name, split)
        assert set(examples[0]) >= {"id", "label", *task.inputs}
        assert len({example["id"] for example in examples}) == len(examples)
        if split == task.dev[0].name:
            assert len(examples) == DEV[name]


def test_tydiqa_without_its_answers_can_be_predicted_and_not_scored():
    if not (DATA / "xtreme" / "tydiqa").is_dir():
        pytest.skip("needs the published files in shared/data/xtreme/tydiqa")
    assert len(read(DATA, "xtreme/tydiqa", "train")) == 3696
    assert len(read(DATA, "xtreme/tydiqa", "test-ko")) == 276
    for split, gold in (("en", False), ("test-en", True)):
        with pytest.raises(InputError, match="every answer is blank"):
            read(DATA, "xtreme/tydiqa", split, gold=gold)


# Layouts of pairs


def test_pairs_have_no_header(write):
    for name, label in (("xnli", "entailment"), ("pawsx", "1")):
        root = write(f"xtreme/{name}/train-en.tsv", PAIR + label)
        (example,) = read(root, f"xtreme/{name}", "train")
        assert example["sentence1"] == "It rains."
        assert example["label"] == 1


def test_translations_stand_beside_their_originals(write):
    row = "It rains.\tIt is wet.\tEs regnet.\tEs ist nass.\tneutral"
    for folder in ("xtreme/xtreme_translations", "xtreme_translations"):
        root = write(f"{folder}/XNLI/translate-train/en-de-translated.tsv", row)
        (example,) = read(root, "xtreme/xnli", "translated-de")
        assert (example["sentence1"], example["sentence2"]) == ("Es regnet.", "Es ist nass.")
        (root / folder / "XNLI" / "translate-train" / "en-de-translated.tsv").unlink()


def test_the_archives_of_xnli_are_read(write):
    head = "language\tgold_label\tgenre\tsentence1\tsentence2"
    rows = ("en\tneutral\tx\tOne.\tTwo.", "de\tneutral\tx\tEins.\tZwei.", "de\tnone\tx\ta\tb")
    write("xtreme/xnli/XNLI-1.0/xnli.dev.tsv", head, *rows[:2])
    path = "xtreme/xnli/XNLI-MT-1.0/multinli/multinli.train.{}.tsv"
    for code in ("en", "de"):
        root = write(path.format(code), "premise\thypo\tlabel", "a\tb\tcontradictory")
    assert readers.locate(get("xtreme/xnli"), root) == []
    (example,) = read(root, "xtreme/xnli", "de")
    assert example == {"id": "0", "sentence1": "Eins.", "sentence2": "Zwei.", "label": 2}
    assert [read(root, "xtreme/xnli", s)[0]["label"] for s in ("train", "translated-de")] == [0, 0]
    with pytest.raises(InputError, match="no row whose 'language' is 'fr'"):
        read(root, "xtreme/xnli", "fr")


def test_the_archive_of_pawsx_is_read(write):
    for name in ("en/train", "de/translated_train", "de/dev_2k", "de/test_2k"):
        row = "7\tone\ttwo\t1"
        root = write(f"xtreme/pawsx/x-final/{name}.tsv", "id\tsentence1\tsentence2\tlabel", row)
    for split in ("train", "translated-de", "de", "test-de"):
        label = None if split == "test-de" else 1
        expected = {"sentence1": "one", "sentence2": "two", "id": "0", "label": label}
        assert read(root, "xtreme/pawsx", split) == [expected]
    assert read(root, "xtreme/pawsx", "test-de", gold=True)[0]["label"] == 1


def test_a_test_file_without_labels_cannot_be_scored(write):
    root = write("xtreme/xnli/test-en.tsv", "It rains.\tIt is wet.")
    assert read(root, "xtreme/xnli", "test-en")[0]["label"] is None
    with pytest.raises(InputError, match="line 1  has 2 columns; the label would be the next"):
        read(root, "xtreme/xnli", "test-en", gold=True)


# Layouts of questions


@pytest.mark.parametrize("folder", ["xtreme/mlqa/squad1.1", "xtreme/squad", "squad"])
def test_the_training_set_of_mlqa_and_xquad_is_squad_wherever_it_lies(write, folder):
    write("xtreme/mlqa/dev-context-en-question-en.json", whole=SQUAD)
    root = write(f"{folder}/train-v1.1.json", whole=SQUAD)
    assert readers.locate(get("xtreme/mlqa"), root) == []
    assert read(root, "xtreme/mlqa", "train")[0]["answers"] == (("Ada", 0),)


@pytest.mark.parametrize(
    ("name", "split", "path"),
    [
        ("mlqa", "de", "mlqa/dev-context-de-question-de.json"),
        ("mlqa", "de", "mlqa/MLQA_V1/dev/dev-context-de-question-de.json"),
        ("mlqa", "test-zh", "mlqa/MLQA_V1/test/test-context-zh-question-zh.json"),
        ("xquad", "test-th", "xquad/xquad.th.json"),
        ("tydiqa", "sw", "tydiqa/tydiqa.goldp.sw.dev.json"),
        ("tydiqa", "test-sw", "tydiqa/tydiqa.sw.dev.json"),
        ("tydiqa", "train", "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.en.train.json"),
        ("tydiqa", "train-fi", "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.fi.train.json"),
        (
            "tydiqa",
            "translated-fi",
            "xtreme_translations/TyDiQA-GoldP/translate-train/"
            "tydiqa.goldp.translate.train.en-fi.json",
        ),
        (
            "mlqa",
            "translated-hi",
            "xtreme_translations/SQuAD/translate-train/squad.translate.train.en-hi.json",
        ),
    ],
)
def test_questions_are_read_from_every_published_layout(write, name, split, path):
    (example,) = read(write(f"xtreme/{path}", whole=SQUAD), f"xtreme/{name}", split)
    task = get(f"xtreme/{name}")
    assert example["answers"] == ((("Ada", 0),) if task.splits()[split].labelled else ())
    numbered = name == "tydiqa" and split not in ("sw", "test-sw")
    assert example["id"] == ("0" if numbered else "1")


# What is missing


def test_a_training_set_that_is_nowhere_is_named_with_every_place(write):
    root = write("xtreme/mlqa/dev-context-en-question-en.json", whole=SQUAD)
    (problem,) = readers.locate(get("xtreme/mlqa"), root)
    assert problem.location == "train"
    assert problem.text == (
        f"no squad1.1/train-v1.1.json in {root}/xtreme/mlqa; "
        "it holds: dev-context-en-question-en.json; "
        f"nor {root}/xtreme/squad/train-v1.1.json, nor {root}/squad/train-v1.1.json"
    )


def test_a_language_that_is_needed_is_named_and_another_may_be_absent(write):
    write("xtreme/panx/train-en.tsv", "a\tO")
    root = write("xtreme/panx/dev-en.tsv", "a\tO")
    task = get("xtreme/panx")
    assert readers.locate(task, root) == []
    assert readers.present_splits(task, root) == ("train", "en")
    (problem,) = readers.locate(task, root, (task.training_split_of("sw"),))
    assert problem.location == "train-sw"
    assert problem.text == (
        f"no train-sw.tsv, or panx_dataset/sw/train in {root}/xtreme/panx; "
        "it holds: dev-en.tsv, train-en.tsv"
    )


def test_a_download_folder_that_is_called_otherwise_is_recognized(write, tmp_path):
    root = write("download/xnli/train-en.tsv", PAIR + "neutral")
    task, hint = get("xtreme/xnli"), "name it 'xtreme' and give the folder above it"
    (problem,) = readers.locate(task, root / "download")
    assert problem.text == f"no folder xtreme/xnli in {root}/download; there is 'xnli': {hint}"
    (root / "download").rename(root / "xtreme")
    (problem,) = readers.locate(task, root / "xtreme")
    assert problem.text.endswith(f"there is 'xnli': give {root}")
    assert [p.location for p in readers.locate(task, root)] == ["en"]


def test_a_root_that_is_the_task_folder_itself_is_recognized(write):
    root = write("xtreme/xnli/train-en.tsv", PAIR + "neutral")
    task = get("xtreme/xnli")
    (problem,) = readers.locate(task, root / "xtreme" / "xnli")
    assert problem.text.endswith(f"its files are in that folder itself: give {root}")
    (root / "xtreme" / "xnli").rename(root / "pairs")
    (problem,) = readers.locate(task, root / "pairs")
    assert problem.text.endswith("move it to 'xtreme/xnli' under another folder and give that one")
    (problem,) = readers.locate(task, root)
    assert problem.text == f"no folder xtreme/xnli in {root}; xtreme holds: no folders"
    (root / "xtreme" / "xnl").mkdir()
    (problem,) = readers.locate(task, root)
    assert problem.text.endswith("did you mean 'xnl'? xtreme holds: xnl")
