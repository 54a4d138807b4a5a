"""Text as blocks of masked tokens: what a block holds, what is masked, and how it is scored."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from raysearch import metrics
from raysearch.data.dataset import EncodedDataset
from raysearch.data.masked_blocks import MaskedBlocks
from raysearch.data.token_stream import TokenStream
from raysearch.data.training_set import as_training_set
from raysearch.recipes import RECIPES

CPU = torch.device("cpu")
MASK, WORDS = 999, 1000
SPECIAL = (0, 1, 2, 3, MASK)
FACTS = {"mask": str(MASK), "begins": "0", "words": str(WORDS), "special": "0 1 2 3 999"}


def text(lines: int = 40, seed: int = 0) -> TokenStream:
    """Lines of random words, each with its separator (2)."""
    random = np.random.default_rng(seed)
    rows = [[*random.integers(4, MASK, random.integers(3, 30)).tolist(), 2] for _ in range(lines)]
    ids = pa.array(rows, pa.list_(pa.int32()))
    table = pa.table({"input_ids": ids, "id": [str(at) for at in range(lines)]})
    return TokenStream(table.replace_schema_metadata(FACTS), {"input_ids": 1})


def test_the_blocks_are_the_text_cut_wherever_one_is_full():
    given = text()
    blocks, whole = MaskedBlocks(given, 64, 0.15), given.read(0, len(given)).tolist()
    assert len(blocks) == math.ceil(len(whole) / 63)
    found = []
    for row in range(len(blocks)):
        batch = blocks.batch([row], CPU)
        ids = torch.where(batch["masked"] == -100, batch["input_ids"], batch["masked"])[0].tolist()
        assert ids[0] == 0
        assert len(ids) == blocks.tokens[row] == batch["attention_mask"].sum()
        found += ids[1:]
    assert found == whole


def test_a_short_last_block_is_padded_beside_others():
    blocks = MaskedBlocks(text(), 64, 0.15)
    batch = blocks.batch([0, len(blocks) - 1], CPU)
    short = int(blocks.tokens[-1])
    assert short < 64 == batch["input_ids"].shape[1]
    assert batch["input_ids"][1, short:].unique().tolist() == [1]
    assert batch["attention_mask"][1].tolist() == [1] * short + [0] * (64 - short)
    assert (batch["masked"][1, short:] == -100).all()


def test_of_masked_tokens_four_fifths_are_the_mask_and_a_tenth_each_stays_or_is_another_word():
    blocks = MaskedBlocks(text(4000), 512, 0.15)
    counts = np.zeros(3)
    tokens = masked = 0
    for row in range(len(blocks)):
        batch = blocks.batch([row], CPU)
        gold = batch["masked"] != -100
        ids, wanted = batch["input_ids"][gold], batch["masked"][gold]
        counts += [(ids == MASK).sum(), (ids == wanted).sum(), len(ids)]
        other = ids[(ids != MASK) & (ids != wanted)]
        assert not set(other.tolist()) & set(SPECIAL)
        tokens, masked = tokens + blocks.tokens[row], masked + int(gold.sum())
        assert int(gold.sum()) == blocks.loss_counts([row])["units"]
    assert masked / tokens == pytest.approx(0.15, abs=0.002)
    assert counts[:2] / counts[2] == pytest.approx([0.8, 0.1], abs=0.01)


def test_masks_are_new_in_every_pass_and_the_same_for_the_same_seed_and_pass():
    blocks = MaskedBlocks(text(), 64, 0.15)

    def masks(seed: int, number: int, rows: list[int]) -> torch.Tensor:
        return blocks.with_epoch(seed, number).batch(rows, CPU)["masked"]

    assert torch.equal(masks(1, 2, [0, 1, 2]), masks(1, 2, [0, 1, 2]))
    # Nor does it matter which worker draws them, or beside which others.
    assert torch.equal(masks(1, 2, [0, 1, 2])[1:2], masks(1, 2, [1]))
    assert not torch.equal(masks(1, 2, [0]), masks(1, 3, [0]))
    assert not torch.equal(masks(1, 2, [0]), masks(2, 2, [0]))


def test_the_configuration_sizes_the_blocks_and_leaves_other_examples_alone():
    hyper = RECIPES["cross_thought"].hyper(block=3, length=16)
    assert as_training_set(text(), hyper).tokens[0] == 48
    plain = EncodedDataset(pa.table({"input_ids": [[1, 2]], "id": ["0"]}), {"input_ids": 0})
    assert as_training_set(plain, hyper) is plain


def test_scores_are_over_all_masked_tokens_not_over_blocks():
    logits = torch.randn(30, 11, generator=torch.manual_seed(3)).double()
    gold = torch.randint(11, (30,), generator=torch.manual_seed(4))
    likelihood = logits.log_softmax(-1)[torch.arange(30), gold]
    hits = logits.argmax(-1) == gold
    cuts = [(0, 4), (4, 30)]
    sums = np.array([[likelihood[a:b].sum(), hits[a:b].sum(), b - a] for a, b in cuts])
    found = metrics.masked_lm.score(metrics.masked_lm.SCORES, sums)
    perplexity = math.exp(torch.nn.functional.cross_entropy(logits, gold))
    assert found["masked_likelihood"] == pytest.approx(1 / perplexity)
    assert found["masked_accuracy"] == pytest.approx(hits.double().mean().item())
