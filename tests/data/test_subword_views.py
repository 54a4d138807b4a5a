"""Tokens of words: a tokenizer's own, and divisions drawn from a Unigram model, against all
divisions counted one by one and against sentencepiece's sampler."""

import math
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from random import Random

import pytest
import sentencepiece
from scipy.stats import chisquare
from support.made_up_text import some_text
from support.paths import ROOT, SHARED
from support.toys import toy_tokenizer

from raysearch.data.augmentation import subword_sampling, unigram_vocabulary
from raysearch.data.augmentation.alignment import align_words
from raysearch.data.augmentation.code_switching import rng_for
from raysearch.data.augmentation.subword_sampling import SubwordSampler, WordPieces, sample_words
from raysearch.errors import InputError

DATA = SHARED / "data"
TEXT = """
the tower stands on the hill and the hill stands over the town
languages change while people speak them and speakers of a language change with it
a translation of a text says in another language what the text says
the longest words of a language are often those that are made of other words
understanding misunderstandings is internationally understood as understandable
die Sprache ändert sich während Menschen sie sprechen und Übersetzungen ändern sich mit ihr
los idiomas cambian mientras las personas los hablan y también las traducciones
""".strip().splitlines()  # fmt: skip
WORDS = [
    "the",
    "internationally",
    "understand",
    "thousands",
    "ändert",
    "aaaa",
    "sp☃eaks",
    "☃☃",
    "x1½",
]
DRAWS = 4000


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A toy XLM-R folder's sentencepiece.bpe.model."""
    folder = tmp_path_factory.mktemp("views")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 4), model_prefix=str(folder / "sentencepiece.bpe"),
        vocab_size=150, hard_vocab_limit=False, minloglevel=2, num_threads=1,
    )  # fmt: skip
    (folder / "config.json").write_text('{"model_type": "xlm-roberta"}')
    return folder / "sentencepiece.bpe.model"


@pytest.fixture(scope="session")
def tokenizer(model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model.parent)


@pytest.fixture(scope="session")
def processor(model):
    return sentencepiece.SentencePieceProcessor(model_file=str(model))


@pytest.fixture(scope="session")
def vocabulary(tokenizer):
    return unigram_vocabulary.of_tokenizer(tokenizer)


def divisions(processor, word):
    """Every division of a word with the logarithm of its probability, from sentencepiece's pieces;
    unknown pieces that touch are one, as sentencepiece gives them."""
    text = processor.normalize(word)
    scores = {processor.id_to_piece(at): processor.get_score(at) for at in range(3, len(processor))}
    unknown = min(scores.values()) - 10

    @cache
    def after(begin):
        if begin == len(text):
            return [((), 0.0)]
        found = []
        for stop in range(begin + 1, len(text) + 1):
            piece = text[begin:stop]
            score = scores.get(piece, unknown if stop == begin + 1 else None)
            if score is not None:
                at = processor.piece_to_id(piece)
                found += [((at, *rest), score + sum_) for rest, sum_ in after(stop)]
        return found

    return [
        (tuple(at for n, at in enumerate(ids) if at or not n or ids[n - 1]), sum_)
        for ids, sum_ in after(0)
    ]


def expected(processor, word, alpha):
    """Token ids of XLM-R -> probability."""
    every = divisions(processor, word)
    whole = math.fsum(math.exp(alpha * score) for _, score in every)
    return {
        tuple(at + 1 if at else 3 for at in ids): math.exp(alpha * score) / whole
        for ids, score in every
    }


def fit(seen, probabilities):
    """The p-value of the counts; what is expected less than 5 times is counted together."""
    assert set(seen) <= set(probabilities)
    count = sum(seen.values())
    often = [ids for ids, p in probabilities.items() if p * count >= 5]
    counts = [seen[ids] for ids in often]
    means = [probabilities[ids] * count for ids in often]
    if count - sum(means) > 1e-6:
        counts, means = [*counts, count - sum(counts)], [*means, count - sum(means)]
    return chisquare(counts, means).pvalue if len(counts) > 1 else 1.0


# The distribution


@pytest.mark.parametrize("alpha", [0.3, 1.0, 0.0])
@pytest.mark.parametrize("word", WORDS)
def test_draws_are_distributed_as_all_divisions_counted_one_by_one(
    vocabulary, processor, word, alpha
):
    sampler, random = SubwordSampler(vocabulary, alpha), rng_for(word)
    seen = Counter(sampler.sample(word, random) for _ in range(DRAWS))
    assert fit(seen, expected(processor, word, alpha)) > 1e-3


def test_these_counts_tell_another_alpha_from_the_right_one(vocabulary, processor):
    sampler, random = SubwordSampler(vocabulary, 0.4), rng_for(1)
    seen = Counter(sampler.sample("internationally", random) for _ in range(DRAWS))
    assert len(expected(processor, "internationally", 0.3)) > 20
    assert fit(seen, expected(processor, "internationally", 0.3)) < 1e-3


@pytest.mark.parametrize("word", ["internationally", "sp☃eaks"])
def test_sentencepiece_draws_from_the_same_distribution(processor, word):
    sentencepiece.set_random_generator_seed(5)
    draws = (processor.sample_encode_as_ids(word, nbest_size=-1, alpha=0.3) for _ in range(DRAWS))
    seen = Counter(tuple(at + 1 if at else 3 for at in ids) for ids in draws)
    assert fit(seen, expected(processor, word, 0.3)) > 1e-3


def test_long_words_neither_overflow_nor_vanish(vocabulary, processor):
    word = "understandinglanguages" * 40
    ids = SubwordSampler(vocabulary).sample(word, rng_for(1))
    assert "".join(processor.id_to_piece(at - 1) for at in ids) == "▁" + word


# What is drawn


def test_a_large_alpha_draws_what_the_tokenizer_gives(tokenizer, vocabulary):
    words = {word for line in TEXT for word in line.split()} | set(WORDS)
    random = Random(3)
    words |= {word for _ in range(60) for word in some_text(random)}
    words |= {"", "<s>", "x<mask>y", "a\u3000b", "\u200b", "ﬁne½"}
    words = sorted(words)
    sampler = SubwordSampler(vocabulary, alpha=300)
    drawn_ones = {word: sampler.sample(word, rng_for(1)) for word in words}
    assert drawn_ones == dict(zip(words, WordPieces(tokenizer).of(words), strict=True))
    assert drawn_ones[""] == drawn_ones["\u200b"] == ()


def test_a_draw_spells_the_word(vocabulary, tokenizer):
    sampler, random = SubwordSampler(vocabulary), rng_for(2)
    for word in {word for line in TEXT for word in line.split()}:
        pieces = tokenizer.convert_ids_to_tokens(sampler.sample(word, random))
        assert "".join(pieces) == "▁" + word


def test_albert_is_drawn_from_as_well(tmp_path):
    path = DATA / "tokenizers" / "albert" / "30k-clean.model"
    if not path.is_file():
        pytest.skip("needs ALBERT's model in shared/data/tokenizers")
    from transformers import AutoTokenizer

    (tmp_path / "spiece.model").write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "albert"}')
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    words = ["Consistency", "(hello)", "U.S.", "a-b", "naïve", "漢字", "[MASK]s", *TEXT[4].split()]
    own = WordPieces(tokenizer).of(words)
    vocabulary = unigram_vocabulary.of_tokenizer(tokenizer)
    sure = SubwordSampler(vocabulary, alpha=300)
    assert [sure.sample(word, rng_for(1)) for word in words] == own
    draws = {SubwordSampler(vocabulary).sample("Consistency", rng_for(at)) for at in range(20)}
    assert len(draws) > 5
    for ids in draws:
        assert "".join(tokenizer.convert_ids_to_tokens(ids)) == "▁consistency"


# Where it comes from


def test_a_model_file_and_a_tokenizer_give_the_same_draws(model, vocabulary):
    one, other = SubwordSampler(unigram_vocabulary.of_model(model)), SubwordSampler(vocabulary)
    for at, word in enumerate(WORDS * 20):
        assert one.sample(word, rng_for(at)) == other.sample(word, rng_for(at))


def test_ids_of_xlm_roberta_follow_those_of_its_sentencepiece_model(processor, tokenizer):
    ids = {
        processor.id_to_piece(at): unigram_vocabulary.xlm_roberta_id(at)
        for at in range(len(processor))
    }
    assert {piece: ids[piece] for piece in ("<s>", "</s>", "<unk>")} == {
        "<s>": 0, "</s>": 2, "<unk>": 3,
    }  # fmt: skip
    assert tokenizer.get_vocab() == ids | {"<pad>": 1, "<mask>": len(ids) + 1}


def test_bytes_spell_what_is_unknown_where_the_model_has_them(tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_prefix=str(tmp_path / "bytes"), vocab_size=330,
        hard_vocab_limit=False, byte_fallback=True, minloglevel=2, num_threads=1,
    )  # fmt: skip
    path = tmp_path / "bytes.model"
    own = sentencepiece.SentencePieceProcessor(model_file=str(path))
    sampler = SubwordSampler(unigram_vocabulary.of_model(path, token_id=int), alpha=300)
    for word in ("the☃s", "☃漢", "language"):
        assert list(sampler.sample(word, rng_for(1))) == own.encode_as_ids(word)


def test_tokenizers_without_probabilities_are_refused_with_what_runs_instead(tmp_path):
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    pairs = ByteLevelBPETokenizer()
    pairs.train_from_iterator(TEXT, vocab_size=300, show_progress=False)
    bpe = PreTrainedTokenizerFast(tokenizer_object=pairs._tokenizer)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_prefix=str(tmp_path / "bpe"), vocab_size=100,
        model_type="bpe", minloglevel=2, num_threads=1,
    )  # fmt: skip
    (tmp_path / "broken.model").write_bytes(b"no model")
    for read, given, said in [
        (unigram_vocabulary.of_tokenizer, toy_tokenizer(), "is WordPiece; subword sampling"),
        (unigram_vocabulary.of_tokenizer, bpe, "is BPE; subword sampling"),
        (unigram_vocabulary.of_tokenizer, object(), "is a slow tokenizer; subword sampling"),
        (unigram_vocabulary.of_model, tmp_path / "bpe.model", "is no Unigram model; subword"),
        (unigram_vocabulary.of_model, tmp_path / "broken.model", "cannot be read"),
        (unigram_vocabulary.of_model, tmp_path / "none.model", "cannot be read"),
    ]:
        with pytest.raises(InputError) as caught:
            read(given)
        (problem,) = caught.value.problems
        assert problem.text.startswith(said)
        assert "code switching and translations" in problem.text or "cannot" in problem.text


def test_words_on_their_own_have_the_tokens_that_they_have_in_a_text(tokenizer):
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    pairs = ByteLevelBPETokenizer()
    pairs.train_from_iterator(TEXT, vocab_size=300, show_progress=False)
    bpe = PreTrainedTokenizerFast(tokenizer_object=pairs._tokenizer)
    for kind, text in [(bpe, TEXT[0]), (tokenizer, TEXT[5]), (toy_tokenizer(), "w7 w8 w7w9")]:
        whole = kind(f" {text}", add_special_tokens=False)["input_ids"]
        assert [at for ids in WordPieces(kind).of(text.split()) for at in ids] == whole
        assert WordPieces(kind).of([""]) == [()]


def test_what_a_tokenizer_cut_last_does_not_cut_words(tokenizer):
    tokenizer(TEXT[0], truncation=True, max_length=3)
    pieces = WordPieces(tokenizer)
    tokenizer(TEXT[0], truncation=True, max_length=3)
    assert len(pieces.of(["internationally"])[0]) > 3


# Words of a text


def test_words_are_drawn_at_the_ratio_and_frozen_ones_never(tokenizer, vocabulary):
    pieces, sampler = WordPieces(tokenizer), SubwordSampler(vocabulary)
    words = TEXT[1].split() * 200
    own = pieces.of(words)
    view = sample_words(words, 0.3, pieces, sampler, rng_for(1), frozen=range(0, len(words), 2))
    rate = sum(view.switched) / (len(words) / 2)
    assert rate == pytest.approx(0.3, abs=0.03)
    assert not any(view.switched[::2])
    changed = [one != other for one, other in zip(view.pieces, own, strict=True)]
    assert all(now for now, then in zip(view.switched, changed, strict=True) if then)
    assert 0 < sum(changed) < sum(view.switched)
    assert sample_words(words, 0.0, pieces, sampler, rng_for(1)).pieces == own


def test_full_caches_change_nothing(tokenizer, vocabulary, monkeypatch):
    words = [word for line in TEXT for word in line.split()]

    def view():
        pieces, sampler = WordPieces(tokenizer), SubwordSampler(vocabulary)
        return [sample_words(words[at:], 0.5, pieces, sampler, rng_for(at)) for at in range(9)]

    whole = view()
    monkeypatch.setattr(subword_sampling, "_CACHED_WORDS", 50)
    monkeypatch.setattr(subword_sampling, "_CACHED_LETTERS", 40)
    assert view() == whole


def test_threads_and_processes_draw_alike(model):
    code = f"""if 1:
        from pathlib import Path
        from raysearch.data.augmentation import unigram_vocabulary
        from raysearch.data.augmentation.code_switching import rng_for
        from raysearch.data.augmentation.subword_sampling import SubwordSampler
        sampler = SubwordSampler(unigram_vocabulary.of_model(Path({str(model)!r})))
        print([sampler.sample("internationally", rng_for(3, 1, at)) for at in range(50)])"""
    sampler = SubwordSampler(unigram_vocabulary.of_model(model))

    def draw(at):
        return sampler.sample("internationally", rng_for(3, 1, at))

    here = [draw(at) for at in range(50)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(draw, range(50))) == here
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=ROOT,
    )  # fmt: skip
    assert there.stdout == f"{here}\n"
    assert len(set(here)) > 10


@pytest.mark.slow
def test_views_of_any_text_hold_the_same_words(tokenizer, vocabulary):
    pieces, sampler, random = WordPieces(tokenizer), SubwordSampler(vocabulary), Random(4)
    for example in range(300):
        words = some_text(random)
        own = pieces.of(words)
        view = sample_words(words, 0.5, pieces, sampler, rng_for(1, example))
        one, other = align_words(own, view.pieces, 40, unknown=3)
        assert list(dict.fromkeys(one.words)) == list(dict.fromkeys(other.words))
        assert max(len(one.tokens), len(other.tokens)) <= 40
        assert bool(one.tokens) == bool(words)
        assert not {0, 1, 2} & {*one.tokens, *other.tokens}
