"""Finding a task's files, telling what is missing, fingerprints, and the generated toy."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from raysearch.data import readers
from raysearch.data.readers import toy_grammar
from raysearch.errors import InputError
from raysearch.tasks import TASKS, get

HEADER = "index\tsentence1\tsentence2\tlabel"
GOOD = "0\tIt rains.\tIt is wet.\tentailment"


def read(name, split, root):
    task = get(name)
    return list(readers.read(task, task.splits()[split], root))


@pytest.fixture
def rte(tmp_path):
    """A function that writes a file of RTE from lines and gives its root."""

    def write(*lines, file="train.tsv"):
        (tmp_path / "RTE").mkdir(exist_ok=True)
        (tmp_path / "RTE" / file).write_text("".join(f"{line}\n" for line in lines))
        return tmp_path

    return write


# Finding files


def located(root, name="glue/rte"):
    return [(problem.location, problem.text) for problem in readers.locate(get(name), root)]


def test_all_missing_files_are_named_at_once_with_what_there_is(rte):
    root = rte(HEADER, file="trian.tsv")
    folder = root / "RTE"
    assert located(root) == [
        ("train", f"no train.tsv in {folder}; did you mean 'trian.tsv'? it holds: trian.tsv"),
        ("dev", f"no dev.tsv in {folder}; it holds: trian.tsv"),
    ]


def test_both_published_forms_are_named(tmp_path):
    (tmp_path / "MRPC").mkdir()
    (_, text), _ = located(tmp_path, "glue/mrpc")
    assert "no train.tsv, or msr_paraphrase_train.txt with dev_ids.tsv in" in text
    assert text.endswith("it holds: nothing")


def test_reading_a_split_whose_file_is_missing_is_refused_at_once(rte):
    task, root = get("glue/rte"), rte(HEADER, GOOD)
    with pytest.raises(InputError, match=r"no dev\.tsv in"):
        readers.read(task, task.dev[0], root)


def test_a_root_that_is_not_there_is_named(tmp_path):
    ((_, text),) = located(tmp_path / "data")
    assert text == f"no folder {tmp_path / 'data'}; give the folder that holds RTE/ or glue/RTE/"


def test_a_root_that_is_the_task_folder_itself_is_recognized(rte):
    root = rte(HEADER, GOOD)
    ((_, text),) = located(root / "RTE")
    assert text.endswith(f"its files are in that folder itself: give {root}")


@pytest.mark.parametrize("folder", ["rte", "Rte"])
def test_a_folder_in_other_letters_is_recognized(tmp_path, folder):
    (tmp_path / folder).mkdir()
    ((_, text),) = located(tmp_path)
    assert text.endswith(f"there is '{folder}': rename it to 'RTE'")


def test_a_folder_one_level_down_is_recognized(tmp_path):
    (tmp_path / "glue_data" / "RTE").mkdir(parents=True)
    ((_, text),) = located(tmp_path)
    assert text == (
        f"no folder RTE or glue/RTE in {tmp_path}; there is one in {tmp_path / 'glue_data'}: "
        "give that folder, or rename it to 'glue'"
    )
    (tmp_path / "glue" / "rte").mkdir(parents=True)
    ((_, text),) = located(tmp_path)
    assert text.endswith("there is 'glue/rte': rename it to 'RTE'")


def test_a_further_dev_split_may_be_absent(tmp_path):
    (tmp_path / "MNLI").mkdir()
    for file in ("train.tsv", "dev_matched.tsv"):
        (tmp_path / "MNLI" / file).touch()
    assert located(tmp_path, "glue/mnli") == []
    assert readers.present_splits(get("glue/mnli"), tmp_path) == ("train", "matched")


def test_a_task_that_is_only_predicted_needs_its_test_file(tmp_path):
    ((_, text),) = located(tmp_path, "glue/ax")
    assert text.startswith(f"no folder diagnostic or glue/diagnostic in {tmp_path}")
    (tmp_path / "diagnostic").mkdir()
    (tmp_path / "diagnostic" / "diagnostic.tsv").write_text("index\tsentence1\tsentence2\n0\ta\tb")
    assert located(tmp_path, "glue/ax") == []
    assert len(read("glue/ax", "test", tmp_path)) == 1


# One folder for all benchmarks


@pytest.fixture
def both(rte):
    """A data folder with glue/RTE beside another benchmark's folder, and nothing in RTE itself."""
    root = rte(HEADER, GOOD)
    (root / "glue").mkdir()
    (root / "RTE").rename(root / "glue" / "RTE")
    (root / "squad").mkdir()
    return root


def test_a_folder_may_stand_in_one_called_by_its_benchmark(both):
    task = get("glue/rte")
    assert readers.present_splits(task, both) == ("train",)
    assert [row["sentence1"] for row in read("glue/rte", "train", both)] == ["It rains."]
    alone = readers.fingerprint(task, task.train, both / "glue")
    assert readers.fingerprint(task, task.train, both) == alone
    assert located(both) == [("dev", f"no dev.tsv in {both / 'glue' / 'RTE'}; it holds: train.tsv")]


def test_of_two_folders_the_one_in_the_root_itself_is_read_and_the_other_told(both, rte):
    rte(HEADER, GOOD, GOOD.replace("0", "1", 1))
    assert len(read("glue/rte", "train", both)) == 2
    first, second = both / "RTE", both / "glue" / "RTE"
    told = f"it holds: train.tsv; {second} is not read, because {first} exists"
    assert located(both) == [("dev", f"no dev.tsv in {first}; {told}")]


def test_both_places_that_were_looked_at_are_named(both):
    ((_, text),) = located(both, "glue/cola")
    assert text == f"no folder CoLA or glue/CoLA in {both}; glue holds: RTE"


def test_a_row_that_is_unusable_is_named_with_the_folder_that_it_is_in(both):
    (both / "glue" / "RTE" / "train.tsv").write_text(f"{HEADER}\n0\ta\tb\tmaybe\n")
    with pytest.raises(InputError) as caught:
        read("glue/rte", "train", both)
    assert caught.value.source == str(both / "glue" / "RTE" / "train.tsv")


# Fingerprints


def test_a_fingerprint_follows_the_content_and_not_the_place(rte, tmp_path):
    task, root = get("glue/rte"), rte(HEADER, GOOD)
    before = readers.fingerprint(task, task.train, root)
    shutil.copytree(root / "RTE", tmp_path / "copy" / "RTE")
    assert readers.fingerprint(task, task.train, tmp_path / "copy") == before
    rte(HEADER, GOOD.replace("wet", "dry"))
    assert readers.fingerprint(task, task.train, root) != before


def test_splits_of_one_file_have_fingerprints_of_their_own(tmp_path):
    (tmp_path / "MRPC").mkdir()
    for file in ("msr_paraphrase_train.txt", "dev_ids.tsv"):
        (tmp_path / "MRPC" / file).write_text("x")
    task = get("glue/mrpc")
    one, two = (readers.fingerprint(task, split, tmp_path) for split in (task.train, task.dev[0]))
    assert one != two


# The toy


@pytest.fixture(scope="module")
def toy():
    return {split: read("toy/grammar", split, Path(".")) for split in ("train", "dev", "test")}


def test_the_toy_is_the_same_every_time_and_balanced(toy, tmp_path):
    assert read("toy/grammar", "train", tmp_path) == toy["train"]
    assert Counter(row["label"] for row in toy["train"]) == {0: 1500, 1: 1500}
    assert {row["label"] for row in toy["test"]} == {None}


def test_the_toy_needs_no_files(tmp_path):
    task = get("toy/grammar")
    assert readers.locate(task, tmp_path) == []
    assert readers.present_splits(task, tmp_path) == ("train", "dev", "test")
    one, two = (readers.fingerprint(task, split, tmp_path) for split in (task.train, task.dev[0]))
    assert one != two


def test_the_toy_has_fewer_than_a_hundred_words_all_in_its_train_split(toy):
    words = {
        name: {word for row in rows for word in row["sentence"].split()}
        for name, rows in toy.items()
    }
    assert len(words["train"]) < 100
    assert words["dev"] | words["test"] <= words["train"]


def test_no_sentence_of_the_toy_is_in_two_splits(toy):
    sentences = [row["sentence"] for rows in toy.values() for row in rows]
    assert len(set(sentences)) == len(sentences) == 4000


def test_the_toy_cannot_be_told_by_counting_words(toy):
    for row in toy["dev"]:
        words = row["sentence"].split()
        nouns = [word for word in words if word.removesuffix("s") in toy_grammar.NOUNS]
        assert sorted(noun.endswith("s") for noun in nouns) == [False, True]


# The table


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_reader_tells_the_files_of_every_split(task, tmp_path):
    for split in task.splits().values():
        forms = readers.READERS[task.reader].split_paths(task, split, tmp_path)
        assert forms
        assert all(tmp_path in path.parents for files in forms for path in files)
