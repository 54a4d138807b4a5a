"""A text is read where it lies: never copied as a whole, and the same blocks as from memory."""

import gc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from support.toys import toy_tokenizer

from raysearch import tasks
from raysearch.data import encoding_cache
from raysearch.data.dataset import EncodedDataset
from raysearch.data.encoders import masked_lm
from raysearch.data.masked_blocks import MaskedBlocks
from raysearch.data.token_stream import TokenStream
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.recipes import RECIPES
from raysearch.search.data_preparation import _worker_input, describe_count
from raysearch.workers import remote_text

TEXT = tasks.get("text/lines")
HYPER = RECIPES["cross_thought"].hyper()
CPU = torch.device("cpu")
NODE = "a node"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text in two splits, prepared 7 lines at a time."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(masked_lm, "LINES", 7)
    (tmp_path / "text").mkdir()
    random = np.random.default_rng(0)
    for name, count in (("train", 150), ("dev", 20)):
        rows = (" ".join(f"w{n}" for n in random.integers(80, size=s))
                for s in random.integers(1, 30, count))  # fmt: skip
        (tmp_path / "text" / f"{name}.txt").write_text("\n".join(rows))
    return tmp_path


@pytest.fixture
def parts(data: Path) -> list[encoding_cache.Prepared]:
    splits = (TEXT.train, TEXT.dev[0])
    return [
        encoding_cache.prepare(HEADS[TEXT.head].encoder, TEXT, split, data, toy_tokenizer(), HYPER)
        for split in splits
    ]


def rows(data: Path, name: str) -> list[list[int]]:
    """The tokens of every line, from the raw file."""
    ids = (data / "text" / f"{name}.txt").read_text().replace("w", "").splitlines()
    return [[*(5 + int(n) for n in line.split()), 3] for line in ids]


def joined(data: Path, *names: str) -> list[int]:
    """The tokens of splits, one behind the other."""
    return [token for name in names for row in rows(data, name) for token in row]


def from_memory(whole, size, draw, row):
    """A block of a text in memory as raysearch masked it before it read from files: ids, what is to
    be guessed, shift."""
    begin, count = row * (size - 1), min(size, len(whole) - row * (size - 1) + 1)
    ids, gold = np.array([2, *whole[begin : begin + size - 1]]), np.full(count, -100)
    random = np.random.default_rng([*draw, row])
    masked = max(1, int(0.15 * count + random.random()))
    places = random.choice(count, masked, replace=False)
    gold[places] = ids[places]
    fate = random.random(masked)
    ids[places[fate < 0.8]] = 4
    other = places[fate >= 0.9]
    ids[other] = random.choice(np.arange(5, 85), len(other))
    return ids, gold, random.random(dtype=np.float32)


def test_a_text_is_kept_as_its_batches_in_the_file_and_its_tokens_are_the_lines(data, parts):
    for made, name in zip(parts, ("train", "dev"), strict=True):
        wanted = rows(data, name)
        assert made.table["input_ids"].num_chunks == -(-len(wanted) // 7) > 1
        assert made.table["input_ids"].to_pylist() == wanted
        assert describe_count(TEXT, made.table) == f"{len(wanted)} examples"
        text = TokenStream(made.table, made.padding)
        assert text.read(0, len(text)).tolist() == joined(data, name)


def test_lines_are_encoded_together_up_to_so_many_characters():
    examples = [{"id": str(at), "text": "x" * size, "label": None}
                for at, size in enumerate([3, 2**19, 2**19, 5, 2**20, 7])]  # fmt: skip
    found = [[example["id"] for example in chunk] for chunk in masked_lm.chunks(iter(examples))]
    assert found == [["0", "1", "2"], ["3", "4"], ["5"]]
    assert [len(chunk) for chunk in masked_lm.chunks(iter(examples[:1] * 25_000))] == [
        masked_lm.LINES, masked_lm.LINES, 25_000 - 2 * masked_lm.LINES]  # fmt: skip


def test_any_part_of_a_text_is_read_across_batches_and_files(data, parts):
    whole = np.array(joined(data, "train", "dev"))
    text = TokenStream.of_files([str(made.path) for made in parts], parts[0].padding)
    assert len(text) == len(whole)
    random = np.random.default_rng(1)
    for begin, end in np.sort(random.integers(len(whole) + 1, size=(500, 2)), axis=1):
        if begin < end:
            np.testing.assert_array_equal(text.read(begin, end), whole[begin:end])


def test_a_text_may_have_more_tokens_than_32_bits_count(parts):
    one = pa.concat_tables([parts[0].table] * 1000).combine_chunks()
    tokens = one["input_ids"].combine_chunks().flatten().to_numpy()
    copies = 2**31 // len(tokens) + 2
    blocks = MaskedBlocks(
        TokenStream(pa.concat_tables([one] * copies), parts[0].padding), 2**15, 0.15
    )
    begin = (len(blocks) - 2) * (2**15 - 1)
    assert begin > 2**31
    batch = blocks.batch([len(blocks) - 2], CPU)
    found = torch.where(batch["masked"] == -100, batch["input_ids"], batch["masked"])[0, 1:]
    wanted = np.take(tokens, np.arange(begin, begin + 2**15 - 1), mode="wrap")
    np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("size", [2, 16, 61, 100_000])
def test_blocks_of_mapped_files_are_bit_for_bit_those_of_a_text_in_memory(data, parts, size):
    whole = joined(data, "train", "dev")
    text = TokenStream.of_files([str(made.path) for made in parts], parts[0].padding)
    blocks = MaskedBlocks(text, size, 0.15)
    assert len(blocks) == -(-len(whole) // (size - 1))
    for draw in ((0, 0), (3, 5)):
        seen = blocks.with_epoch(*draw) if any(draw) else blocks
        for row in {0, len(blocks) // 2, len(blocks) - 1}:
            ids, gold, shift = from_memory(whole, size, draw, row)
            batch = {name: x[0].numpy() for name, x in seen.batch([row], CPU).items()}
            np.testing.assert_array_equal(batch["input_ids"], ids)
            np.testing.assert_array_equal(batch["masked"], gold)
            assert batch["shift"] == shift
            assert seen.loss_counts([row]) == {"units": (gold != -100).sum()}


@pytest.mark.slow
def test_reading_blocks_takes_no_memory_of_arrow(parts):
    gc.collect()
    before = pa.total_allocated_bytes()
    text = TokenStream.of_files([str(parts[0].path)], parts[0].padding)
    blocks = MaskedBlocks(text, 64, 0.15)
    for row in range(len(blocks)):
        blocks.batch([row], CPU)
    assert pa.total_allocated_bytes() == before


def test_a_few_lines_of_a_text_are_spread_over_it(data, parts):
    dev = parts[1]
    table = encoding_cache.subsample(dev.table, 3)
    assert table["input_ids"].to_pylist() == [rows(data, "dev")[at] for at in (0, 9, 19)]
    assert encoding_cache.subsample(dev.table, 20) is dev.table


@pytest.fixture
def toy_ray(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for Ray: an actor that answers at once; the nodes that actors were asked for."""
    asked = []

    class ToyCall:
        def __init__(self, call):
            self.remote = call

    class ToyActor:
        def __init__(self, actor):
            for name in ("describe", "read"):
                setattr(self, name, ToyCall(getattr(actor, name)))

    def toy_reader(node):
        asked.append(node)
        return ToyActor(remote_text.TextReader())

    class ToyContext:
        def get_node_id(self):
            return NODE

    monkeypatch.setattr(remote_text, "_reader", toy_reader)
    monkeypatch.setattr(remote_text.ray, "get", lambda value: value)
    monkeypatch.setattr(remote_text.ray, "get_runtime_context", ToyContext)
    return asked


def test_a_worker_is_told_where_a_text_is_and_maps_it(parts, toy_ray):
    train, padding = _worker_input(encoding_cache.concat_splits(parts), parts)
    assert train == remote_text.StoredText(paths=tuple(str(made.path) for made in parts), node=NODE)
    text = remote_text.open_split(train, padding)
    assert (type(text), toy_ray) == (TokenStream, [])
    assert len(text) == sum(len(TokenStream(made.table, made.padding)) for made in parts)
    assert text.vocabulary().tolist() == list(range(85))


def test_a_few_lines_and_other_examples_are_handed_over_themselves(parts, toy_ray):
    table, padding = _worker_input(encoding_cache.subsample(parts[1].table, 3), [parts[1]])
    assert len(remote_text.open_split(table, padding)) == len(
        table["input_ids"].combine_chunks().flatten()
    )
    plain = pa.table({"input_ids": [[1, 2]], "id": ["0"]})
    assert isinstance(remote_text.open_split(plain, {"input_ids": 0}), EncodedDataset)


def test_on_another_node_a_text_is_read_where_it_was_prepared(parts, toy_ray, monkeypatch):
    train, padding = _worker_input(encoding_cache.concat_splits(parts), parts)
    near = remote_text.open_split(train, padding)
    monkeypatch.setattr(remote_text.Path, "is_file", lambda path: False)
    far = remote_text.open_split(train, padding)
    assert toy_ray == [NODE]
    ours, theirs = (MaskedBlocks(text, 16, 0.15).batch([0, 7, 11], CPU) for text in (near, far))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    np.testing.assert_array_equal(far.vocabulary(), near.vocabulary())


def test_a_text_that_no_node_has_is_an_error_that_names_the_cache(parts, toy_ray, monkeypatch):
    class ToyTaskError(Exception):
        cause = "No such file"

    def fail(value):
        raise ToyTaskError

    train, padding = _worker_input(parts[0].table, parts[:1])
    Path(train.paths[0]).rename(parts[0].path.with_suffix(".gone"))
    monkeypatch.setattr(remote_text.ray.exceptions, "RayTaskError", ToyTaskError)
    monkeypatch.setattr(remote_text.TextReader, "describe", lambda reader, paths: paths)
    monkeypatch.setattr(remote_text.ray, "get", fail)
    with pytest.raises(InputError, match=r"No such file(.|\n)*RAYSEARCH_CACHE"):
        remote_text.open_split(train, padding)
