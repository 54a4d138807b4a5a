"""The division of dev splits: what is searched on and what is printed."""

import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from support.paths import SHARED
from support.toys import toy_tokenizer

from raysearch import tasks
from raysearch.data import dev_parts, encoding_cache
from raysearch.data.dev_parts import DevExample
from raysearch.heads import HEADS
from raysearch.recipes import Hyperparameters

RTE, STSB, SQUAD, XNLI, MLQA = map(
    tasks.get, ("glue/rte", "glue/stsb", "squad/v2.0", "xtreme/xnli", "xtreme/mlqa")
)
COUNTS = (277, 41, 3)  # examples of each class


def labelled(counts=COUNTS, prefix="id "):
    """Examples of so many of each class, in a mixed order."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    labels = np.random.default_rng(5).permutation(labels).tolist()
    return [DevExample(keys=(f"{prefix}{n}",), label=x) for n, x in enumerate(labels)]


def grouped(sizes, kind="context"):
    """Examples that share a text with others, as questions do."""
    names = [group for group, size in enumerate(sizes) for _ in range(size)]
    return [DevExample(keys=(f"id q{n}", f"{kind} {name}")) for n, name in enumerate(names)]


def sides(examples, mask):
    return {example.keys[0]: bool(held) for example, held in zip(examples, mask, strict=True)}


@pytest.mark.parametrize("share", [0.5, 0.3, 0.9, 0.01])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_class_has_its_share_within_one_example(share, seed):
    examples = labelled()
    mask = dev_parts.held_out(RTE, {"dev": examples}, share, seed)["dev"]
    assert mask.shape == (sum(COUNTS),)
    assert abs(mask.sum() - share * sum(COUNTS)) <= 0.5
    held = Counter(e.label for e, side in zip(examples, mask, strict=True) if side)
    for label, count in enumerate(COUNTS):
        assert abs(held[label] - share * count) <= 1


def test_each_tenth_of_a_regression_has_its_share_within_one_example():
    scores = np.random.default_rng(0).permutation(200) / 40
    examples = [DevExample(keys=(f"id {n}",), label=float(x)) for n, x in enumerate(scores)]
    mask = dev_parts.held_out(STSB, {"dev": examples}, 0.3, 1)["dev"]
    tenths = mask[np.argsort(scores)].reshape(10, 20).sum(axis=1)
    assert all(abs(tenths - 6) <= 1)
    assert mask.sum() == 60


def test_examples_that_share_a_text_stay_together_in_all_splits():
    sizes = np.random.default_rng(2).integers(1, 12, 90)
    examples = grouped(sizes)
    part = [e for e in examples if int(e.keys[1].split()[1]) % 3 == 0]
    renamed = [DevExample(keys=(f"id other {n}", e.keys[1])) for n, e in enumerate(part)]
    masks = dev_parts.held_out(SQUAD, {"dev": examples, "third": renamed}, 0.5, 1)
    side_of = {}
    for split, rows in (("dev", examples), ("third", renamed)):
        for example, side in zip(rows, masks[split], strict=True):
            assert side_of.setdefault(example.keys[1], side) == side
    assert set(side_of.values()) == {True, False}
    assert abs(masks["dev"].sum() - sizes.sum() / 2) <= sizes.max() / 2


def test_translations_are_divided_like_the_first_split_whatever_their_order_and_number():
    english = labelled((60, 60, 60))
    german, few = english[::-1], english[10:50]
    masks = dev_parts.held_out(XNLI, {"en": english, "de": german, "sw": few}, 0.5, 1)
    first = sides(english, masks["en"])
    assert sides(german, masks["de"]) == first
    assert sides(few, masks["sw"]).items() <= first.items()
    assert sum(first.values()) == 90


def test_a_question_and_its_translations_stay_together_though_their_contexts_differ():
    english = grouped([2] * 40)
    german = [DevExample(keys=(e.keys[0], f"context de {(n + 1) // 2}"))
              for n, e in enumerate(english[:20])]  # fmt: skip
    masks = dev_parts.held_out(MLQA, {"en": english, "de": german}, 0.5, 1)
    joined = masks["en"][:20]  # each German context has questions of two English ones
    assert len(set(joined)) == 1
    assert set(masks["de"]) == set(joined)
    assert masks["en"].sum() == 40


def test_neither_the_order_of_a_file_nor_further_splits_matter_but_share_and_seed_do():
    examples = labelled()

    def divide(rows, share=0.5, seed=1, **more):
        return sides(rows, dev_parts.held_out(RTE, {"dev": rows, **more}, share, seed)["dev"])

    found = divide(examples)
    assert divide(examples[::-1]) == found
    assert divide(examples, more=labelled(prefix="id more ")) == found
    assert divide(examples, seed=2) != found
    others = [divide(examples, seed=seed) for seed in range(40)]
    shares = [np.mean([other[name] for other in others]) for name in found]
    assert 0.45 < np.mean(shares) < 0.55
    assert max(shares) < 0.85  # no example is always on one side
    assert min(shares) > 0.15


@pytest.mark.slow
def test_another_process_divides_alike():
    code = (
        "from raysearch import tasks; from raysearch.data.dev_parts import *; import json;"
        "rows = [DevExample(keys=(f'id {n}',), label=n % 3) for n in range(50)];"
        "mask = held_out(tasks.get('glue/rte'), {'dev': rows}, 0.4, 9)['dev'];"
        "print(json.dumps(mask.tolist()))"
    )
    found = [
        json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                                  env={**os.environ, "PYTHONHASHSEED": seed}).stdout)
        for seed in ("1", "2")
    ]  # fmt: skip
    rows = [DevExample(keys=(f"id {n}",), label=n % 3) for n in range(50)]
    mask = dev_parts.held_out(RTE, {"dev": rows}, 0.4, 9)["dev"]
    assert found == [mask.tolist()] * 2


@pytest.mark.parametrize("count", [None, 31])
def test_the_prepared_table_is_cut_into_two_tables_with_all_examples(tmp_path, monkeypatch, count):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "RTE").mkdir()
    rows = [f"{n}\tw1 w{n}\tw2\t{'entailment' if n % 3 else 'not_entailment'}" for n in range(60)]
    text = "\n".join(["index\tsentence1\tsentence2\tlabel", *rows])
    for name in ("train", "dev"):
        (tmp_path / "RTE" / f"{name}.tsv").write_text(text + "\n")
    examples = dev_parts.read_dev(RTE, tmp_path, count)["dev"]
    mask = dev_parts.held_out(RTE, {"dev": examples}, 0.5, 1)["dev"]
    whole = encoding_cache.prepare(
        HEADS[RTE.head].encoder, RTE, RTE.dev[0], tmp_path, toy_tokenizer(), Hyperparameters()
    )
    table = encoding_cache.subsample(whole.table, count)
    searched, printed = encoding_cache.divide(table, mask)
    held = {e.keys[0].rpartition(" ")[2] for e, side in zip(examples, mask, strict=True) if side}
    assert set(printed["id"].to_pylist()) == held
    assert sorted(searched["id"].to_pylist() + printed["id"].to_pylist()) == sorted(
        table["id"].to_pylist()
    )
    assert searched.schema == table.schema
    if count is None:
        labels = Counter(printed["label"].to_pylist())
        assert labels == {0: 20, 1: 10}


def test_all_rows_of_an_example_go_with_it():
    table = pa.table({"id": ["a", "a", "b", "c", "c", "c"], "n": [1, 2, 3, 4, 5, 6]})
    searched, printed = encoding_cache.divide(table, np.array([True, False, True]))
    assert searched["n"].to_pylist() == [3]
    assert printed["n"].to_pylist() == [1, 2, 4, 5, 6]


@pytest.mark.skipif(not (SHARED / "data/squad").is_dir(), reason="no shared data here")
@pytest.mark.parametrize("name", ["squad/v1.1", "race/all", "xtreme/mlqa", "xtreme/xnli"])
def test_real_dev_sets_are_divided_into_halves_whose_texts_are_apart(name):
    task = tasks.get(name)
    splits = dev_parts.read_dev(task, SHARED / "data", None)
    masks = dev_parts.held_out(task, splits, 0.5, 1)
    texts = {False: set(), True: set()}
    for split, examples in splits.items():
        assert 0.45 < masks[split].mean() < 0.55
        for example, side in zip(examples, masks[split], strict=True):
            texts[bool(side)].update(example.keys)
    assert not texts[False] & texts[True]


@pytest.mark.slow
def test_the_best_of_24_is_printed_too_high_without_a_division_and_right_with_it():
    """Systems that are all as good as each other: what the best one gains on a part is luck.

    Every example counts as its difference from the mean of all systems, whose error is 0.
    """
    random, examples, true = np.random.default_rng(8), labelled((600, 443)), 0.8
    masks = [dev_parts.held_out(RTE, {"dev": examples}, 0.5, seed)["dev"] for seed in range(20)]
    whole, apart = [], []
    for study in range(2000):
        right = random.random((24, len(examples))) < true
        gain, held = right - right.mean(axis=0), masks[study % len(masks)]
        whole.append(gain[right.mean(axis=1).argmax()].mean())
        apart.append(gain[right[:, ~held].mean(axis=1).argmax()][held].mean())
    # The best of 24 normals lies 1.95 spreads above their mean, here of 0.4 / sqrt(1043).
    assert 100 * np.mean(whole) == pytest.approx(195 * 0.4 / 1043**0.5, abs=0.1)
    assert abs(100 * np.mean(apart)) < 0.1
