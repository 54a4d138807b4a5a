"""Which rows a step sees, and how they are cut and padded."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
import torch
from support.toys import toy_examples

from raysearch.data.dataset import EncodedDataset
from raysearch.data.sampling import (
    MicroBatchCost,
    divide_by_tokens,
    length_sorted_batches,
    pack_micro_batches,
    padded_share,
    step_batches,
)


def steps(count, *args, **options):
    return list(itertools.islice(step_batches(*args, **options), count))


@pytest.mark.parametrize(("examples", "batch"), [(50, 8), (48, 8), (5, 8), (1, 1)])
def test_every_pass_sees_every_row_once_in_batches_of_bsz(examples, batch):
    per_pass = -(-examples // batch)
    two = steps(2 * per_pass, examples, batch, seed=1)
    for one in (two[:per_pass], two[per_pass:]):
        assert sorted(np.concatenate(one)) == list(range(examples))
        assert [len(rows) for rows in one[:-1]] == [batch] * (per_pass - 1)


def test_order_depends_on_the_seed_and_the_pass():
    first, again, other = (np.concatenate(steps(10, 50, 10, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[:50], first[50:])


@pytest.mark.parametrize("start", [0, 3, 7, 8, 20])
def test_a_stream_goes_on_where_a_checkpoint_left_it(start):
    whole = steps(25, 50, 8, seed=4)[start:]
    rest = steps(25 - start, 50, 8, seed=4, start=start)
    assert all(map(np.array_equal, whole, rest))


def brute_force(rows, lengths, cost):
    """The cheapest cut of rows sorted by length, out of all of them."""
    rows = sorted(rows, key=lambda row: -lengths[row])
    found = np.inf
    for marks in itertools.product((0, 1), repeat=len(rows) - 1):
        parts, part = [], [rows[0]]
        for mark, row in zip(marks, rows[1:], strict=True):
            if mark:
                parts.append(part)
                part = []
            part.append(row)
        sizes = [len(p) * lengths[p[0]] for p in [*parts, part]]
        fits = all(s <= cost.limit or len(p) == 1 for s, p in zip(sizes, [*parts, part]))  # noqa: B905
        found = min(found, sum(sizes) + cost.overhead * len(sizes)) if fits else found
    return found


@pytest.mark.parametrize(("overhead", "limit"), [(0, 999), (5, 999), (20, 999), (5, 30), (0, 9)])
def test_a_cut_is_the_cheapest_there_is(overhead, limit):
    random = np.random.default_rng(0)
    for _ in range(5):
        lengths, rows = random.integers(1, 20, 30), random.permutation(30)[:8]
        cost = MicroBatchCost(overhead=overhead, limit=limit)
        parts = pack_micro_batches(rows, lengths, cost)
        assert sorted(np.concatenate(parts)) == sorted(rows)
        sizes = [len(part) * lengths[part].max() for part in parts]
        assert all(s <= limit or len(p) == 1 for s, p in zip(sizes, parts, strict=True))
        assert sum(sizes) + overhead * len(sizes) == brute_force(list(rows), lengths, cost)


def test_parts_without_padding_are_few_and_within_their_limit():
    random = np.random.default_rng(1)
    for limit in (16, 40, 100, 10_000):
        tokens = random.integers(1, 17, 60)
        rows = random.permutation(60)[:9]
        parts = divide_by_tokens(rows, tokens, limit)
        assert sorted(np.concatenate(parts)) == sorted(rows)
        ordered = np.concatenate(parts)
        assert all(np.diff(tokens[ordered]) <= 0)
        assert max(tokens[part].sum() for part in parts) <= limit
        every = (cuts for n in range(9) for cuts in itertools.combinations(range(1, 9), n))
        fewest = next(  # the divisions with the fewest cuts come first
            len(cuts) + 1
            for cuts in every
            if max(tokens[part].sum() for part in np.split(ordered, cuts)) <= limit
        )
        assert len(parts) == fewest
    alone = divide_by_tokens(np.array([3, 1]), np.array([9, 50, 9, 60]), 20)
    assert [part.tolist() for part in alone] == [[3], [1]]


def test_evaluation_batches_hold_every_row_within_their_tokens():
    lengths = np.random.default_rng(0).integers(1, 60, 200)
    batches = length_sorted_batches(lengths, 100)
    assert sorted(np.concatenate(batches)) == list(range(200))
    assert all(len(rows) * lengths[rows].max() <= 100 for rows in batches)
    assert [len(rows) for rows in length_sorted_batches(np.array([500, 500]), 100)] == [1, 1]


def test_a_batch_is_padded_with_each_columns_own_value():
    table = pa.table({
        "input_ids": pa.array([[2, 7, 3], [2, 3]], pa.list_(pa.int32())),
        "token_type_ids": pa.array([[0, 1, 1], [0, 0]], pa.list_(pa.int32())),
        "label": pa.array([1.5, 0.0], pa.float32()),
        "id": ["a", "b"],
    })  # fmt: skip
    batch = EncodedDataset(table, {"input_ids": 1, "token_type_ids": 0}).collate([1, 0], multiple=4)
    assert batch["input_ids"].tolist() == [[2, 3, 1, 1], [2, 7, 3, 1]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert batch["labels"].tolist() == [0.0, 1.5]
    assert batch["labels"].dtype == torch.float32
    assert batch["input_ids"].dtype == torch.int64


def test_examples_of_a_slice_are_the_slices_own():
    whole = toy_examples(20)
    part = EncodedDataset(whole.table.slice(5, 10), whole.padding)
    np.testing.assert_array_equal(part.lengths, whole.lengths[5:15])
    assert part.ids() == whole.ids()[5:15]
    ours, theirs = part.collate([0, 3]), whole.collate([5, 8])
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_vocabulary_is_what_batches_can_hold():
    whole = toy_examples(20)
    examples = EncodedDataset(whole.table.slice(3, 9), whole.padding)
    ids = set(examples.collate(range(9))["input_ids"].unique().tolist())
    assert set(examples.vocabulary().tolist()) == ids | {0}


def test_padded_share_counts_what_is_not_a_token():
    lengths = np.array([4, 2, 1])
    assert padded_share([np.array([0, 1]), np.array([2])], lengths) == pytest.approx(2 / 9)
