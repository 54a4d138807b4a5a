"""Preparation: what is cached, and that nothing broken ever is."""

import errno
import multiprocessing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.toys import toy_tokenizer

from raysearch import tasks
from raysearch.data import encoding_cache, readers
from raysearch.data.dataset import EncodedDataset
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.recipes import Hyperparameters

RTE, STSB = tasks.get("glue/rte"), tasks.get("glue/stsb")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data folder with a toy RTE and a toy STS-B; the cache lies beside it."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    for folder, header, labels in (
        ("RTE", "index\tsentence1\tsentence2\tlabel", ("entailment", "not_entailment")),
        ("STS-B", "index\tgenre\tsentence1\tsentence2\tscore", ("3.80", "0.25")),
    ):
        (tmp_path / "data" / folder).mkdir(parents=True)
        middle = "news\t" if folder == "STS-B" else ""
        rows = [
            f"{at}\t{middle}w{at} w2 w3 w4 w5 w6\tw7 w{at}\t{labels[at % 2]}" for at in range(9)
        ]
        for split in ("train", "dev"):
            path = tmp_path / "data" / folder / f"{split}.tsv"
            path.write_text("\n".join([header, *rows]) + "\n")
    return tmp_path / "data"


def make(root, task=RTE, length=32, tokenizer=None):
    hyper = Hyperparameters(max_length=length)
    return encoding_cache.prepare(
        HEADS[task.head].encoder, task, task.train, root, tokenizer or toy_tokenizer(), hyper
    )


def cache_files():
    return sorted((encoding_cache.cache_folder() / "prepared").glob("*"))


def test_what_was_prepared_is_not_prepared_again(root, monkeypatch):
    first = make(root)
    monkeypatch.setattr(readers, "read", None)
    again = make(root)
    assert (first.cached, again.cached) == (False, True)
    assert again.table.equals(first.table)
    assert again.digest == first.digest


def test_any_change_of_data_tokenizer_or_length_is_another_preparation(root):
    tokenizer, digests = toy_tokenizer(), set()
    digests.add(make(root).digest)
    digests.add(make(root, length=9).digest)
    digests.add(make(root, STSB).digest)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    digests.add(make(root, tokenizer=tokenizer).digest)
    with (root / "RTE" / "train.tsv").open("a") as file:
        file.write("9\tw1\tw2\tentailment\n")
    digests.add(make(root).digest)
    assert len(digests) == 5


def test_what_a_tokenizer_did_before_is_no_part_of_it(root):
    used = toy_tokenizer()
    used(["w1 w2 w3"], truncation=True, max_length=3, padding="max_length")
    assert make(root, tokenizer=used).digest == make(root).digest


def test_a_pair_is_cut_from_its_longer_text(root):
    examples = EncodedDataset(
        *[getattr(make(root, length=8), name) for name in ("table", "padding")]
    )
    assert set(examples.lengths) == {8}
    words = toy_tokenizer().convert_ids_to_tokens(examples.collate([1])["input_ids"][0])
    assert words == ["[CLS]", "w1", "w2", "w3", "[SEP]", "w7", "w1", "[SEP]"]
    assert examples.collate([1])["token_type_ids"].tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]


def test_longer_training_examples_are_left_out_where_a_study_says_so_and_dev_is_cut(root):
    rows = [f"{at}\t{'w1 ' * (at + 1)}\tw7\tentailment" for at in range(9)]
    for split in ("train", "dev"):
        path = root / "RTE" / f"{split}.tsv"
        path.write_text("\n".join(["index\tsentence1\tsentence2\tlabel", *rows]) + "\n")
    hyper = Hyperparameters(max_length=9, over_length="drop")  # [CLS] w1 * 5 [SEP] w7 [SEP]
    for _ in range(2):  # prepared, and from the cache
        made = encoding_cache.prepare(
            HEADS[RTE.head].encoder, RTE, RTE.train, root, toy_tokenizer(), hyper
        )
        assert made.table["id"].to_pylist() == ["0", "1", "2", "3", "4"]
        assert "4 examples left out: longer than 9 tokens" in made.skipped
    dev = encoding_cache.prepare(
        HEADS[RTE.head].encoder, RTE, RTE.dev[0], root, toy_tokenizer(), hyper
    )
    assert (dev.table.num_rows, dev.skipped) == (9, "")
    assert max(map(len, dev.table["input_ids"].to_pylist())) == 9


def test_a_task_that_loses_every_example_is_an_error(root):
    hyper = Hyperparameters(max_length=8, over_length="drop")
    with pytest.raises(InputError, match="a larger max_length would do"):
        encoding_cache.prepare(
            HEADS[RTE.head].encoder, RTE, RTE.train, root, toy_tokenizer(), hyper
        )


def test_labels_are_classes_or_scores(root):
    assert make(root).table["label"].to_pylist()[:3] == [0, 1, 0]
    scores = make(root, STSB).table["label"]
    assert scores.type == pa.float32()
    np.testing.assert_allclose(scores.to_numpy()[:2], [3.8, 0.25])


@pytest.mark.parametrize("keep", [0, 7, 0.5, 0.99])
def test_a_torn_cache_file_is_made_anew(root, keep):
    first = make(root).table.to_pylist()  # copied: a mapped file must not shrink
    (path,) = cache_files()
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if keep > 1 else int(len(whole) * keep)])
    again = make(root)
    assert not again.cached
    assert again.table.to_pylist() == first
    assert path.read_bytes() == whole


def test_a_cache_file_with_broken_offsets_is_made_anew(root):
    make(root)
    (path,) = cache_files()
    content = bytearray(path.read_bytes())
    offsets = np.cumsum([0, *[11] * 9]).astype(np.int32).tobytes()
    at = content.index(offsets)
    content[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)
    assert not make(root).cached
    assert make(root).cached


def test_a_full_disk_leaves_no_half_file_and_says_what_would_do(root, monkeypatch):
    class ToyFullDisk:
        def __init__(self, path, schema):
            self.file = Path(path).open("wb")  # noqa: SIM115

        def __enter__(self):
            return self

        def write_batch(self, batch):
            self.file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        def __exit__(self, *error):
            self.file.close()

    with monkeypatch.context() as full:
        full.setattr(pa.ipc, "new_file", ToyFullDisk)
        with pytest.raises(InputError, match=r"No space left(.|\n)*RAYSEARCH_CACHE"):
            make(root)
    assert cache_files() == []
    assert not make(root).cached


def test_a_bad_row_leaves_nothing_behind(root):
    with (root / "RTE" / "train.tsv").open("a") as file:
        file.write("9\tw1\tw2\tmaybe\n")
    with pytest.raises(InputError, match="line 11"):
        make(root)
    assert cache_files() == []


def prepare_often(root, queue):
    try:
        tables = [make(root, length=length).table.num_rows for length in range(20, 40)]
        queue.put(tables == [9] * 20)
    except BaseException as error:
        queue.put(repr(error))
        raise


def test_two_processes_may_prepare_the_same_at_once(root):
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    started = [fork.Process(target=prepare_often, args=(root, queue)) for _ in range(2)]
    for process in started:
        process.start()
    assert [queue.get(timeout=60) for _ in started] == [True, True]
    for process in started:
        process.join()
    assert len(cache_files()) == 20


def test_unusable_rows_that_a_study_allows_are_left_out_and_told(root):
    path = root / "RTE" / "train.tsv"
    path.write_text(path.read_text() + "9\tw1\tw2\tmaybe\n")
    with pytest.raises(InputError, match="maybe"):
        make(root)
    for cached in (False, True):
        made = encoding_cache.prepare(
            HEADS[RTE.head].encoder, RTE, RTE.train, root, toy_tokenizer(), Hyperparameters(), 1
        )
        assert made.cached is cached
        assert made.table.num_rows == 9
        assert "maybe" in made.skipped


def test_a_few_examples_are_whole_ones_spread_over_the_file(root):
    made = make(root)
    assert encoding_cache.subsample(made.table, 3)["id"].to_pylist() == ["0", "4", "8"]
    assert encoding_cache.subsample(made.table, None) is made.table
    assert encoding_cache.subsample(made.table, 99) is made.table
